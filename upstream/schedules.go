package upstream

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slotgate/scheduling"
)

// Slot/$prefetch tells of slots and not of their schedules, and who works on a
// schedule may change while none of its slots does. So the schedules are listed
// beside the slots where answers do not bring them along: with every look at the
// nearest days, with which all others coincide, and not before a minute is over
// for the others.

// schedulesEvery is for how long a list serves looks at farther days.
const schedulesEvery = time.Minute

// scheduleList remembers when the schedules were listed.
type scheduleList struct {
	missed atomic.Bool // the latest slots that were read came without their schedules

	mu  sync.Mutex
	at  time.Time // of the latest list
	not time.Time // until then the source is not asked, since it does not let us list them
}

// noted takes note whether an answer has open slots without their schedules. What
// has none tells nothing.
func (l *scheduleList) noted(h *harvest) (missed bool) {
	named := false
	for _, r := range h.records {
		if r.slot.Schedule == "" || len(r.actors) > 0 || r.slot.Status != scheduling.SlotFree {
			continue
		}
		named = true
		missed = missed || h.found.Schedules[r.slot.Schedule] == nil
	}
	if named {
		l.missed.Store(missed)
	}
	return missed
}

// due tells whether the list is to be read, and notes that it is.
func (l *scheduleList) due(near bool, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.not) || !near && now.Before(l.at.Add(schedulesEvery)) {
		return false
	}
	l.at = now
	return true
}

func (l *scheduleList) refused(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.not = now.Add(findFor)
}

// listSchedules adds the source's schedules to what was found, if it is time to,
// and tells whether it was. A list that cannot be had leaves them as they are
// known: the slots are worth more.
func (c *Client) listSchedules(ctx context.Context, scope scheduling.Scope, found scheduling.Directory) bool {
	now := c.now()
	near := scope.Days.From <= scheduling.DayOf(now, time.UTC)+1
	if _, files := c.dialect.(publisher); files || laneOf(ctx) == laneRevalidate || !c.schedules.due(near, now) {
		return false
	}
	query := url.Values{}
	if n := len(scope.Schedules); n > 0 && n <= schedulesPerCall {
		query.Set("_id", strings.Join(scope.Schedules, ","))
	}
	list, err := c.listWhere(ctx, scheduling.KindSchedule, query)
	if list.err != nil {
		c.schedules.refused(now)
	}
	if err == nil {
		c.mapDirectory(list.found, scheduling.Tally{})
		c.known.learn(list.found)
		found.Merge(list.found)
	}
	return true
}
