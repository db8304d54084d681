package ehrsim

import (
	"net/http"
	"slices"
	"time"
)

// An EHR of IHE ITI Scheduling (R4): Appointment/$find, $hold and $book, POSTed
// as Parameters, and appointments that are read and searched. Slots and
// Schedules are nobody's business there: appointments name the slots, and that
// is all that is seen of them.

// iheInputs are the parameters of each operation, with the value that each has.
var iheInputs = map[string]map[string]string{
	"find": {
		"start": "valueDateTime", "end": "valueDateTime", "specialty": "valueString", "visit-type": "valueString", "reason": "valueString",
		"practitioner": "valueReference", "organization": "valueReference", "location-reference": "valueReference", "patient-reference": "valueReference",
		"location-string": "valueString", "patient-resource": "resource", "referral-identifier": "valueIdentifier", "timing": "valueTiming",
		"insurance-reference": "valueReference", "_count": "valueInteger",
	},
	"hold": {"appointment-reference": "valueReference"},
	"book": {
		"appointment-reference": "valueReference", "appointment-resource": "resource", "patient-resource": "resource", "comment": "valueString",
	},
}

// strictly reads the Parameters of an operation, and refuses what the profile
// does not know.
func (rq *request) strictly(inputs map[string]map[string]string) (list, error) {
	body, err := rq.resource()
	if err != nil {
		return nil, err
	}
	if body.str("resourceType") != "Parameters" {
		return nil, errNotParameters
	}
	for _, v := range body.each("parameter") {
		p, _ := v.(object)
		want, known := inputs[rq.act][p.str("name")]
		if !known {
			return nil, bad("parameter " + p.str("name") + " is not one of $" + rq.act)
		}
		if isEmpty(p.get(want)) {
			return nil, bad("parameter " + p.str("name") + " has no " + want)
		}
	}
	return body.each("parameter"), nil
}

// iheFind answers $find in pages, with the total of all.
func (s *Server) iheFind(rq *request) (reply, error) {
	if rq.http.Method != http.MethodPost {
		return reply{}, &failure{status: http.StatusMethodNotAllowed, code: "not-supported", text: "$find is POSTed"}
	}
	if _, err := rq.strictly(iheInputs); err != nil {
		return reply{}, err
	}
	if rq.params.Get("start") == "" || rq.params.Get("end") == "" {
		return reply{}, bad("start and end must be given")
	}
	found, err := s.openSlots(rq)
	if err != nil {
		return reply{}, err
	}
	st := s.data()
	rows := s.proposals(st, found, rq)
	if len(rows) == 0 {
		note := outcome("information", "informational", "no availability for what was asked")
		return plain(s.bundle(0, nil, list{entry(rq.base, note, "outcome")}), nil)
	}
	return plain(s.firstPage(st, rq, &result{typ: "Appointment", rows: rows, params: rq.params}))
}

// proposals writes slots as appointments that could be made.
func (s *Server) proposals(st *store, found []*slot, rq *request) []row {
	st.mu.RLock()
	defer st.mu.RUnlock()
	rows := make([]row, len(found))
	for i, sl := range found {
		rows[i] = s.offer(st, sl, rq.params)
	}
	return rows
}

// iheHold answers $hold, which takes nothing but the reference of a proposal.
func (s *Server) iheHold(rq *request) (reply, error) {
	if rq.id != "" {
		return reply{}, notFound("nothing is served at " + rq.path)
	}
	if _, err := rq.strictly(iheInputs); err != nil {
		return reply{}, err
	}
	return s.hold(rq)
}

// iheBook answers $book: the status of the appointment that it is given says
// what is wanted of it.
func (s *Server) iheBook(rq *request) (reply, error) {
	if rq.id != "" {
		return reply{}, notFound("nothing is served at " + rq.path)
	}
	params, err := rq.strictly(iheInputs)
	if err != nil {
		return reply{}, err
	}
	a, err := rq.asked()
	if err != nil {
		return reply{}, err
	}
	switch a.resource.str("status") {
	case "", "pending":
		return s.bookAsked(rq, a.with(params))
	case "booked", "cancelled":
		return s.iheChange(rq, a.resource)
	default:
		return reply{}, unprocessable("business-rule", "the status says neither to book, nor to change, nor to cancel")
	}
}

// with adds the patients that are given as resources.
func (a asked) with(params list) asked {
	for _, v := range params {
		p, _ := v.(object)
		if p.str("name") == "patient-resource" {
			a.patients = append(a.patients, "Patient/"+p.obj("resource").str("id"))
		}
	}
	return a
}

// iheChange moves or cancels an appointment.
func (s *Server) iheChange(rq *request, asked object) (reply, error) {
	return s.change(rq, func(t *tx) (reply, error) {
		a := t.appts[asked.str("id")]
		if a == nil {
			return reply{}, notFound("Appointment/" + asked.str("id") + " is not known")
		}
		if err := s.ifMatch(rq.http.Header.Get("If-Match"), http.MethodPatch, a.version); err != nil {
			return reply{}, err
		}
		next := asked
		if asked.str("status") == "cancelled" {
			next = withStatus(a.resource, "cancelled", "declined").with("cancelationReason", asked.get("cancelationReason"), "status")
		} else if a.status() != "booked" {
			return reply{}, unprocessable("business-rule", "a "+a.status()+" appointment cannot be changed")
		} else if len(slotIDs(next)) == 0 {
			sl := t.slotLike(asked)
			if sl == nil {
				return reply{}, taken(asked)
			}
			next = next.with("slot", list{obj("reference", "Slot/"+sl.id)}, "end")
		}
		return t.reviseInBundle(rq, a, next)
	})
}

// reviseInBundle answers with a searchset, as operations do.
func (t *tx) reviseInBundle(rq *request, a *appointment, next object) (reply, error) {
	ans, err := t.revise(a, next.without("meta"))
	if err != nil {
		return ans, err
	}
	ans.body = t.srv.bundle(1, nil, list{entry(rq.base, ans.body, "match")})
	return ans, nil
}

// slotLike finds the free slot of an appointment that names none: by its times
// and those who take part.
func (t *tx) slotLike(resource object) *slot {
	from, err := parseSpan(resource.str("start"), t.srv.zone)
	to, err2 := parseSpan(resource.str("end"), t.srv.zone)
	if err != nil || err2 != nil {
		return nil
	}
	var people []string
	for _, kind := range []string{"Practitioner/", "Location/"} {
		for _, id := range refsTo(resource.find("participant.actor.reference"), kind) {
			people = append(people, kind+id)
		}
	}
	for _, sl := range t.book {
		if sl.start.Equal(from.from) && sl.end.Equal(to.from) && sl.status == "free" && t.binds(sl, people) {
			return sl
		}
	}
	return nil
}

// binds: everybody who is named takes part in the slot's schedule.
func (t *tx) binds(sl *slot, people []string) bool {
	r := t.reach[localRef(sl.schedule)]
	return r != nil && !slices.ContainsFunc(people, func(ref string) bool { return !r.refs[ref] })
}

// iheCancels tells whether a $book is really a cancel.
func (rq *request) iheCancels() bool {
	if rq.srv.opts.Dialect != IHE || rq.act != "book" {
		return false
	}
	body, err := rq.resource()
	if err != nil {
		return false
	}
	for _, v := range body.each("parameter") {
		p, _ := v.(object)
		if p.obj("resource").str("status") == "cancelled" {
			return true
		}
	}
	return false
}

// operates: the dialect is one of operations, whose slots follow appointments.
func (d Dialect) operates() bool { return d == Argonaut || d == IHE || d == Epic }

// knows: slots and schedules are resources of their own.
func (d Dialect) knows(typ string) bool {
	return d == Argonaut || d == Slots || d == Links || typ != "Slot" && typ != "Schedule"
}

// holdEnds is the time that $hold tells in Expires, where it does.
func (s *Server) holdEnds(until time.Time) map[string]string {
	if s.opts.NoExpires || s.opts.Dialect == IHE {
		return nil
	}
	return map[string]string{"Expires": until.Format(http.TimeFormat)}
}
