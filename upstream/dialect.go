package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"slotgate/scheduling"
)

// dialect is how a source speaks of open slots.
type dialect interface {
	// fetch reads the open slots of a scope. cut tells why the answer is not
	// whole, "" when it is. What it brings may hold more than the scope.
	fetch(ctx context.Context, c *Client, scope scheduling.Scope) (h *harvest, cut string, err error)
}

// publisher is a dialect that reads the directory in a way of its own, and has
// nothing that could be read one by one.
type publisher interface {
	directory(ctx context.Context, c *Client) (listing, error)
}

// newDialect finds a dialect by its name; Options.Validate knows the same names.
func newDialect(name string) dialect {
	switch name {
	case Argonaut:
		return &argonaut{}
	case IHE:
		return ihe{}
	case Epic:
		return epic{}
	case Links:
		return newLinks()
	default:
		return slotSearch{}
	}
}

// period is a stretch of a scope that is asked for at once.
type period struct {
	days     scheduling.Days
	from, to time.Time
	every    bool // slots of every status are asked for
}

// periods cuts a scope's days into stretches of so many days (0: one stretch),
// each as wide as its days are in any of the source's zones.
func (c *Client) periods(days scheduling.Days, stride int) []period {
	zones := c.zones()
	if stride < 1 || stride > days.Len() {
		stride = days.Len()
	}
	var out []period
	for from := days.From; from < days.To; from += scheduling.Day(stride) {
		part := scheduling.Days{From: from, To: min(days.To, from+scheduling.Day(stride))}
		start, end := part.Span(zones...)
		out = append(out, period{days: part, from: start.UTC(), to: end.UTC()})
	}
	return out
}

// smallest of two strides, where 0 means any.
func smallest(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// gather asks several questions at once and joins their answers in order. The
// first error ends it, as does the first answer that is cut: nothing would come
// of the rest.
func (c *Client) gather(ctx context.Context, kind scheduling.Kind, questions []question) (*harvest, string, error) {
	if same, err := comparisonOf(ctx).all(ctx, questions); same || err != nil {
		return newHarvest(kind, c.rule, c.opts.Limits.MaxSlots), "", err
	}
	parts := make([]*harvest, len(questions))
	cuts := make([]string, len(questions))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Limits.Concurrency)
	for i, q := range questions {
		parts[i] = newHarvest(kind, c.rule, c.opts.Limits.MaxSlots)
		parts[i].temporary = c.opts.Dialect == Epic
		group.Go(func() (err error) {
			cuts[i], err = c.pages(within, q, parts[i].page)
			if err == nil && cuts[i] != "" {
				return errStop
			}
			return err
		})
	}
	if err := group.Wait(); err != nil && !errors.Is(err, errStop) {
		return nil, "", err
	}
	all := newHarvest(kind, c.rule, c.opts.Limits.MaxSlots)
	for _, part := range parts {
		all.join(part)
	}
	if len(all.records) > all.max {
		cuts = append(cuts, fmt.Sprintf("more than %d slots", all.max))
	}
	return all, cmp.Or(cuts...), nil
}

// errStop ends a gathering that has become pointless.
var errStop = errors.New("upstream: an answer is cut")

// instant is how times stand in our requests: in UTC, since some servers read
// the plus sign of an offset as a space.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// set adds the parameters that the configuration wants in every request.
func (q *Quirks) set(query url.Values) {
	for name, value := range q.Params {
		query.Set(name, value)
	}
}
