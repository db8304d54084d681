package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// entriesAtOnce is how many entries of a feed are read in one go.
const entriesAtOnce = 64

// Why a source is loaded whole, as the metric tells it.
const (
	whyFirst = "first"    // the follower has nothing yet
	whyLost  = "lost"     // the store was emptied and filled again
	whyGap   = "position" // entries were trimmed, or are others than expected
)

// read brings the sink to the present state of the source. seen is what meta
// said then; nil after an error.
func (f *follower) read(ctx context.Context, t *tracked) (seen *position, err error) {
	for {
		now, messages, err := f.fetch(ctx, t)
		if err != nil {
			return nil, err
		}
		switch {
		case !t.handed:
			t.why = whyFirst
		case now.life != t.life || t.waiting:
			t.why = whyLost
		case now == t.pos:
			return &now, nil
		}
		if t.why == "" {
			entries, ok := t.pos.next(messages)
			if ok && len(entries) > 0 {
				if err := f.apply(ctx, t, entries); err != nil {
					return nil, err
				}
				f.behind(t, now)
				continue
			}
			t.why = whyGap
		}
		loaded, err := f.load(ctx, t)
		if err != nil || !loaded {
			return &now, err
		}
	}
}

// fetch reads the position of the feed, and then its entries from the
// follower's own position on.
func (f *follower) fetch(ctx context.Context, t *tracked) (position, []redis.XMessage, error) {
	pipe := f.store.client.Pipeline()
	meta := pipe.HMGet(ctx, t.keys.meta(), positionFields()...)
	var feed *redis.XMessageSliceCmd
	if t.handed && !t.waiting {
		feed = pipe.XRangeN(ctx, t.keys.feed(), strconv.FormatUint(max(t.pos.seq, 1), 10)+"-0", "+", entriesAtOnce)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return position{}, nil, err
	}
	if feed == nil {
		return readPosition(meta.Val()), nil, nil
	}
	return readPosition(meta.Val()), feed.Val(), nil
}

func (f *follower) behind(t *tracked, now position) {
	behind := 0.0
	if now.seq > t.pos.seq {
		behind = float64(now.seq - t.pos.seq)
	}
	f.store.metrics.behind.WithLabelValues(string(t.id)).Set(behind)
}

// apply hands over what the entries tell: first what changed, in its present
// state, then the checks in their order.
func (f *follower) apply(ctx context.Context, t *tracked, entries []entry) error {
	change, err := f.gather(ctx, t, entries)
	if err != nil {
		return err
	}
	var checks []*scheduling.Check
	for _, e := range entries {
		if e.check != nil {
			checks = append(checks, e.check)
		}
	}
	if len(checks) > 0 {
		change.Check, checks = checks[0], checks[1:]
	}
	last := entries[len(entries)-1]
	f.hand(func(sink Sink) {
		if !isEmpty(change) {
			sink.Apply(t.id, change)
		}
		for _, c := range checks {
			sink.Apply(t.id, scheduling.Change{Check: c})
		}
	})
	t.pos.seq, t.pos.nonce = last.seq, last.nonce
	f.store.metrics.changes.WithLabelValues(string(t.id)).Add(float64(len(entries)))
	return nil
}

func isEmpty(c scheduling.Change) bool {
	return len(c.Windows) == 0 && c.Check == nil && c.Directory == nil && c.Status == nil && len(c.Generations) == 0 && len(c.Marks) == 0
}

func (f *follower) hand(call func(Sink)) {
	f.sinkMu.Lock()
	defer f.sinkMu.Unlock()
	call(f.sink)
}

// gather reads the present state of all that the entries name.
func (f *follower) gather(ctx context.Context, t *tracked, entries []entry) (scheduling.Change, error) {
	latest := map[scheduling.WindowKey]entry{}
	var order []scheduling.WindowKey
	names, marked := map[string]bool{}, map[string]bool{}
	status := false
	for _, e := range entries {
		for _, key := range e.windows {
			if _, ok := latest[key]; !ok {
				order = append(order, key)
			}
			latest[key] = e
		}
		for _, name := range e.records {
			names[name] = true
		}
		for _, slot := range e.marks {
			marked[slot] = true
		}
		status = status || e.status
	}
	var change scheduling.Change
	var err error
	if change.Windows, err = f.windows(ctx, t, order, latest); err != nil {
		return change, err
	}
	if change.Directory, err = f.records(ctx, t, names); err != nil {
		return change, err
	}
	if change.Marks, change.Generations, err = f.marks(ctx, t, marked); err != nil {
		return change, err
	}
	if status {
		change.Status, err = f.status(ctx, t)
	}
	return change, err
}

// windows reads windows by day. One that is not there any more has no slots.
func (f *follower) windows(
	ctx context.Context, t *tracked, order []scheduling.WindowKey, told map[scheduling.WindowKey]entry,
) ([]scheduling.Window, error) {
	days := map[scheduling.Day][]string{}
	for _, key := range order {
		days[key.Day] = append(days[key.Day], key.Schedule)
	}
	found := make(map[scheduling.WindowKey]string, len(order))
	pipe := f.store.client.Pipeline()
	asked := map[scheduling.Day]*redis.SliceCmd{}
	for day, schedules := range days {
		asked[day] = pipe.HMGet(ctx, t.keys.windows(day), schedules...)
	}
	if len(asked) > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("windows: %w", err)
		}
	}
	for day, schedules := range days {
		for i, schedule := range schedules {
			found[scheduling.WindowKey{Schedule: schedule, Day: day}] = textAt(asked[day].Val(), i)
		}
	}
	windows := make([]scheduling.Window, 0, len(order))
	for _, key := range order {
		if found[key] == "" {
			e := told[key]
			windows = append(windows, scheduling.Window{Key: key, Fetch: e.fetch, Checked: e.at, Changed: e.at})
			continue
		}
		if w, ok := f.decode(t, key, found[key]); ok {
			windows = append(windows, w)
		}
	}
	return windows, nil
}

// decode reads a window; what cannot be read is counted and left as it was.
func (f *follower) decode(t *tracked, key scheduling.WindowKey, data string) (scheduling.Window, bool) {
	if t.decoder == nil {
		t.decoder = newDecoder()
	}
	w, err := t.decoder.decode(key, data)
	if err != nil {
		f.damaged(t, "window")
		return w, false
	}
	return w, true
}

func (f *follower) damaged(t *tracked, what string) {
	f.store.metrics.damaged.WithLabelValues(string(t.id), what).Inc()
	f.store.log.Error("a record in Redis cannot be read", "source", t.id, "what", what)
}

// status reads the status, nil when it did not change.
func (f *follower) status(ctx context.Context, t *tracked) (*scheduling.Status, error) {
	text, err := f.store.client.Get(ctx, t.keys.status()).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	status, ok := f.readStatus(t, text)
	if !ok {
		return nil, nil
	}
	t.status = status
	return &status, nil
}
