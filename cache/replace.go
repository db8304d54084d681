package cache

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"slotgate/scheduling"
)

// maxReplans is how often a comparison is made again before we give up. Workers
// share a source only by accident; each time somebody got on.
const maxReplans = 100

// Begin numbers a fetch: later fetches have larger numbers, also after the store
// was emptied.
func (s *Store) Begin(ctx context.Context, source scheduling.SourceID) (fetch uint64, err error) {
	k := s.keys.source(source)
	n, err := s.run(
		ctx, s.scripts.begin, []string{k.meta(), k.feed(), k.fences(), k.lagging()},
		nonce(), nonce(), s.options.FeedLength, s.keys.wake(), string(source),
	).Int64()
	if err != nil {
		return 0, s.fault(err)
	}
	return uint64(n), nil
}

// Known counts the open slots that the scope holds now.
func (s *Store) Known(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (slots int, err error) {
	v, err := s.view(ctx, source, scope)
	if err != nil {
		return 0, s.fault(err)
	}
	for _, h := range v.heads {
		slots += h.slots
	}
	return slots, nil
}

// Replace puts a complete answer in place of every known window of its scope;
// at is the end of the fetch. Windows that a later fetch wrote or confirmed
// stay. Only differences are written. Windows outside the scope are left alone.
//
// Errors: ErrIncomplete, ErrDataLost when fetch was numbered in an earlier life
// of the source, ErrBusy, ErrBadWindow.
func (s *Store) Replace(
	ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, fetched scheduling.Fetched,
) (scheduling.Replaced, error) {
	if !fetched.Complete || fetched.Unchanged || fetched.Basis != "" {
		return scheduling.Replaced{}, s.fault(ErrIncomplete)
	}
	done, err := s.replace(ctx, source, fetch, at, fetched)
	return done, s.fault(err)
}

func (s *Store) replace(
	ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, fetched scheduling.Fetched,
) (scheduling.Replaced, error) {
	r := &replacement{
		store: s, source: source, keys: s.keys.source(source),
		fetch: fetch, number: strconv.FormatUint(fetch, 10), at: at,
		scope: fetched.Scope, check: newCheck(fetched.Scope, fetch, at).validAt(fetched.Valid),
		token: fetched.Token, basis: fetched.Basis,
	}
	if err := r.prepare(fetched.Windows); err != nil {
		return scheduling.Replaced{}, err
	}
	if err := r.do(ctx); err != nil {
		return r.done, err
	}
	r.count()
	return r.done, nil
}

// DropBefore forgets the windows of days gone by.
func (s *Store) DropBefore(ctx context.Context, source scheduling.SourceID, day scheduling.Day) error {
	r := &replacement{
		store: s, source: source, keys: s.keys.source(source), drop: true,
		scope: scheduling.Scope{Days: scheduling.Days{From: minDay, To: day}},
	}
	return s.fault(r.do(ctx))
}

// minDay is before every day.
const minDay scheduling.Day = -1 << 31

// prepared is a window of the answer.
type prepared struct {
	key     scheduling.WindowKey
	head    head
	content []byte
}

// op is one window to write, or to remove when it has no content.
type op struct {
	key  scheduling.WindowKey
	head head
	blob []byte
}

// replacement is one call of Replace, or of DropBefore (then drop is true).
type replacement struct {
	store  *Store
	source scheduling.SourceID
	keys   sourceKeys
	fetch  uint64
	number string // the fetch's, "" when there is none
	at     time.Time
	scope  scheduling.Scope
	check  check
	token  string // of the answer, "" when it has none
	basis  string // of the answer that it changed, "" when it is whole
	drop   bool

	windows   []prepared
	unchanged int
	outside   int
	done      scheduling.Replaced
}

// prepare encodes what the answer holds for the scope.
func (r *replacement) prepare(windows map[scheduling.WindowKey][]scheduling.Slot) error {
	for key, slots := range windows {
		if len(slots) == 0 {
			continue
		}
		if !r.check.covers(key) {
			r.outside++
			continue
		}
		if slices.ContainsFunc(slots, func(s scheduling.Slot) bool { return s.Schedule != key.Schedule }) {
			return ErrBadWindow
		}
		if !slices.IsSortedFunc(slots, scheduling.CompareSlots) {
			slots = slices.Clone(slots)
			slices.SortFunc(slots, scheduling.CompareSlots)
		}
		content := encodeSlots(key.Day, slots)
		r.windows = append(r.windows, prepared{key, head{r.fetch, digestOf(content), len(slots)}, content})
	}
	slices.SortFunc(r.windows, func(a, b prepared) int { return compareKeys(a.key, b.key) })
	return nil
}

func compareKeys(a, b scheduling.WindowKey) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Schedule, b.Schedule))
}

// do compares and writes until nothing differs. What was written stays written
// when another write comes between: the next comparison finds the rest.
func (r *replacement) do(ctx context.Context) error {
	for range maxReplans {
		v, err := r.store.view(ctx, r.source, r.scope)
		if err == nil {
			err = r.stands(ctx)
		}
		if err != nil {
			return err
		}
		ok, err := r.write(ctx, v, r.diff(v))
		if err != nil || ok {
			return err
		}
		r.store.metrics.replans.Inc()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return ErrBusy
}

// diff tells what is to be written.
func (r *replacement) diff(v *view) []op {
	r.done.Refused, r.done.Slots, r.unchanged = 0, 0, 0
	later := v.later(r.fetch, r.scope.Days)
	refused := func(key scheduling.WindowKey, known head) bool {
		if r.drop {
			return false
		}
		return known.fetch > r.fetch || slices.ContainsFunc(later, func(c check) bool { return c.covers(key) })
	}
	var ops []op
	named := make(map[scheduling.WindowKey]bool, len(r.windows))
	for _, w := range r.windows {
		named[w.key] = true
		known, ok := v.heads[w.key]
		switch {
		case refused(w.key, known):
			r.done.Refused++
			r.done.Slots += known.slots
			continue
		case ok && known.digest == w.head.digest && known.slots == w.head.slots:
			r.unchanged++
		default:
			ops = append(ops, op{w.key, w.head, encodeWindow(r.fetch, r.at, w.content)})
		}
		r.done.Slots += w.head.slots
	}
	return append(ops, r.removals(v, named, refused)...)
}

// removals are the known windows that the answer does not name.
func (r *replacement) removals(
	v *view, named map[scheduling.WindowKey]bool, refused func(scheduling.WindowKey, head) bool,
) []op {
	var gone []op
	for key, known := range v.heads {
		switch {
		case named[key]:
		case refused(key, known):
			r.done.Refused++
			r.done.Slots += known.slots
		default:
			gone = append(gone, op{key: key})
		}
	}
	slices.SortFunc(gone, func(a, b op) int { return compareKeys(a.key, b.key) })
	return gone
}

// count hands the outcome to the metrics.
func (r *replacement) count() {
	for result, n := range map[string]int{
		"written": r.done.Written, "removed": r.done.Removed, "refused": r.done.Refused,
		"unchanged": r.unchanged, "outside": r.outside,
	} {
		r.store.metrics.windows.WithLabelValues(string(r.source), result).Add(float64(n))
	}
}
