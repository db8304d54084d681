package upstream

import (
	"context"

	"slotgate/scheduling"
)

// Fetch reads the open slots of one scope. The first one reads the directory
// before, if nobody has; what the answer brings along for it is in Found.
//
// Errors: those of the package. An answer that is not whole is not an error:
// Complete is then false, and Cut tells why.
func (c *Client) Fetch(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	return c.fetch(ctx, scope, func() *comparison { return nil })
}

// fetch reads the scope, or tells that it is as before where the comparison, which
// may be nil, finds out so. It begins when the directory is known.
func (c *Client) fetch(ctx context.Context, scope scheduling.Scope, compare func() *comparison) (scheduling.Fetched, error) {
	out := scheduling.Fetched{Scope: scope, Found: scheduling.NewDirectory()}
	if err := c.ensureDirectory(ctx, out.Found); err != nil {
		return out, err
	}
	listed := out.Found.Len() > 0
	if c.schedules.missed.Load() && !listed {
		listed = c.listSchedules(ctx, scope, out.Found)
	}
	s := compare()
	if changes, ok := c.delta(ctx, s, scope); ok {
		changes.Found.Merge(out.Found)
		return changes, nil
	}
	began := c.now()
	h, cut, err := c.dialect.fetch(comparing(ctx, s), c, scope)
	if err != nil {
		return out, err
	}
	if s.same() {
		return s.again(out, h, began), nil
	}
	h.settleSchedules()
	if c.schedules.noted(h) && !listed {
		c.listSchedules(ctx, scope, out.Found)
	}
	dir, version, unread, err := c.settle(ctx, h, out.Found)
	if err != nil {
		return out, err
	}
	if cut == "" && unread {
		cut = "too many records of the directory had to be read one by one"
	}
	a := newAssembler(c.source, scope, scheduling.NewResolver(c.source.ID, dir, c.source.Zone), c.codes)
	a.overlap = scheduling.Overlap(c.opts.Quirks.Overlap)
	out.Windows = a.windows(h.records)
	out.Complete, out.Cut, out.AsOf = cut == "", cut, h.asOf
	out.Valid = h.valid
	out.Unusable, out.Unmapped = a.unusable, a.unmapped
	out.Unusable.Merge(h.tally)
	out.Doubtful, out.Nameless = append(a.doubtful, h.doubtful...), a.nameless+h.nameless
	c.metrics.unusable(out.Unusable)
	out.Token = s.remember(&out, version, h.newest, began)
	return out, nil
}

// loading waits for the right to read the directory; release must follow.
func (c *Client) loading(ctx context.Context) (release func(), err error) {
	select {
	case <-ctx.Done():
		return nil, ended(ctx, c.source.ID)
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	}
}

// ensureDirectory reads the directory once, for whoever fetches first, and puts
// it into found.
func (c *Client) ensureDirectory(ctx context.Context, found scheduling.Directory) error {
	if c.loaded.Load() {
		return nil
	}
	release, err := c.loading(ctx)
	if err != nil {
		return err
	}
	defer release()
	if c.loaded.Load() {
		return nil
	}
	dir, _, err := c.readDirectory(ctx)
	if err != nil {
		return err
	}
	found.Merge(dir)
	return nil
}

// settle finds the schedule of every record, and whom it binds: in what is
// known, in what the answer brought along, and at last at the source, one by
// one. unread tells that there was more to read than one fetch may.
func (c *Client) settle(ctx context.Context, h *harvest, found scheduling.Directory) (
	dir scheduling.Directory, version uint64, unread bool, err error,
) {
	c.mapDirectory(h.found, scheduling.Tally{})
	found.Merge(h.found)
	dir, _ = c.known.learn(h.found)
	c.fileOffers(h, dir, found)
	used := map[string]bool{}
	for _, r := range h.records {
		if r.slot.Status == scheduling.SlotFree && r.slot.Schedule != "" && !used[r.slot.Schedule] {
			used[r.slot.Schedule] = true
		}
	}
	reader := &oneByOne{client: c, found: scheduling.NewDirectory(), tally: scheduling.Tally{}}
	if err = reader.close(ctx, used, merged(dir, found)); err != nil {
		return dir, 0, false, err
	}
	h.tally.Merge(reader.tally)
	c.mapDirectory(reader.found, scheduling.Tally{})
	found.Merge(reader.found)
	dir, version = c.known.learn(found)
	c.known.use(used)
	return dir, version, reader.full, nil
}

// fileOffers finds or makes the schedules of what was proposed without one.
func (c *Client) fileOffers(h *harvest, dir, found scheduling.Directory) {
	var filed *byActors
	for _, r := range h.records {
		if r.slot.Schedule != "" || len(r.actors) == 0 {
			continue
		}
		if filed == nil {
			filed = newByActors(c.source, dir)
		}
		r.slot.Schedule = filed.of(r.actors, found)
	}
}

func merged(a, b scheduling.Directory) scheduling.Directory {
	out := cloneDirectory(a)
	out.Merge(b)
	return out
}
