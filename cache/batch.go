package cache

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"slotgate/scheduling"
)

// maxBatchBytes bounds what one script is handed, whatever Options.Batch says.
const maxBatchBytes = 1 << 20

// write brings the differences to Redis in batches, and the check with the last
// of them. ok is false when another write came between.
func (r *replacement) write(ctx context.Context, v *view, ops []op) (ok bool, err error) {
	for {
		batch, rest := r.cut(ops)
		b := r.batch(v, batch, len(rest) == 0)
		if b.empty() {
			return true, r.verify(v)
		}
		answer, err := r.run(ctx, b)
		if err != nil {
			return false, err
		}
		switch answer {
		case 0:
			return false, nil
		case -1:
			return false, ErrDataLost
		}
		v.rev = b.nonce
		for _, o := range batch {
			if o.blob == nil {
				r.done.Removed++
			} else {
				r.done.Written++
			}
		}
		if ops = rest; len(ops) == 0 {
			return true, nil
		}
	}
}

// verify makes sure, when there is nothing to write, that the fetch is of this
// life of the source.
func (r *replacement) verify(v *view) error {
	if !r.drop && v.fetch < r.fetch {
		return ErrDataLost
	}
	return nil
}

// cut takes as many as one script may write.
func (r *replacement) cut(ops []op) (batch, rest []op) {
	size := 0
	for i, o := range ops {
		size += len(o.blob) + len(o.key.Schedule)
		if i == r.store.options.Batch || (i > 0 && size > maxBatchBytes) {
			return ops[:i], ops[i:]
		}
	}
	return ops, nil
}

// batch is what one script writes.
type batch struct {
	rev, nonce string
	ops        []op // in order of day
	set        []check
	unset      []string
	fallen     []string // scopes whose windows are no longer of one answer alone
	stand      string   // what the scope of the check stands by from now on, "" for nothing
	tell       *check
	number     string
}

func (b batch) empty() bool {
	return len(b.ops)+len(b.set)+len(b.unset)+len(b.fallen) == 0
}

// batch decides what goes along with the windows. In the first of several a
// floor keeps earlier fetches out until the check is there.
func (r *replacement) batch(v *view, ops []op, last bool) batch {
	b := batch{rev: v.rev, nonce: nonce(), ops: ops, number: r.number}
	switch {
	case r.drop:
		r.dropChecks(v, &b, last)
	case last:
		r.finish(v, &b)
	case !known(v, r.check.floor()):
		floor := r.check.floor()
		b.set = []check{floor}
		v.checks = append(v.checks, floor)
	}
	r.fell(v, &b)
	return b
}

// known tells whether a check of this scope by this fetch or a later one is there.
func known(v *view, c check) bool {
	for _, k := range v.checks {
		if k.field == c.field && k.Fetch >= c.Fetch {
			return true
		}
	}
	return false
}

// finish writes the check, unless a later one says more, and removes those that
// it makes superfluous.
func (r *replacement) finish(v *view, b *batch) {
	if r.scope.Days.Len() == 0 {
		return
	}
	for _, c := range v.checks {
		if c.Fetch > r.fetch && !c.Floor && r.check.within(c) {
			return
		}
	}
	if !known(v, r.check) {
		b.set = []check{r.check}
		b.tell = &r.check
		if r.done.Refused == 0 {
			b.stand = newStand(r.token, r.fetch)
		}
	}
	for _, c := range v.checks {
		old := c.Fetch <= r.fetch && c.within(r.check)
		if old && c.field != r.check.field {
			b.unset = append(b.unset, c.field)
		}
	}
}

// dropChecks takes days gone by out of the checks. Otherwise those of a range of
// days that moves on with the calendar would never cover each other.
func (r *replacement) dropChecks(v *view, b *batch, last bool) {
	day := r.scope.Days.To
	if v.fetch > 0 {
		// Followers order the removal after all that was fetched so far.
		b.number = strconv.FormatUint(v.fetch, 10)
	}
	if !last {
		return
	}
	trimmed := map[string]check{}
	for _, c := range v.checks {
		if c.From >= day {
			continue
		}
		b.unset = append(b.unset, c.field)
		if c = c.since(day); c.To > day && trimmed[c.field].Fetch <= c.Fetch {
			trimmed[c.field] = c
		}
	}
	for _, c := range v.checks {
		if c.Fetch > trimmed[c.field].Fetch {
			delete(trimmed, c.field)
		}
	}
	b.set = slices.Collect(maps.Values(trimmed))
}

// run hands the batch to Redis.
func (r *replacement) run(ctx context.Context, b batch) (int, error) {
	k := r.keys
	keys := []string{k.meta(), k.checks(), k.days(), k.feed(), k.stands()}
	names, told := packKeys(b.ops), ""
	if b.tell != nil {
		text, err := b.tell.text()
		if err != nil {
			return 0, err
		}
		told = text
	}
	o := r.store.options
	args := []any{
		b.rev, b.number, b.nonce, o.FeedLength, r.store.keys.wake(), string(r.source),
		strconv.FormatInt(r.at.UnixMilli(), 10), names, told, len(b.set),
	}
	for _, c := range b.set {
		text, err := c.text()
		if err != nil {
			return 0, err
		}
		args = append(args, c.field, text)
	}
	args = append(args, len(b.unset))
	for _, field := range b.unset {
		args = append(args, field)
	}
	args = append(args, len(b.fallen))
	for _, field := range b.fallen {
		args = append(args, field)
	}
	if b.stand == "" {
		args = append(args, 0)
	} else {
		args = append(args, 1, r.check.field, b.stand)
	}
	for _, day := range byDay(b.ops) {
		keys = append(keys, k.heads(day[0].key.Day), k.windows(day[0].key.Day))
		args = appendDay(args, day)
	}
	return r.store.run(ctx, r.store.scripts.windows, keys, args...).Int()
}

// byDay groups the ops of each day, writes and removals together.
func byDay(ops []op) [][]op {
	var groups [][]op
	at := map[scheduling.Day]int{}
	for _, o := range ops {
		i, ok := at[o.key.Day]
		if !ok {
			i = len(groups)
			at[o.key.Day] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], o)
	}
	return groups
}

func appendDay(args []any, ops []op) []any {
	var gone []op
	args = append(args, dayText(ops[0].key.Day))
	count := len(args)
	args = append(args, 0)
	for _, o := range ops {
		if o.blob == nil {
			gone = append(gone, o)
			continue
		}
		args = append(args, o.key.Schedule, o.head.pack(), o.blob)
	}
	args[count] = len(ops) - len(gone)
	args = append(args, len(gone))
	for _, o := range gone {
		args = append(args, o.key.Schedule)
	}
	return args
}
