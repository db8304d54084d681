package ehrsim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// asked is what a $hold or $book is about, in whichever form it came.
type asked struct {
	id        string // in the path, as appt-id or appointment-reference
	resource  object // appt-resource, or the body itself
	patients  []string
	comment   string
	cancelled string // cancelled-appt-id
}

// asked reads the body of a $hold or $book.
func (rq *request) asked() (asked, error) {
	a := asked{id: rq.id}
	body, err := rq.resource()
	if err != nil {
		return a, err
	}
	switch body.str("resourceType") {
	case "":
	case "Appointment":
		a.resource = body
	case "Parameters":
		for _, v := range body.each("parameter") {
			p, _ := v.(object)
			if err := a.take(p); err != nil {
				return a, err
			}
		}
	default:
		return a, errNotParameters
	}
	if a.id == "" && a.resource == nil {
		return a, bad("neither appt-id nor appt-resource is given")
	}
	return a, nil
}

func (a *asked) take(p object) error {
	text, _ := parameterText(p)
	switch p.str("name") {
	case "appt-id", "appointment-reference":
		id := strings.TrimPrefix(localRef(text), "Appointment/")
		if a.id != "" && a.id != id {
			return bad("the path and appt-id name different appointments")
		}
		a.id = id
	case "appt-resource", "appointment-resource":
		if a.resource = p.obj("resource"); a.resource.str("resourceType") != "Appointment" {
			return bad("appt-resource is not an Appointment")
		}
	case "patient-id":
		ref := localRef(text)
		if !strings.Contains(ref, "/") {
			ref = "Patient/" + ref
		}
		a.patients = append(a.patients, ref)
	case "comment":
		a.comment = text
	case "cancelled-appt-id":
		a.cancelled = strings.TrimPrefix(localRef(text), "Appointment/")
	}
	return nil
}

// target is what a request asked for, found.
type target struct {
	id    string       // of the appointment to be
	held  *appointment // it is held already
	slots []*slot
	fresh bool   // named by resource: the server gives the id
	about object // how it would look
}

// target finds what is asked for. A slot that is not free, or an id that was
// used up, is refused.
func (t *tx) target(a asked) (target, error) {
	if a.id == "" {
		if id := a.resource.str("id"); t.appts[id] != nil || t.offered(id) != nil {
			a.id = id
		}
	}
	var at target
	var err error
	if a.id != "" {
		at, err = t.targetByID(a.id)
	} else {
		at, err = t.targetBySlots(a.resource)
	}
	if err != nil {
		return at, err
	}
	for _, sl := range at.slots {
		if at.held == nil && sl.status != "free" {
			return at, taken(at.about)
		}
	}
	return at, nil
}

func taken(about object) error {
	return &failure{status: http.StatusConflict, taken: true, about: about}
}

func (t *tx) targetByID(id string) (target, error) {
	if t.srv.opts.Dialect == Epic {
		return t.targetByTemporary(id)
	}
	if a := t.appts[id]; a != nil {
		at := target{id: id, held: a, about: a.resource}
		if a.status() != "pending" {
			return at, taken(at.about)
		}
		return at, nil
	}
	sl := t.offered(id)
	if sl == nil {
		return target{}, notFound("Appointment/" + id + " is not known")
	}
	return target{id: id, slots: []*slot{sl}, about: t.srv.offerOf(t.store, []*slot{sl})}, nil
}

// targetBySlots finds the slots of an appointment that the client built from
// prefetched ones. Several must follow one another on one schedule.
func (t *tx) targetBySlots(resource object) (target, error) {
	at := target{fresh: true}
	for _, id := range slotIDs(resource) {
		sl := t.slots[id]
		if sl == nil {
			return at, notFound("Slot/" + id + " is not known")
		}
		if n := len(at.slots); n > 0 && (at.slots[n-1].schedule != sl.schedule || !at.slots[n-1].end.Equal(sl.start)) {
			return at, unprocessable("business-rule", "the slots do not follow one another")
		}
		at.slots = append(at.slots, sl)
	}
	if len(at.slots) == 0 {
		return at, unprocessable("required", "the appointment names no slot")
	}
	for name, want := range map[string]time.Time{"start": at.slots[0].start, "end": at.slots[len(at.slots)-1].end} {
		if text := resource.str(name); text != "" {
			if sp, err := parseSpan(text, t.srv.zone); err != nil || !sp.from.Equal(want) {
				return at, unprocessable("business-rule", name+" is not that of the slot")
			}
		}
	}
	at.about = t.srv.overlay(t.srv.offerOf(t.store, at.slots), resource)
	return at, nil
}

// offerOf writes adjacent slots as one proposed appointment.
func (s *Server) offerOf(st *store, slots []*slot) object {
	o := s.offer(st, slots[0], nil)
	last := slots[len(slots)-1]
	if len(slots) > 1 {
		o = o.with("end", s.flavour.slot(last).get("end"), "")
	}
	var refs list
	for _, sl := range slots {
		refs = append(refs, obj("reference", "Slot/"+sl.id))
	}
	return o.with("slot", refs, "minutesDuration").with("minutesDuration", int(last.end.Sub(slots[0].start)/time.Minute), "end").without("requestedPeriod")
}

// overlay takes over what a client may say about its appointment.
func (s *Server) overlay(o, from object) object {
	for _, name := range words("extension identifier reason reasonCode reasonReference indication description priority supportingInformation comment patientInstruction basedOn incomingReferral") {
		if v := from.get(name); !isEmpty(v) {
			o = o.with(name, v, "id")
		}
	}
	return o
}

// use gives the appointment its id: the offer's own, or a new one.
func (t *tx) use(at *target) {
	if at.fresh {
		at.id = "appt-" + strconv.Itoa(t.number())
	}
	if at.held == nil && !at.fresh {
		slot := at.slots[0].id
		t.offers[slot]++
		t.undo = append(t.undo, func() { t.offers[slot]-- })
	}
}

// hold answers Appointment/$hold and Appointment/{id}/$hold.
func (s *Server) hold(rq *request) (reply, error) {
	a, err := rq.asked()
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		at, err := t.target(a)
		if err == nil && at.held != nil && !s.opts.RenewHolds {
			err = taken(at.about)
		}
		if err != nil {
			return reply{}, err
		}
		t.use(&at)
		until, told := t.now.Add(s.opts.HoldFor), t.now.Add(s.opts.HoldFor)
		if f, lost := rq.hits[FaultLoseHolds]; lost {
			until = t.now.Add(time.Duration(f.Delay))
		}
		resource := withStatus(at.about.with("id", at.id, ""), "pending", "tentative")
		ans := s.appointmentReply(rq, t.putAppointment(at.id, resource, until), at.fresh)
		ans.header = s.holdEnds(told)
		return ans, nil
	})
}

// appointmentReply is a Bundle of one appointment: 201 with its Location when
// it was named by resource.
func (s *Server) appointmentReply(rq *request, a *appointment, fresh bool) reply {
	o := s.flavour.appointment(a)
	entries := list{entry(rq.base, o, "match")}
	if s.opts.Outcomes {
		entries = append(entries, entry(rq.base, outcome("information", "informational", "the operation was successful"), "outcome"))
	}
	ans := reply{status: http.StatusOK, body: s.bundle(1, nil, entries), tagged: o}
	if fresh {
		ans.status, ans.location = http.StatusCreated, true
	}
	return ans
}
