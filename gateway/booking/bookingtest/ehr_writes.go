package bookingtest

import (
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// lapse is when the EHR drops a hold that nobody gave back.
const lapse = 2 * time.Hour

// Hold makes a pending appointment, or renews one.
func (h *EHR) Hold(ctx context.Context, call scheduling.HoldCall) (scheduling.HoldAnswer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return scheduling.HoldAnswer{}, h.blame(scheduling.SourceDown)
	}
	f := h.take(scheduling.CallHold)
	if err := h.refusal(f); err != nil {
		return scheduling.HoldAnswer{}, err
	}
	if call.Hold != nil {
		if a := h.appts[call.Hold.Native]; a != nil && a.Status == scheduling.ApptPending {
			return scheduling.HoldAnswer{Native: a.ID, ETag: a.ETag, Length: call.Length + 2*time.Second}, nil
		}
	}
	ids := call.Offer.SlotIDs()
	do := func() *scheduling.Appointment {
		if !h.free(ids, nil) {
			return nil
		}
		a := h.create(scheduling.ApptPending, ids, call.Patients, call.Identifier)
		h.occupy(ids, a, scheduling.SlotTentative)
		h.late = append(h.late, commit{h.clock.Now().Add(lapse), func() {
			if a.Status == scheduling.ApptPending {
				a.Status = scheduling.ApptCancelled
				h.leave(a)
			}
		}})
		return a
	}
	if f == LateCommit {
		h.later(func() { do() })
		return scheduling.HoldAnswer{}, h.blame(scheduling.InDoubt)
	}
	a := do()
	if a == nil {
		return scheduling.HoldAnswer{}, h.blame(scheduling.SlotTaken)
	}
	answer := scheduling.HoldAnswer{Native: a.ID, ETag: a.ETag, Length: call.Length + 2*time.Second}
	switch f {
	case LostAfter:
		return scheduling.HoldAnswer{}, h.blame(scheduling.InDoubt)
	case LosesHold:
		a.Status = scheduling.ApptCancelled
		h.leave(a)
	}
	return answer, nil
}

// free tells whether the slots can be taken, by the holder of hold.
func (h *EHR) free(ids []string, hold *scheduling.Hold) bool {
	for _, id := range ids {
		s := h.slots[id]
		if s == nil {
			return false
		}
		ours := hold != nil && hold.Native != "" && s.appt == hold.Native && s.status == scheduling.SlotTentative
		if s.status != scheduling.SlotFree && !ours {
			return false
		}
	}
	return true
}

func (h *EHR) occupy(ids []string, a *scheduling.Appointment, status scheduling.SlotStatus) {
	for _, id := range ids {
		h.slots[id].status, h.slots[id].appt = status, a.ID
	}
}

func (h *EHR) later(do func()) {
	h.late = append(h.late, commit{h.clock.Now().Add(h.LateBy), do})
}

// Release cancels a pending appointment.
func (h *EHR) Release(ctx context.Context, call scheduling.ReleaseCall) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return h.blame(scheduling.SourceDown)
	}
	f := h.take(scheduling.CallRelease)
	if err := h.refusal(f); err != nil {
		return err
	}
	a := h.appts[call.Hold.Native]
	switch {
	case a == nil:
		return h.blame(scheduling.UnknownID)
	case a.Status != scheduling.ApptPending:
		return h.blame(scheduling.NotAcceptable)
	}
	if f == SaysOnly {
		return nil
	}
	a.Status = scheduling.ApptCancelled
	h.touch(a)
	if f != KeepsSlot {
		h.leave(a)
	}
	if f == LostAfter {
		return h.blame(scheduling.InDoubt)
	}
	return nil
}

// Book makes an appointment, or moves one.
func (h *EHR) Book(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return scheduling.Appointment{}, h.blame(scheduling.SourceDown)
	}
	f := h.take(scheduling.CallBook)
	if err := h.refusal(f); err != nil {
		return scheduling.Appointment{}, err
	}
	if f == LateCommit {
		h.later(func() { h.commit(call, "") })
		return scheduling.Appointment{}, h.blame(scheduling.InDoubt)
	}
	switch f {
	case SaysOnly:
		return scheduling.Appointment{ID: "none", Status: scheduling.ApptBooked}, nil
	case AnswersOther:
		native := h.slots[call.Offer.SlotIDs()[0]].appt
		for _, a := range h.appts { // of another slot, where nothing stands on this one
			if native == "" {
				native = a.ID
			}
		}
		return scheduling.Appointment{ID: native, Status: scheduling.ApptBooked}, nil
	}
	a := h.commit(call, f)
	switch {
	case a == nil:
		return scheduling.Appointment{}, h.blame(scheduling.SlotTaken)
	case f == LostAfter:
		return scheduling.Appointment{}, h.blame(scheduling.InDoubt)
	case f == Empty:
		return scheduling.Appointment{}, nil
	default:
		return h.shown(a), nil
	}
}

// commit books; nil: the slot is taken.
func (h *EHR) commit(call scheduling.BookCall, f Fault) *scheduling.Appointment {
	ids := call.Offer.SlotIDs()
	if !h.state[Lax] && !h.free(ids, call.Hold) {
		return nil
	}
	if call.Moves != "" {
		return h.move(call, ids)
	}
	patients := call.Patients
	switch f {
	case OtherPatient:
		patients = []string{"somebody-else"}
	case Nobody:
		patients = nil
	}
	a := h.held(call.Hold)
	if a == nil {
		a = h.create(scheduling.ApptBooked, ids, patients, call.Identifier)
	}
	a.Status, a.Patient, a.Identifiers = scheduling.ApptBooked, slices.Clone(patients), []string{call.Identifier}
	if f == OtherTime {
		a.Start, a.End = a.Start.Add(time.Hour), a.End.Add(time.Hour)
	}
	h.touch(a)
	h.occupy(ids, a, scheduling.SlotBusy)
	return a
}

func (h *EHR) held(hold *scheduling.Hold) *scheduling.Appointment {
	if hold == nil {
		return nil
	}
	if a := h.appts[hold.Native]; a != nil && a.Status == scheduling.ApptPending {
		return a
	}
	return nil
}

func (h *EHR) move(call scheduling.BookCall, ids []string) *scheduling.Appointment {
	a := h.appts[call.Moves]
	if a == nil || !a.Status.Stands() {
		return nil
	}
	if pending := h.held(call.Hold); pending != nil {
		pending.Status = scheduling.ApptCancelled
		h.leave(pending)
	}
	h.leave(a)
	a.Start, a.End, a.Slots = call.Offer.Start(), call.Offer.End(), ids
	h.touch(a)
	h.occupy(ids, a, scheduling.SlotBusy)
	return a
}

// Cancel cancels an appointment.
func (h *EHR) Cancel(ctx context.Context, call scheduling.CancelCall) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return h.blame(scheduling.SourceDown)
	}
	f := h.take(scheduling.CallCancel)
	if err := h.refusal(f); err != nil {
		return err
	}
	do := func() {
		a := h.appts[call.Native]
		a.Status = scheduling.ApptCancelled
		h.touch(a)
		switch f {
		case KeepsSlot:
			h.stick(a)
		case LeavesSlot:
		default:
			h.leave(a)
		}
	}
	switch {
	case h.appts[call.Native] == nil:
		return h.blame(scheduling.UnknownID)
	case f == SaysOnly:
		return nil
	case f == LateCommit:
		h.later(do)
		return h.blame(scheduling.InDoubt)
	}
	do()
	if f == LostAfter || f == LeavesSlot {
		return h.blame(scheduling.InDoubt)
	}
	return nil
}

// stick keeps the slots that the appointment has for ever.
func (h *EHR) stick(a *scheduling.Appointment) {
	for _, s := range h.slots {
		s.stuck = s.stuck || s.appt == a.ID
	}
}

// Vacate frees the slots that a cancelled appointment left.
func (h *EHR) Vacate(ctx context.Context, call scheduling.VacateCall) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return h.blame(scheduling.SourceDown)
	}
	h.tick()
	a := h.appts[call.Native]
	if a == nil || !a.Status.Void() {
		return nil
	}
	for _, s := range h.slots {
		if s.appt == a.ID && !s.stuck {
			s.status, s.appt = scheduling.SlotFree, ""
		}
	}
	return nil
}

// CommitsLate cancels an appointment as a call of ours would that was given up,
// and leaves its slot to us.
func (h *EHR) CommitsLate(native string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.appts[native].Status = scheduling.ApptCancelled
	h.touch(h.appts[native])
}
