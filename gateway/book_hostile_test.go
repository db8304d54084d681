package gateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// oddBodies are bodies of $hold and $book that nobody should send, as JSON and
// as XML; the id is that of an open offer.
func oddBodies(id string) []struct {
	name, json, xml string
	status          int
	code            string
} {
	const ns = `<Parameters xmlns="http://hl7.org/fhir">`
	patient := `<parameter><name value="patient-id"/><valueUri value="Patient/p1"/></parameter>`
	return []struct {
		name, json, xml string
		status          int
		code            string
	}{
		{"an unknown id", `{"resourceType":"Parameters","parameter":[{"name":"appt-id","valueUri":"nobody"},{"name":"patient-id","valueUri":"p1"}]}`, ns + `<parameter><name value="appt-id"/><valueUri value="nobody"/></parameter>` + patient + `</Parameters>`, 404, "unknown-id"},
		{"an id forged by hand", `{"resourceType":"Parameters","parameter":[{"name":"appt-id","valueUri":"aaaaa-aaaaaaaaaaaaaaaaaaaa"},{"name":"patient-id","valueUri":"p1"}]}`, ns + `<parameter><name value="appt-id"/><valueUri value="aaaaa-aaaaaaaaaaaaaaaaaaaa"/></parameter>` + patient + `</Parameters>`, 404, "unknown-id"},
		{"nothing named", `{"resourceType":"Parameters"}`, ns + patient + `</Parameters>`, 422, "missing-data"},
		{"an id that is none", `{"resourceType":"Parameters","parameter":[{"name":"appt-id","valueUri":"a b"}]}`, ns + `<parameter><name value="appt-id"/><valueUri value="a/b/c"/></parameter></Parameters>`, 400, "bad-request"},
		{"ids that disagree", `{"resourceType":"Parameters","parameter":[{"name":"appt-id","valueUri":"` + id + `"},{"name":"appointment-reference","valueReference":{"reference":"Appointment/x"}}]}`, ns + `<parameter><name value="appt-id"/><valueUri value="` + id + `"/></parameter><parameter><name value="appt-id"/><valueUri value="x"/></parameter></Parameters>`, 400, "bad-request"},
		{"a slot that never was", `{"resourceType":"Appointment","slot":[{"reference":"Slot/never"}],"participant":[{"actor":{"reference":"Patient/p1"}}]}`, `<Appointment xmlns="http://hl7.org/fhir"><slot><reference value="Slot/never"/></slot><participant><actor><reference value="Patient/p1"/></actor></participant></Appointment>`, 404, "unknown-id"},
		{"times that are not the slot's", `{"resourceType":"Appointment","id":"` + id + `","start":"2030-01-01T00:00:00Z","participant":[{"actor":{"reference":"Patient/p1"}}]}`, `<Appointment xmlns="http://hl7.org/fhir"><id value="` + id + `"/><start value="2030-01-01T00:00:00Z"/><participant><actor><reference value="Patient/p1"/></actor></participant></Appointment>`, 422, "not-acceptable"},
		{"a slot in words", `{"resourceType":"Appointment","slot":[{"display":"the first one"}]}`, `<Appointment xmlns="http://hl7.org/fhir"><slot><display value="the first one"/></slot></Appointment>`, 422, "not-acceptable"},
		{"another resource", `{"resourceType":"Patient"}`, `<Patient xmlns="http://hl7.org/fhir"/>`, 422, "not-acceptable"},
		{"a Bundle", `{"resourceType":"Bundle","type":"batch"}`, `<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/></Bundle>`, 422, "not-acceptable"},
		{"half a body", `{"resourceType":"Parameters","parameter":[`, ns + `<parameter>`, 400, "bad-request"},
		{"an empty body", ``, ``, 400, "bad-request"},
		{"a body of another kind", `[]`, `hello`, 400, "bad-request"},
		{"deep", deep(20_000), strings.Repeat("<a>", 10_000), 400, "bad-request"},
		{"a 5 MB comment", `{"resourceType":"Parameters","parameter":[{"name":"comment","valueString":"` + strings.Repeat("x", 5<<20) + `"}]}`, ns + `<parameter><name value="comment"/><valueString value="` + strings.Repeat("x", 5<<20) + `"/></parameter></Parameters>`, 413, "bad-request"},
	}
}

func TestOddBodiesOfHoldAndBook(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	for _, tc := range oddBodies(w.anOffer("napa", 0).ID) {
		for _, op := range []string{"$hold", "$book"} {
			for _, rel := range releases() {
				for format, body := range map[string]string{"json": tc.json, "xml": tc.xml} {
					r := w.ask(http.MethodPost, "/fhir/"+string(rel)+"/Appointment/"+op, body, siteKey, "Content-Type: application/fhir+"+format)
					if r.status != tc.status || w.code(r, rel) != tc.code || !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+"+format) {
						t.Errorf("%s, %s, %s %s: %d %s", tc.name, op, rel, format, r.status, r.body)
					}
				}
			}
		}
	}
	if len(desk.entries) != 0 {
		t.Errorf("left behind: %+v", desk.entries)
	}
}

// TestOddRequestsOfBooking: what is wrong beside the body.
func TestOddRequestsOfBooking(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	id := w.anOffer("napa", 0).ID
	ok := `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/p1"}]}`
	jsonBody := "Content-Type: application/fhir+json"
	for _, tc := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no patient", "POST", "/" + id + "/$book", ``, nil, 422, "missing-data"},
		{"a patient to be registered", "POST", "/" + id + "/$book", `{"resourceType":"Parameters","parameter":[{"name":"patient-resource","resource":{"resourceType":"Patient"}}]}`, []string{jsonBody}, 422, "not-acceptable"},
		{"path and appt-id disagree", "POST", "/" + id + "/$book", strings.Replace(ok, `[{`, `[{"name":"appt-id","valueUri":"x"},{`, 1), []string{jsonBody}, 400, "bad-request"},
		{"a path that is no id", "POST", "/a_b/$book", ok, []string{jsonBody}, 400, "bad-request"},
		{"a path of 65 characters", "POST", "/" + strings.Repeat("a", 65) + "/$hold", "", nil, 400, "bad-request"},
		{"an escaped slash", "GET", "/a%2Fb", "", nil, 400, "bad-request"},
		{"another type", "POST", "/" + id + "/$book", ok, []string{"Content-Type: text/plain"}, 415, "not-supported"},
		{"no type", "POST", "/$book", ok, nil, 415, "not-supported"},
		{"a form", "POST", "/$hold", "appt-id=" + id, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "not-supported"},
		{"an operation by GET", "GET", "/$book", "", nil, 405, "not-supported"},
		{"an operation by PATCH", "PATCH", "/$book", "[]", nil, 405, "not-supported"},
		{"an operation on an id by GET", "GET", "/" + id + "/$hold", "", nil, 405, "not-supported"},
		{"a deletion", "DELETE", "/" + id, "", nil, 405, "not-supported"},
		{"a create", "POST", "", `{"resourceType":"Appointment"}`, []string{jsonBody}, 405, "not-supported"},
		{"neither format", "GET", "/" + id, "", []string{"Accept: text/turtle"}, 406, "not-supported"},
		{"an id that nobody has", "GET", "/nobody", "", nil, 404, "unknown-id"},
		{"too many parameters", "POST", "/" + id + "/$hold?" + strings.Repeat("a=&", 300), "", nil, 400, "bad-request"},
		{"JSON for a search", "POST", "/_search", `{"patient":"p1"}`, []string{jsonBody}, 415, "not-supported"},
	} {
		r := w.ask(tc.method, "/fhir/r4/Appointment"+tc.path, tc.body, append([]string{siteKey}, tc.header...)...)
		if r.status != tc.status || w.code(r, scheduling.R4) != tc.code {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.body)
		}
	}
	if len(desk.entries) != 0 || len(desk.books) != 0 {
		t.Errorf("left behind: %+v", desk.entries)
	}
}

// TestNoPatientDataLeavesABooking: law 10. What tells of a patient is in the
// answers to its owner, and nowhere else: no log, no metric, no refusal.
func TestNoPatientDataLeavesABooking(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	const canary = "Kanarienvogel"
	id, other := w.anOffer("napa", 0).ID, w.anOffer("napa", 1).ID
	body := `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/` + canary + `"},{"name":"comment","valueString":"for ` + canary + `"}%s]}`
	more := func(m string) string { return fmt.Sprintf(body, m) }
	json := "Content-Type: application/fhir+json"
	session := "X-Slotgate-Session: session-of-" + canary
	post := func(path, body string) reply {
		return w.ask(http.MethodPost, "/fhir/r4/Appointment"+path, body, siteKey, json, session, "Idempotency-Key: key-of-"+canary)
	}
	for name, r := range map[string]reply{
		"book": post("/"+id+"/$book", more("")), "read": w.get("/fhir/r4/Appointment/"+id, siteKey, session),
		"list": w.get("/fhir/r4/Appointment?patient="+canary, siteKey, session),
	} {
		if r.status != 200 || !strings.Contains(r.body, canary) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	// A cause that shows an address, as net/http's errors do.
	cause := &url.Error{Op: "Get", URL: "https://ehr/Appointment?patient=" + canary, Err: errors.New(canary + " again")}
	desk.fail = scheduling.Blame(scheduling.SourceDown, "napa", fmt.Errorf("upstream: %w", cause), "the source is down")
	refused := []reply{
		post("/"+other+"/$book", more("")), post("/"+other+"/$hold", more("")), w.get("/fhir/r4/Appointment?patient="+canary, siteKey, session),
		post("/$book", more("")), post("/x_x/$book", more("")), post("/"+other+"/$book", more("")[:60]),
		post("/"+other+"/$book", more(`,{"name":"appt-id","valueUri":"`+canary+`"}`)),
		post("/"+other+"/$book", more(`,{"name":"patient-resource","resource":{"resourceType":"Patient","name":[{"family":"`+canary+`"}]}}`)),
		w.get("/fhir/r4/Appointment/"+canary, siteKey, session), w.get("/fhir/r4/Appointment?patient=Patient/"+canary+"/x", siteKey, session),
		w.patch(scheduling.R4, id, `[{"op":"replace","path":"/`+canary+`","value":"`+canary+`"}]`, "Content-Type: application/json", session),
		w.get("/fhir/r4/Appointment?patient=a&date="+canary, siteKey),
	}
	for i, r := range refused {
		if r.status < 400 || strings.Contains(r.body, canary) || strings.Contains(fmt.Sprint(r.header), canary) {
			t.Errorf("refusal %d: %d %v %s", i, r.status, r.header, r.body)
		}
	}
	if log := w.log.String(); strings.Contains(log, canary) || !strings.Contains(log, "$book") || !strings.Contains(log, "*url.Error") {
		t.Errorf("logged: %s", log)
	}
	if got := gathered(t, w); strings.Contains(got, canary) || !strings.Contains(got, "/Appointment/:id/$book") {
		t.Errorf("metrics: %s", got)
	}
}

// TestBookingsDoNotMix has many book at once, and looks for what belongs to one
// in what the desk was asked for another: Fiber reuses the memory of both.
func TestBookingsDoNotMix(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	var wg sync.WaitGroup
	for worker := range 12 {
		wg.Go(func() {
			for n := range 4 {
				own := fmt.Sprintf("w%dn%dr%d", worker, n, rand.Uint64())
				w.mixedBooking(own, w.anOffer("napa", worker*4+n).ID)
			}
		})
	}
	wg.Wait()
	// What the desk kept must still be what each was asked.
	for _, b := range desk.books {
		own := b.Patients[0]
		if b.Key != own || b.Comment != own || b.Replaces != own {
			t.Errorf("one request has the words of several: %+v", b)
		}
	}
	for _, h := range desk.holds {
		if _, ok := w.replica.Offer(h.ID); !ok || len(h.Patients) != 1 || h.Key != h.Patients[0] {
			t.Errorf("held: %+v", h)
		}
	}
	for _, c := range desk.cancels {
		if _, ok := w.replica.Offer(c.ID); !ok {
			t.Errorf("cancelled: %+v", c)
		}
	}
	if len(desk.books) != 48 || len(desk.holds) != 48 || len(desk.cancels) != 48 {
		t.Errorf("%d holds, %d bookings, %d cancels", len(desk.holds), len(desk.books), len(desk.cancels))
	}
}

func (w *world) mixedBooking(own, id string) {
	session, key, json := "X-Slotgate-Session: session-"+own, "Idempotency-Key: "+own, "Content-Type: application/fhir+json"
	body := `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/` + own + `"},{"name":"comment","valueString":"` + own + `"},{"name":"cancelled-appt-id","valueUri":"` + own + `"}]}`
	base := "/fhir/stu3/Appointment/" + id
	for _, r := range []reply{
		w.ask(http.MethodPost, base+"/$hold", body, siteKey, session, key, json),
		w.ask(http.MethodPost, base+"/%24book", body, siteKey, session, key, json),
		w.get("/fhir/r4/Appointment?patient="+own, siteKey, session),
		w.get(base, siteKey, session),
		w.ask(http.MethodPatch, base, `[{"op":"test","path":"/comment","value":"`+own+`"},{"op":"replace","path":"/status","value":"cancelled"}]`, siteKey, session, "Content-Type: application/json"),
	} {
		if r.status != 200 || !strings.Contains(r.body, own) || strings.Count(r.body, "Patient/w") != 1 {
			w.t.Errorf("%s: %d %s", own, r.status, r.body)
		}
	}
}

// TestTheDeskIsTold: with a desk, everything that is served is in the
// CapabilityStatement.
func TestTheDeskIsTold(t *testing.T) {
	t.Parallel()
	w, _ := withDesk(t, nil)
	for _, rel := range releases() {
		c := w.statement(rel)
		told := map[string]bool{}
		for _, res := range c.Rest[0].Resource {
			if res.Type != "Appointment" {
				continue
			}
			for _, i := range res.Interaction {
				told[i.Code] = true
			}
			for _, p := range res.SearchParam {
				told[p.Name] = true
			}
			for _, op := range res.Operation {
				told["$"+op.Name] = true
				w.operationAt(rel, string(op.Definition), op.Name)
			}
		}
		for _, op := range c.Rest[0].Operation {
			told["$"+op.Name] = true
			w.operationAt(rel, string(op.Definition), op.Name)
		}
		for _, want := range []string{"read", "search-type", "patch", "patient", "status", "date", "practitioner", "_lastUpdated", "$find", "$hold", "$book"} {
			if !told[want] {
				t.Errorf("%s: %s is served and not told", rel, want)
			}
		}
		if len(c.PatchFormat) != 4 {
			t.Errorf("%s: patchFormat %v", rel, c.PatchFormat)
		}
	}
}

func (w *world) operationAt(rel scheduling.Release, address, code string) {
	w.t.Helper()
	d, ok := w.resource(w.get(path(w.t, address)), rel).(*model.OperationDefinition)
	if !ok || d.Code != code || *d.Instance != (code != "find") || *d.AffectsState != (code != "find") {
		w.t.Errorf("%s: %+v", address, d)
	}
}

func TestHeadOfAnAppointment(t *testing.T) {
	t.Parallel()
	w, _ := withDesk(t, nil)
	id := w.booked(scheduling.R4, "york", 0)
	for _, path := range []string{"/fhir/r4/Appointment/" + id, "/fhir/stu3/Appointment?patient=p1"} {
		get, head := w.get(path, siteKey), w.ask(http.MethodHead, path, "", siteKey)
		if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("%s: %d %v", path, head.status, head.header)
		}
	}
	if r := w.ask(http.MethodPut, "/fhir/r4/Appointment/"+id, "", siteKey); r.status != 405 || r.header.Get("Allow") != "GET, HEAD, PATCH" {
		t.Errorf("PUT: %d, Allow %q", r.status, r.header.Get("Allow"))
	}
}

// TestStatusesThatAnEHRAloneSets are shown in both versions.
func TestStatusesThatAnEHRAloneSets(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	id := w.booked(scheduling.R4, "york", 0)
	for _, tc := range []struct {
		status                scheduling.AppointmentStatus
		r4, stu3, participant string
	}{
		{"checked-in", "checked-in", "arrived", "accepted"},
		{"waitlist", "waitlist", "pending", "tentative"},
		{"fulfilled", "fulfilled", "fulfilled", "accepted"},
		{"noshow", "noshow", "noshow", "accepted"},
		{"entered-in-error", "entered-in-error", "entered-in-error", "declined"},
	} {
		desk.bend = func(v *booking.View) {
			v.Status = tc.status
			v.Start, v.End = v.Start.Add(24*60*60*1e9), v.End.Add(24*60*60*1e9)
			v.Notices = []booking.Notice{booking.NotReached, booking.ChangedByClinic}
		}
		for rel, want := range map[scheduling.Release]string{scheduling.R4: tc.r4, scheduling.STU3: tc.stu3} {
			r := w.get("/fhir/"+string(rel)+"/Appointment/"+id, siteKey)
			a, ok := w.resource(r, rel).(*model.Appointment)
			if !ok || a.Status != want || a.Participant[0].Status != tc.participant || len(a.Slot) != 0 || !strings.HasPrefix(a.Start, "2026-11-25T") || r.header.Get("X-Slotgate-Complete") != "false" {
				t.Errorf("%s, %s: %s", rel, tc.status, r.body)
			}
		}
	}
}
