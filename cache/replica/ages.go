package replica

import (
	"math"
	"slices"
	"time"

	"slotgate/scheduling"
)

// Ages tells how old what is known of a source is, by tier; nil for one that is
// not there. It looks at every window: it is for operators, not for callers.
func (r *Replica) Ages(source scheduling.SourceID) []scheduling.TierAge {
	e, ok := r.table.Load().byID[source]
	if !ok {
		return nil
	}
	return e.state.Load().ages(r.opts.Now().UTC())
}

// aging gathers the ages of one tier.
type aging struct{ checked, valid, changed []time.Duration }

func (st *state) ages(now time.Time) []scheduling.TierAge {
	zone := st.source.Zone
	if zone == nil {
		zone = time.UTC
	}
	today, tiers := scheduling.DayOf(now, zone), scheduling.Tiers()
	all := make([]aging, len(tiers))
	for n := range st.books.count {
		b := st.books.at(n)
		for _, w := range b.windows {
			if len(w.slots) == 0 || w.day < today {
				continue
			}
			at := slices.IndexFunc(tiers, func(t scheduling.Tier) bool { return t.End == 0 || w.day-today < t.End })
			all[at].add(st, b, w, now)
		}
	}
	out := make([]scheduling.TierAge, len(tiers))
	for i, a := range all {
		out[i] = scheduling.TierAge{
			Tier: tiers[i].Name, Windows: len(a.checked),
			Checked: spreadOf(a.checked), Valid: spreadOf(a.valid), Changed: spreadOf(a.changed),
		}
	}
	return out
}

func (a *aging) add(st *state, b *book, w *window, now time.Time) {
	whole, own := st.cover.of(w.day), b.cover.of(w.day)
	a.checked = append(a.checked, now.Sub(instant(b.checkedAt(w, st.cover))))
	if valid := whole.over(own).valid; valid != 0 {
		a.valid = append(a.valid, now.Sub(instant(valid)))
	}
	if w.changed != 0 {
		a.changed = append(a.changed, now.Sub(instant(w.changed)))
	}
}

// spreadOf takes the nearest rank. An age is never negative: workers' clocks may
// be ahead of ours.
func spreadOf(ages []time.Duration) scheduling.Spread {
	if len(ages) == 0 {
		return scheduling.Spread{}
	}
	slices.Sort(ages)
	rank := func(q float64) time.Duration { return max(0, ages[int(math.Ceil(q*float64(len(ages))))-1]) }
	return scheduling.Spread{Count: len(ages), P50: rank(0.5), P99: rank(0.99)}
}
