package ehrsim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An EHR that speaks as Epic does (STU3): Appointment/$find and $book with
// parameter names of its own. What $find proposes has another id each time, by
// which it can be booked for a while; there are no holds, and neither slots nor
// schedules are seen.

// epicInputs are the parameters of each operation, with the value that each has.
var epicInputs = map[string]map[string]string{
	"find": {
		"startTime": "valueDateTime", "endTime": "valueDateTime", "patient": "resource", "serviceType": "valueCodeableConcept",
		"indications": "valueCodeableConcept", "specialties": "valueCodeableConcept", "location-reference": "valueReference", "time-of-day": "valueTiming",
	},
	"book": {"patient": "valueIdentifier", "appointment": "valueIdentifier", "appointmentNote": "valueString"},
}

// epicFind answers $find with everything at once.
func (s *Server) epicFind(rq *request) (reply, error) {
	if rq.http.Method != http.MethodPost {
		return reply{}, &failure{status: http.StatusMethodNotAllowed, code: "not-supported", text: "$find is POSTed"}
	}
	if _, err := rq.strictly(epicInputs); err != nil {
		return reply{}, err
	}
	from, to := rq.params.Get("startTime"), rq.params.Get("endTime")
	if from == "" || to == "" {
		return reply{}, bad("startTime and endTime must be given")
	}
	rq.params.Set("start", from)
	rq.params.Set("end", to)
	found, err := s.openSlots(rq)
	if err != nil {
		return reply{}, err
	}
	if len(found) == 0 {
		return plain(s.bundle(0, nil, list{entry(rq.base, s.epicNote("4101", "Resource request returns no results."), "outcome")}), nil)
	}
	st := s.data()
	rows := s.temporaries(st, found)
	if s.opts.PageOperations {
		return plain(s.firstPage(st, rq, &result{typ: "Appointment", rows: rows}))
	}
	return plain(s.bundle(len(rows), nil, s.entries(st, rq, rows, nil)), nil)
}

// temporaries writes slots as appointments whose ids are of this answer alone.
func (s *Server) temporaries(st *store, found []*slot) []row {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.asked++
	rows := make([]row, len(found))
	for i, sl := range found {
		rows[i] = s.offer(st, sl, nil).with("id", st.temporaryID(sl.id, s.clock.now()), "").without("slot")
	}
	return rows
}

func (s *Server) epicNote(code, text string) object {
	return obj("resourceType", "OperationOutcome", "issue", list{obj("severity", "warning", "code", "processing",
		"details", obj("coding", list{obj("system", "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369", "code", code, "display", text)}, "text", text))})
}

// temporaryID is another one with every $find. The caller holds the lock.
func (l *ledger) temporaryID(slot string, now time.Time) string {
	return "t." + strconv.FormatInt(now.Unix(), 36) + "." + strconv.Itoa(l.asked) + "." + slot
}

// temporary finds the slot that was proposed under an id, if that is not too old.
func (st *store) temporary(id string, life time.Duration, now time.Time) *slot {
	parts := strings.SplitN(id, ".", 4)
	if len(parts) != 4 || parts[0] != "t" {
		return nil
	}
	at, err := strconv.ParseInt(parts[1], 36, 64)
	n, err2 := strconv.Atoi(parts[2])
	if err != nil || err2 != nil || n < 1 || n > st.asked || now.Sub(time.Unix(at, 0)) >= life {
		return nil
	}
	return st.slots[parts[3]]
}

// epicBook answers $book.
func (s *Server) epicBook(rq *request) (reply, error) {
	params, err := rq.strictly(epicInputs)
	if err != nil {
		return reply{}, err
	}
	var a asked
	for _, v := range params {
		p, _ := v.(object)
		value := p.obj("valueIdentifier").str("value")
		switch p.str("name") {
		case "patient":
			a.patients = append(a.patients, "Patient/"+value)
		case "appointment":
			a.id = value
		case "appointmentNote":
			a.comment = p.str("valueString")
		}
	}
	if len(a.patients) != 1 || a.id == "" {
		return reply{}, bad("patient and appointment must be given")
	}
	return s.bookAsked(rq, a)
}

// targetByTemporary finds what an id of $find proposes.
func (t *tx) targetByTemporary(id string) (target, error) {
	sl := t.temporary(id, t.srv.opts.OfferLife, t.now)
	if sl == nil {
		return target{}, taken(nil)
	}
	return target{fresh: true, slots: []*slot{sl}, about: t.srv.offerOf(t.store, []*slot{sl})}, nil
}
