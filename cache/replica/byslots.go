package replica

import "slotgate/scheduling"

// BySlots finds the offer that is made of exactly these Slots of ours, in order
// of time: what a caller builds from slots that it fetched itself has no
// Appointment id. An offer has one slot.
func (r *Replica) BySlots(slots []string) (scheduling.Hit, bool) {
	if len(slots) != 1 {
		return scheduling.Hit{}, false
	}
	now := r.opts.Now().UTC()
	for _, e := range r.table.Load().tagged(slots[0]) {
		st := e.state.Load()
		if at, ok := st.locate(slots[0], (*window).slotID, now); ok {
			return st.hit(at.place, at.book, at.window, at.slot), true
		}
	}
	return scheduling.Hit{}, false
}
