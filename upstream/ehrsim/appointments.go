package ehrsim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Appointment is one entry of the appointment book, as tests and the control
// API see it.
type Appointment struct {
	ID           string     `json:"id"`
	Status       string     `json:"status"` // pending (held), booked, cancelled, ...
	Slots        []string   `json:"slots"`  // ids
	Patients     []string   `json:"patients"`
	Practitioner string     `json:"practitioner,omitempty"` // "Practitioner/x"
	Location     string     `json:"location,omitempty"`
	Start        time.Time  `json:"start"`
	End          time.Time  `json:"end"`
	Identifiers  []string   `json:"identifiers,omitempty"` // "system|value"
	Comment      string     `json:"comment,omitempty"`
	Reason       string     `json:"reason,omitempty"`  // why it was cancelled: text, else code
	Version      int        `json:"version"`           // ETag is W/"version"
	Expires      *time.Time `json:"expires,omitempty"` // when a hold really lapses
	History      []Change   `json:"history"`           // oldest first; the last is what stands
}

// Change is one version of an appointment.
type Change struct {
	Version  int       `json:"version"`
	At       time.Time `json:"at"` // by the simulated clock
	By       string    `json:"by"` // fhir, clinic, rival, lapse
	Status   string    `json:"status"`
	Slots    []string  `json:"slots"`
	Patients []string  `json:"patients"`
}

// BookLine is one slot taken up by one standing appointment.
type BookLine struct {
	Slot        string    `json:"slot"` // "" when the appointment names none
	SlotStatus  string    `json:"slotStatus"`
	Start       time.Time `json:"start"`
	Appointment string    `json:"appointment"`
	Status      string    `json:"status"`
	Patients    []string  `json:"patients"`
}

// String is the line as a book of paper would have it.
func (l BookLine) String() string {
	return fmt.Sprintf("%s %s %s: %s %s for %s", l.Start.Format(time.RFC3339), l.Slot, l.SlotStatus, l.Appointment, l.Status, strings.Join(l.Patients, " "))
}

// Errors of the methods that change the appointment book.
var (
	ErrNoAppointment = errors.New("ehrsim: no such appointment")
	ErrTaken         = errors.New("ehrsim: the slot is taken")
)

func (s *Server) publicAppointment(a *appointment) Appointment {
	out := Appointment{
		ID: a.id, Status: a.status(), Slots: slotIDs(a.resource), Patients: patientRefs(a.resource), Comment: a.resource.str("comment"), Version: a.version,
	}
	for _, ref := range refsTo(a.resource.find("participant.actor.reference"), "Practitioner/") {
		out.Practitioner = "Practitioner/" + ref
	}
	for _, ref := range refsTo(a.resource.find("participant.actor.reference"), "Location/") {
		out.Location = "Location/" + ref
	}
	if sp, err := parseSpan(a.resource.str("start"), s.zone); err == nil {
		out.Start = sp.from.UTC()
	}
	if sp, err := parseSpan(a.resource.str("end"), s.zone); err == nil {
		out.End = sp.from.UTC()
	}
	for _, v := range a.resource.each("identifier") {
		o, _ := v.(object)
		out.Identifiers = append(out.Identifiers, o.str("system")+"|"+o.str("value"))
	}
	if !a.expires.IsZero() {
		out.Expires = &a.expires
	}
	out.Reason = reasonOf(a.resource)
	for ; a != nil; a = a.before {
		out.History = append(out.History, Change{a.version, a.updated, a.by, a.status(), slotIDs(a.resource), patientRefs(a.resource)})
	}
	slices.Reverse(out.History)
	return out
}

// reasonOf is why an appointment was cancelled: R4's element or Argonaut's
// extension.
func reasonOf(resource object) string {
	concept := resource.obj("cancelationReason")
	for _, v := range resource.each("extension") {
		if x, _ := v.(object); x.str("url") == extReason {
			concept = x.obj("valueCodeableConcept")
		}
	}
	if text := concept.str("text"); text != "" {
		return text
	}
	for _, v := range concept.each("coding") {
		c, _ := v.(object)
		return c.str("code")
	}
	return ""
}

// sorted lists the appointments in the order they came. The caller holds the
// lock.
func (l *ledger) sorted() []*appointment {
	out := make([]*appointment, 0, len(l.appts))
	for _, a := range l.appts {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *appointment) int { return cmp.Compare(a.n, b.n) })
	return out
}

// Appointments lists the appointment book in the order the entries came; with
// statuses only those.
func (s *Server) Appointments(status ...string) []Appointment {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	out := []Appointment{}
	for _, a := range st.sorted() {
		if len(status) == 0 || slices.Contains(status, a.status()) {
			out = append(out, s.publicAppointment(a))
		}
	}
	return out
}

// Appointment gives one with its history; ErrNoAppointment.
func (s *Server) Appointment(id string) (Appointment, error) {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	a := st.appts[id]
	if a == nil {
		return Appointment{}, fmt.Errorf("%w: %s", ErrNoAppointment, id)
	}
	return s.publicAppointment(a), nil
}

// Book is the appointment book line by line: every slot that a standing (held,
// booked, arrived...) appointment takes up, by start. A slot that stands twice
// is booked twice.
func (s *Server) Book() []BookLine {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	out := []BookLine{}
	for _, a := range st.sorted() {
		if !a.standing() {
			continue
		}
		p := s.publicAppointment(a)
		for _, id := range append(p.Slots, "")[:max(1, len(p.Slots))] {
			line := BookLine{Slot: id, Start: p.Start, Appointment: p.ID, Status: p.Status, Patients: p.Patients}
			if sl := st.slots[id]; sl != nil {
				line.SlotStatus, line.Start = sl.status, sl.start
			}
			out = append(out, line)
		}
	}
	slices.SortStableFunc(out, func(a, b BookLine) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Slot, b.Slot))
	})
	return out
}

// DoubleBooked lists the slots that more than one standing appointment takes.
func (s *Server) DoubleBooked() []string {
	var out []string
	lines := s.Book()
	for i := 1; i < len(lines); i++ {
		if lines[i].Slot != "" && lines[i].Slot == lines[i-1].Slot {
			out = append(out, lines[i].Slot)
		}
	}
	return slices.Compact(out)
}

// TakeSlot books a slot as somebody at the clinic would, for a patient
// ("Patient/x"; empty: a stranger). ErrNoSlot; ErrTaken when it is not free,
// or with force only when it is booked: a hold is then thrown out.
func (s *Server) TakeSlot(slot, patient string, force bool) (Appointment, error) {
	setDefault(&patient, rivalPatient)
	var out Appointment
	err := s.update("rival", func(t *tx) error {
		a, err := t.take(slot, patient, force)
		if err != nil {
			return fmt.Errorf("%w: %s", err, slot)
		}
		out = s.publicAppointment(a)
		return nil
	})
	return out, err
}

// CancelAppointment cancels as the clinic would; ErrNoAppointment.
func (s *Server) CancelAppointment(id, reason string) error {
	return s.clinic(id, func(t *tx, _ *appointment) error {
		t.cancel(id, reason)
		return nil
	})
}

// SetAppointmentStatus sets any status as the clinic would: arrived, fulfilled,
// noshow, entered-in-error... ErrNoAppointment, ErrBadStatus.
func (s *Server) SetAppointmentStatus(id, status string) error {
	if !slices.Contains(appointmentStatuses, status) {
		return fmt.Errorf("%w: %q", ErrBadStatus, status)
	}
	return s.clinic(id, func(t *tx, a *appointment) error {
		t.putAppointment(id, a.resource.with("status", status, ""), time.Time{})
		return nil
	})
}

// MoveAppointment puts an appointment to another free slot as the clinic would;
// ErrNoAppointment, ErrNoSlot, ErrTaken.
func (s *Server) MoveAppointment(id, slotID string) error {
	return s.clinic(id, func(t *tx, a *appointment) error {
		sl := t.slots[slotID]
		if sl == nil {
			return fmt.Errorf("%w: %s", ErrNoSlot, slotID)
		}
		if sl.status != "free" {
			return fmt.Errorf("%w: %s", ErrTaken, slotID)
		}
		o := s.offerOf(t.store, []*slot{sl})
		moved := a.resource
		for _, name := range words("slot start end minutesDuration") {
			moved = moved.with(name, o.get(name), "status")
		}
		t.putAppointment(id, moved, time.Time{})
		return nil
	})
}

// LapseHold lets a hold end before its time; ErrNoAppointment when it is none.
func (s *Server) LapseHold(id string) error {
	return s.update("lapse", func(t *tx) error {
		if _, held := t.holds[id]; !held {
			return fmt.Errorf("%w: %s is not held", ErrNoAppointment, id)
		}
		t.cancel(id, "")
		return nil
	})
}

// LapseHolds lets all holds end and says how many there were.
func (s *Server) LapseHolds() int {
	n := 0
	for _, a := range s.Appointments("pending") {
		if s.LapseHold(a.ID) == nil {
			n++
		}
	}
	return n
}

func (s *Server) clinic(id string, change func(*tx, *appointment) error) error {
	return s.update("clinic", func(t *tx) error {
		a := t.appts[id]
		if a == nil {
			return fmt.Errorf("%w: %s", ErrNoAppointment, id)
		}
		return change(t, a)
	})
}
