package ehrsim

import (
	"slices"
	"strings"
	"time"
)

// book answers Appointment/$book and Appointment/{id}/$book.
func (s *Server) book(rq *request) (reply, error) {
	a, err := rq.asked()
	if err != nil {
		return reply{}, err
	}
	return s.bookAsked(rq, a)
}

// bookAsked books what was asked for.
func (s *Server) bookAsked(rq *request, a asked) (reply, error) {
	return s.change(rq, func(t *tx) (reply, error) {
		at, err := t.target(a)
		if err != nil {
			return reply{}, err
		}
		patients, err := t.patients(rq, append(patientRefs(a.resource), a.patients...))
		if err == nil && a.cancelled != "" {
			err = t.cancelled(a.cancelled)
		}
		if err != nil {
			return reply{}, err
		}
		t.use(&at)
		resource := t.elsewhere(rq, at)
		if at.held != nil || s.opts.Dialect == IHE {
			resource = s.overlay(resource, a.resource)
		}
		resource = booked(resource, at.id, patients, a.comment).with("created", s.flavour.instant(t.now, s.zone), "slot")
		return s.appointmentReply(rq, t.putAppointment(at.id, resource, time.Time{}), at.fresh), nil
	})
}

// booked writes the appointment as it stands once these patients have it.
func booked(o object, id string, patients []string, comment string) object {
	people := slices.DeleteFunc(slices.Clone(o.each("participant")), func(v any) bool {
		p, _ := v.(object)
		return strings.HasPrefix(localRef(p.obj("actor").str("reference")), "Patient/")
	})
	for _, ref := range patients {
		people = append(people, obj("actor", obj("reference", ref), "required", "required", "status", "accepted"))
	}
	o = o.with("id", id, "").with("participant", people, "")
	if comment != "" {
		o = o.with("comment", comment, "")
	}
	return withStatus(o, "booked", "accepted")
}

// patients checks those who are to be booked; a fault puts another in place.
func (t *tx) patients(rq *request, refs []string) ([]string, error) {
	slices.Sort(refs)
	refs = slices.Compact(refs)
	if len(refs) == 0 {
		return nil, unprocessable("required", "no patient is named")
	}
	for _, ref := range refs {
		typ, id, _ := strings.Cut(ref, "/")
		if typ != "Patient" || t.get(typ, id) == nil {
			return nil, unprocessable("not-found", ref+" is not known")
		}
	}
	if err := t.insured(refs); err != nil {
		return nil, err
	}
	if rq.hits.has(FaultOtherPatient) {
		return []string{otherPatient(refs)}, nil
	}
	return refs, nil
}

// cancelled checks what cancelled-appt-id names.
func (t *tx) cancelled(id string) error {
	a := t.appts[id]
	if a == nil {
		return notFound("Appointment/" + id + " is not known")
	}
	if t.srv.opts.MovesCancelled && a.standing() {
		t.cancel(id, "")
	}
	return nil
}

// elsewhere is the appointment to book: the one asked for, or by a fault one at
// the next free slot of the same schedule.
func (t *tx) elsewhere(rq *request, at target) object {
	if !rq.hits.has(FaultOtherSlot) {
		return at.about
	}
	wrong := slices.Clone(at.slots)
	if at.held != nil {
		wrong = nil
		for _, id := range slotIDs(at.held.resource) {
			wrong = append(wrong, t.slots[id])
		}
	}
	if other := t.otherSlot(wrong); other != nil {
		return t.srv.overlay(t.srv.offerOf(t.store, []*slot{other}), at.about)
	}
	return at.about
}

// otherSlot finds the next free slot on the schedule of those asked for.
func (t *tx) otherSlot(asked []*slot) *slot {
	for _, sl := range t.store.book {
		if len(asked) > 0 && asked[0] != nil && sl.status == "free" && sl.schedule == asked[0].schedule && sl.start.After(asked[0].start) && !slices.Contains(asked, sl) {
			return sl
		}
	}
	return nil
}
