package replica

import "slotgate/scheduling"

// BySlots finds the offer that is made of exactly these Slots of ours, in order
// of time: what a caller builds from slots that it fetched itself has no
// Appointment id. Where several rules make one of the same slots, it is that of
// the first rule.
func (r *Replica) BySlots(slots []string) (scheduling.Hit, bool) {
	if len(slots) == 0 {
		return scheduling.Hit{}, false
	}
	now := r.opts.Now().UTC()
	for _, e := range r.table.Load().tagged(slots[0]) {
		st := e.state.Load()
		at, ok := st.locateOffer(slots[0], func(w *window, i int) bool { return w.isOf(i, slots) }, now)
		if ok {
			return st.hit(at.place, at.book, at.window, at.slot), true
		}
	}
	return scheduling.Hit{}, false
}

// isOf tells whether what slot i of the window stands for is made of these Slots
// of ours.
func (w *window) isOf(i int, slots []string) bool {
	if w.offers == nil {
		return len(slots) == 1 && w.slotID(i) == slots[0]
	}
	parts := w.offers.partsOf(i)
	if len(parts) != len(slots) {
		return false
	}
	for n, p := range parts {
		if w.offers.of[p.window].slotID(int(p.slot)) != slots[n] {
			return false
		}
	}
	return true
}
