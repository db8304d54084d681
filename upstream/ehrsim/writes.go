package ehrsim

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mayBecome are the changes of an appointment's status that a client may make;
// all others are the clinic's own.
var mayBecome = map[string][]string{
	"proposed": words("proposed pending booked cancelled"),
	"pending":  words("pending booked cancelled"),
	"booked":   words("booked cancelled arrived checked-in"),
}

// patchAppointment answers PATCH Appointment/{id}: cancelling, for the most.
func (s *Server) patchAppointment(rq *request) (reply, error) {
	steps, err := rq.patch()
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		a := t.appts[rq.id]
		if a == nil {
			return reply{}, notFound("Appointment/" + rq.id + " is not known")
		}
		if err := s.ifMatch(rq.http.Header.Get("If-Match"), http.MethodPatch, a.version); err != nil {
			return reply{}, err
		}
		next, err := s.applyPatch(a.resource, steps)
		if err != nil {
			return reply{}, err
		}
		return t.revise(a, next)
	})
}

// putAppointmentResource answers PUT Appointment/{id}.
func (s *Server) putAppointmentResource(rq *request) (reply, error) {
	body, err := rq.resource()
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		return t.put("Appointment", rq.id, body, rq.http.Header.Get("If-Match"))
	})
}

// put writes a whole resource over the one that is there.
func (t *tx) put(typ, id string, body object, ifMatch string) (reply, error) {
	if body.str("resourceType") != typ || body.str("id") != id {
		return reply{}, bad("the body is not " + typ + "/" + id)
	}
	switch typ {
	case "Appointment":
		a := t.appts[id]
		if a == nil {
			return reply{}, notFound("Appointment/" + id + " is not known")
		}
		if err := t.srv.ifMatch(ifMatch, http.MethodPut, a.version); err != nil {
			return reply{}, err
		}
		return t.revise(a, body)
	case "Slot":
		sl := t.slots[id]
		if sl == nil {
			return reply{}, notFound("Slot/" + id + " is not known")
		}
		if err := t.srv.ifMatch(ifMatch, http.MethodPut, sl.version); err != nil {
			return reply{}, err
		}
		return t.writeSlot(sl, body)
	}
	return reply{}, unprocessable("not-supported", typ+" cannot be put")
}

// revise gives an appointment its next version, if anything is new.
func (t *tx) revise(a *appointment, next object) (reply, error) {
	status := next.str("status")
	same := bytes.Equal(appendJSON(nil, a.resource.without("meta")), appendJSON(nil, next.without("meta")))
	switch {
	case next.str("id") != a.id:
		return reply{}, unprocessable("invalid", "the id cannot change")
	case !slices.Contains(appointmentStatuses, status):
		return reply{}, unprocessable("code-invalid", "the status is not known")
	case status != a.status() && !slices.Contains(mayBecome[a.status()], status):
		return reply{}, unprocessable("business-rule", "a "+a.status()+" appointment cannot become "+status)
	}
	if err := t.knownPatients(next); err != nil {
		return reply{}, err
	}
	if !same {
		if status == "cancelled" && a.status() != status && t.follows {
			next = withStatus(next, status, "declined")
		}
		if err := t.freeFor(a.id, next); err != nil {
			return reply{}, err
		}
		next = t.atItsSlots(a.resource, next)
		expires := a.expires
		if status != "pending" {
			expires = time.Time{}
		}
		a = t.putAppointment(a.id, next, expires)
	}
	o := t.srv.flavour.appointment(a)
	return reply{status: http.StatusOK, body: o, tagged: o}, nil
}

// atItsSlots gives an appointment that was put to other slots their times.
func (t *tx) atItsSlots(before, next object) object {
	ids := slotIDs(next)
	if !t.follows || len(ids) == 0 || slices.Equal(ids, slotIDs(before)) {
		return next
	}
	var slots []*slot
	for _, id := range ids {
		if t.slots[id] == nil {
			return next
		}
		slots = append(slots, t.slots[id])
	}
	o := t.srv.offerOf(t.store, slots)
	for _, name := range words("start end minutesDuration") {
		next = next.with(name, o.get(name), "status")
	}
	return next
}

// freeFor: a strict server lets an appointment have only slots that are free,
// its own, or put aside by a client (who, it cannot know).
func (t *tx) freeFor(id string, resource object) error {
	if !t.follows || !slices.Contains(standingStatuses, resource.str("status")) {
		return nil
	}
	for _, slotID := range slotIDs(resource) {
		sl := t.slots[slotID]
		if sl == nil {
			return unprocessable("not-found", "Slot/"+slotID+" is not known")
		}
		if t.holders[slotID][id] {
			continue
		}
		if len(t.holders[slotID]) > 0 || sl.status != "free" && !sl.written {
			return taken(resource)
		}
	}
	return nil
}

func (t *tx) knownPatients(resource object) error {
	for _, ref := range patientRefs(resource) {
		if t.get("Patient", strings.TrimPrefix(ref, "Patient/")) == nil {
			return unprocessable("not-found", ref+" is not known")
		}
	}
	return nil
}

// createAppointment answers POST Appointment.
func (s *Server) createAppointment(rq *request) (reply, error) {
	body, err := rq.resource()
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		return t.create(rq, "Appointment", "", body, rq.http.Header.Get("If-None-Exist"))
	})
}

// create adds a resource unless one fits ifNoneExist: that one, or 412 when
// there are several. An empty id is given anew.
func (t *tx) create(rq *request, typ, id string, body object, ifNoneExist string) (reply, error) {
	if body.str("resourceType") != typ {
		return reply{}, bad("the body is not of type " + typ)
	}
	if known, err := t.existing(typ, ifNoneExist); err != nil || known != nil {
		return reply{status: http.StatusOK, body: known, tagged: known, location: true}, err
	}
	if typ == "Coverage" {
		if err := t.insurable(body); err != nil {
			return reply{}, err
		}
	}
	if typ != "Appointment" {
		o := t.addResource(typ, id, body)
		return reply{status: http.StatusCreated, body: o, tagged: o, location: true}, nil
	}
	if id == "" {
		id = "appt-" + strconv.Itoa(t.number())
	}
	body, err := t.acceptable(rq, body.with("id", id, "resourceType"))
	if err != nil {
		return reply{}, err
	}
	o := t.srv.flavour.appointment(t.putAppointment(id, body, time.Time{}))
	return reply{status: http.StatusCreated, body: o, tagged: o, location: true}, nil
}

// existing looks for what a conditional create must not double.
func (t *tx) existing(typ, ifNoneExist string) (object, error) {
	if ifNoneExist == "" || t.srv.opts.NoConditional {
		return nil, nil
	}
	_, query, ok := strings.Cut(ifNoneExist, "?")
	if !ok {
		query = ifNoneExist
	}
	params, err := url.ParseQuery(query)
	f, unknown := filterOf(typ, params)
	if err != nil || len(unknown) > 0 || len(f) == 0 {
		return nil, bad("If-None-Exist cannot be used")
	}
	var found []object
	for _, o := range t.all(typ) {
		if f.keeps(o) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, &failure{status: http.StatusPreconditionFailed, code: "multiple-matches", text: "If-None-Exist fits more than one resource"}
}

// all gives every resource of a type. The caller holds the lock.
func (t *tx) all(typ string) []object {
	var out []object
	if typ == "Appointment" {
		for _, a := range t.sorted() {
			out = append(out, t.srv.flavour.appointment(a))
		}
		return out
	}
	t.every(typ, func(o object) { out = append(out, o) })
	return out
}

// acceptable checks a new appointment, and lets the faults of booking have it.
func (t *tx) acceptable(rq *request, body object) (object, error) {
	switch {
	case !slices.Contains(appointmentStatuses, body.str("status")):
		return nil, unprocessable("required", "status is missing or not known")
	case len(body.each("participant")) == 0:
		return nil, unprocessable("required", "participant is missing")
	}
	if err := t.knownPatients(body); err != nil {
		return nil, err
	}
	if err := t.insured(patientRefs(body)); err != nil {
		return nil, err
	}
	if err := t.freeFor("", body); err != nil {
		return nil, err
	}
	if rq.hits.has(FaultOtherSlot) {
		body = t.moveElsewhere(body)
	}
	if rq.hits.has(FaultOtherPatient) {
		body = t.withOtherPatient(body)
	}
	return body, nil
}

func (t *tx) moveElsewhere(body object) object {
	var asked []*slot
	for _, id := range slotIDs(body) {
		asked = append(asked, t.slots[id])
	}
	other := t.otherSlot(asked)
	if other == nil {
		return body
	}
	w := t.srv.flavour.slot(other)
	return body.with("slot", list{obj("reference", "Slot/"+other.id)}, "").with("start", w.get("start"), "").with("end", w.get("end"), "")
}

func (t *tx) withOtherPatient(body object) object {
	var people list
	for _, v := range body.each("participant") {
		p, _ := v.(object)
		if ref := localRef(p.obj("actor").str("reference")); strings.HasPrefix(ref, "Patient/") {
			p = p.with("actor", obj("reference", otherPatient([]string{ref})), "")
		}
		people = append(people, p)
	}
	return body.with("participant", people, "")
}
