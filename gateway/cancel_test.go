package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// booked books an offer for p1 and gives its id.
func (w *world) booked(rel scheduling.Release, source scheduling.SourceID, n int) string {
	w.t.Helper()
	id := w.anOffer(source, n).ID
	if r := w.call(rel, fhir.JSON, "/Appointment/"+id+"/$book", parameters("patient-id", "p1")); r.status != 200 {
		w.t.Fatalf("book: %d %s", r.status, r.body)
	}
	return id
}

// patchOf is a patch that cancels with the reason weather, in a format.
func patchOf(rel scheduling.Release, kind string) (contentType, body string) {
	const url = "http://fhir.org/guides/argonaut-scheduling/StructureDefinition/extension-status-reason"
	switch kind {
	case "json":
		reason := `{"op":"add","path":"/extension/-","value":{"url":"` + url + `","valueCodeableConcept":{"coding":[{"code":"weather"}]}}}`
		if rel == scheduling.R4 {
			reason = `{"op":"add","path":"/cancelationReason","value":{"coding":[{"code":"weather"}]}}`
		}
		return "application/json-patch+json", `[` + reason + `,{"op":"replace","path":"/status","value":"cancelled"}]`
	case "xml":
		reason := `<extension xmlns="http://hl7.org/fhir" url="` + url + `"><valueCodeableConcept><coding><code value="weather"/></coding></valueCodeableConcept></extension>`
		if rel == scheduling.R4 {
			reason = `<cancelationReason xmlns="http://hl7.org/fhir"><coding><code value="weather"/></coding></cancelationReason>`
		}
		return "application/xml-patch+xml", `<diff><add sel="Appointment">` + reason + `</add><replace sel="Appointment/status/@value">cancelled</replace></diff>`
	default:
		op := func(kind, path, more string) string {
			return `<parameter><name value="operation"/><part><name value="type"/><valueCode value="` + kind + `"/></part><part><name value="path"/><valueString value="` + path + `"/></part>` + more + `</parameter>`
		}
		reason := `<part><name value="name"/><valueString value="extension"/></part><part><name value="value"/><part><name value="url"/><valueUri value="` + url + `"/></part><part><name value="value"/><valueCodeableConcept><coding><code value="weather"/></coding></valueCodeableConcept></part></part>`
		return "application/fhir+xml", `<Parameters xmlns="http://hl7.org/fhir">` + op("add", "Appointment", reason) +
			op("replace", "Appointment.status", `<part><name value="value"/><valueCode value="cancelled"/></part>`) + `</Parameters>`
	}
}

func TestACancelInEveryFormatHasItsReason(t *testing.T) {
	t.Parallel()
	for _, rel := range releases() {
		for n, kind := range []string{"json", "xml", "fhirpath"} {
			w, desk := withDesk(t, nil)
			id := w.booked(rel, "napa", n)
			contentType, body := patchOf(rel, kind)
			r := w.patch(rel, id, body, "Content-Type: "+contentType, "Accept: application/fhir+json", "Idempotency-Key: c-1")
			a, ok := w.resource(r, rel).(*model.Appointment)
			if r.status != 200 || !ok || a.Status != "cancelled" || a.CancelationReason == nil || a.CancelationReason.Coding[0].Code != "weather" {
				t.Fatalf("%s %s: %d %s", rel, kind, r.status, r.body)
			}
			if stu3 := strings.Contains(r.body, "extension-status-reason"); stu3 != (rel == scheduling.STU3) {
				t.Errorf("%s %s: %s", rel, kind, r.body)
			}
			if got := desk.cancels[0]; got.ID != id || got.Reason != "weather" || got.Key != "c-1" || got.IfMatch != 0 {
				t.Errorf("%s %s: the desk was asked %+v", rel, kind, got)
			}
			// Cancelled already: 200 and unchanged.
			if again := w.patch(rel, id, body, "Content-Type: "+contentType); again.status != 200 || again.header.Get("ETag") != r.header.Get("ETag") {
				t.Errorf("%s %s: again %d", rel, kind, again.status)
			}
		}
	}
}

func TestAPatchAnswersAsIsPreferred(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	desk.bend = func(v *booking.View) {
		if v.Status == scheduling.ApptCancelled {
			v.Notices = []booking.Notice{booking.ReleasedUnverified}
		}
	}
	id := w.booked(scheduling.R4, "york", 0)
	cancel := `[{"op":"replace","path":"/status","value":"cancelled"}]`
	json := "Content-Type: application/json-patch+json"
	r := w.patch(scheduling.R4, id, cancel, json, "Prefer: return=OperationOutcome")
	o, ok := w.resource(r, scheduling.R4).(*model.OperationOutcome)
	if r.status != 200 || !ok || !strings.Contains(told(o), "released: unverified") || r.header.Get("ETag") != `W/"2"` {
		t.Errorf("an outcome: %d %s", r.status, r.body)
	}
	if r := w.patch(scheduling.R4, id, cancel, json, "Prefer: handling=strict, return=minimal"); r.status != 200 || r.body != "" || r.header.Get("Preference-Applied") != "return=minimal" {
		t.Errorf("nothing: %d %q", r.status, r.body)
	}
	for _, prefer := range []string{"X-None: 1", "Prefer: return=representation", "Prefer: return=poem"} {
		r := w.patch(scheduling.R4, id, cancel, json, prefer)
		a, ok := w.resource(r, scheduling.R4).(*model.Appointment)
		if !ok || !strings.Contains(r.body, "released: unverified") || a.Meta.Tag[0].Code != "released-unverified" {
			t.Errorf("%s: %s", prefer, r.body)
		}
	}
}

func TestAReleasedHoldIsAnOfferAgain(t *testing.T) {
	t.Parallel()
	w, _ := withDesk(t, nil)
	id := w.anOffer("napa", 0).ID
	w.call(scheduling.STU3, fhir.JSON, "/Appointment/"+id+"/$hold", nil)
	r := w.patch(scheduling.STU3, id, `[{"op":"test","path":"/status","value":"pending"},{"op":"replace","path":"/status","value":"cancelled"}]`, "Content-Type: application/json")
	a, ok := w.resource(r, scheduling.STU3).(*model.Appointment)
	if r.status != 200 || !ok || a.Status != "proposed" || a.Participant[0].Status != "tentative" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestAPatchThatMayNotBeAppliedChangesNothing(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	id := w.booked(scheduling.R4, "york", 0)
	json := "Content-Type: application/json-patch+json"
	cancel := `[{"op":"replace","path":"/status","value":"cancelled"}]`
	for _, tc := range []struct {
		name, body string
		header     []string
		status     int
	}{
		{"another version", cancel, []string{json, `If-Match: W/"9"`}, 412},
		{"a version that is none", cancel, []string{json, `If-Match: "abc"`}, 412},
		{"no ETag", cancel, []string{json, `If-Match: 1`}, 400},
		{"two ETags", cancel, []string{json, `If-Match: W/"1", W/"2"`}, 400},
		{"a test that fails", `[{"op":"test","path":"/status","value":"pending"},{"op":"replace","path":"/status","value":"cancelled"}]`, []string{json}, 409},
		{"a test alone that fails", `[{"op":"test","path":"/status","value":"pending"}]`, []string{json}, 409},
		{"a test alone, of another version", `[{"op":"test","path":"/status","value":"booked"}]`, []string{json, `If-Match: W/"9"`}, 412},
		{"a patch of something else", `[{"op":"replace","path":"/start","value":"2030-01-01T00:00:00Z"}]`, []string{json}, 422},
		{"a doctor who declines", `[{"op":"replace","path":"/participant/0/status","value":"declined"}]`, []string{json}, 422},
		{"a malformed patch", `[{"op":`, []string{json}, 400},
		{"a patch of another type", cancel, []string{"Content-Type: text/plain"}, 415},
		{"a merge patch", `{"status":"cancelled"}`, []string{"Content-Type: application/merge-patch+json"}, 415},
		{"a bad key", cancel, []string{json, "Idempotency-Key: a b"}, 400},
		{"a 5 MB reason", `[{"op":"test","path":"/comment","value":"` + strings.Repeat("x", 5<<20) + `"}]`, []string{json}, 413},
	} {
		r := w.patch(scheduling.R4, id, tc.body, tc.header...)
		if r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.body)
		}
		if tc.status == 415 && !strings.Contains(r.header.Get("Accept-Patch"), "json-patch") {
			t.Errorf("%s: Accept-Patch %q", tc.name, r.header.Get("Accept-Patch"))
		}
	}
	r := w.patch(scheduling.R4, id, `[{"op":"test","path":"/status","value":"booked"}]`, json, `If-Match: W/"1"`)
	if a, ok := w.resource(r, scheduling.R4).(*model.Appointment); r.status != 200 || !ok || a.Meta.VersionID != "1" {
		t.Errorf("in the end: %d %s", r.status, r.body)
	}
	if n := len(slices.DeleteFunc(slices.Clone(desk.cancels), func(c booking.CancelRequest) bool { return c.IfMatch != 0 || c.Check != nil })); n != 0 {
		t.Errorf("%d cancels without their checks", n)
	}
	if r := w.patch(scheduling.R4, id, `[{"op":"replace","path":"/participant/`+"3"+`/status","value":"declined"}]`, json); r.status != 200 {
		t.Errorf("the patient declines: %d %s", r.status, r.body)
	}
}

func TestAListAsksTheDesk(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	for n := range 3 {
		w.booked(scheduling.R4, "york", n)
	}
	doc := scheduling.ResourceID("york", scheduling.KindPractitioner, "dr-1")
	query := "patient=Patient/p1&status=booked,http://hl7.org/fhir/appointmentstatus%7Carrived&date=ge2026-11-24&date=lt2026-12-01&practitioner=Practitioner/" + doc + "&_lastUpdated=gt2026-11-01T00:00:00Z"
	for _, rel := range releases() {
		for _, r := range []reply{
			w.get("/fhir/"+string(rel)+"/Appointment?"+query, siteKey),
			w.ask(http.MethodPost, "/fhir/"+string(rel)+"/Appointment/_search", query, siteKey, "Content-Type: application/x-www-form-urlencoded"),
		} {
			b := w.bundle(r, rel)
			if *b.Total != 3 || len(b.Entry) != 3 || r.header.Get("X-Slotgate-Complete") != "true" {
				t.Errorf("%s: %s", rel, r.body)
			}
		}
	}
	got := desk.lists[0]
	want := []booking.DateRange{{From: scheduling.DayBound(scheduling.Date(2026, 11, 24))}, {To: scheduling.DayBound(scheduling.Date(2026, 11, 30))}}
	if got.Patient != "p1" || !slices.Equal(got.Dates, want) || !slices.Equal(got.Status, []scheduling.AppointmentStatus{"booked", "arrived"}) || got.Practitioners[0].ID != doc ||
		!got.Updated[0].From.At.Equal(time.Date(2026, 11, 1, 0, 0, 1, 0, time.UTC)) {
		t.Errorf("the desk was asked %+v", got)
	}
	if got := desk.lists[2].Status; !slices.Equal(got, []scheduling.AppointmentStatus{"booked", "arrived", "checked-in"}) {
		t.Errorf("on STU3 it was asked for %v", got)
	}

	var ids []string
	for next := w.base + "/fhir/r4/Appointment?patient=p1&_count=2"; next != ""; {
		b := w.bundle(w.get(path(t, next), siteKey), scheduling.R4)
		for _, e := range b.Entry {
			ids = append(ids, e.Resource.Common().ID)
		}
		if next = b.LinkURL("next"); len(ids) > 3 {
			t.Fatal("the pages have no end")
		}
	}
	if len(ids) != 3 || ids[0] != w.anOffer("york", 0).ID {
		t.Errorf("pages: %v", ids)
	}
	if b := w.bundle(w.get("/fhir/r4/Appointment?patient=p1&_count=0", siteKey), scheduling.R4); *b.Total != 3 || len(b.Entry) != 0 {
		t.Errorf("only the total: %+v", b)
	}

	desk.list.Unreached = []*scheduling.Error{scheduling.Blame(scheduling.SourceDown, "napa", nil, "this source cannot be reached")}
	r := w.get("/fhir/r4/Appointment?patient=p1&colour=1", siteKey)
	b := w.bundle(r, scheduling.R4)
	o, ok := b.Entry[len(b.Entry)-1].Resource.(*model.OperationOutcome)
	if !ok || !strings.Contains(told(o), "warning transient: this source cannot be reached") || !strings.Contains(told(o), "colour is not known") || r.header.Get("X-Slotgate-Complete") != "false" || *b.Total != 3 {
		t.Errorf("unreached: %s", r.body)
	}
}

func TestDatesOfAList(t *testing.T) {
	t.Parallel()
	day := func(y int, m time.Month, d int) scheduling.Bound {
		return scheduling.DayBound(scheduling.Date(y, m, d))
	}
	at := func(text string) scheduling.Bound {
		i, err := scheduling.ParseInstant(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		return scheduling.InstantBound(i)
	}
	for text, want := range map[string]booking.DateRange{
		"2026-11-24":                  {From: day(2026, 11, 24), To: day(2026, 11, 24)},
		"eq2026-11":                   {From: day(2026, 11, 1), To: day(2026, 11, 30)},
		"ge2026":                      {From: day(2026, 1, 1)},
		"gt2026-02":                   {From: day(2026, 3, 1)},
		"sa2026-11-24":                {From: day(2026, 11, 25)},
		"le2026-02":                   {To: day(2026, 2, 28)},
		"lt2026-11-24":                {To: day(2026, 11, 23)},
		"eb2026-11-24":                {To: day(2026, 11, 23)},
		"2026-11-24T09:00-08:00":      {From: at("2026-11-24T17:00:00Z"), To: at("2026-11-24T17:01:00Z")},
		"gt2026-11-24T09:00:00-08:00": {From: at("2026-11-24T17:00:01Z")},
		"le2026-11-24T09:00:00 01:00": {To: at("2026-11-24T08:00:01Z")},
		"lt2026-11-24T09:00:00Z":      {To: at("2026-11-24T09:00:00Z")},
	} {
		got, err := addRange(nil, "date", text)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ne2026-11-24", "ap2026", "soon", "2026-13-01", "2026-11-24T09:00:00", "ge", "2026-11-24,2026-11-25"} {
		if _, err := addRange(nil, "date", text); scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestListsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	for query, want := range map[string]struct {
		status int
		code   string
	}{
		"":                                    {422, "missing-data"},
		"status=booked":                       {422, "missing-data"},
		"patient=":                            {422, "missing-data"},
		"patient=a,b":                         {422, "not-acceptable"},
		"patient=a&patient=b":                 {422, "not-acceptable"},
		"patient=Practitioner/a":              {400, "bad-request"},
		"patient=https://evil/fhir/Patient/a": {400, "bad-request"},
		"patient=%ff":                         {400, "bad-request"},
		"patient=" + strings.Repeat("a", 65):  {400, "bad-request"},
		"patient=a&status=happy":              {400, "bad-request"},
		"patient=a&status=%7C":                {400, "bad-request"},
		"patient=a&date=soon":                 {400, "bad-request"},
		"patient=a&practitioner=Location/1":   {400, "bad-request"},
		"patient=a&_lastUpdated=2026-1":       {400, "bad-request"},
		"patient=a&_count=-1":                 {400, "bad-request"},
		"patient=a&_cursor=forged":            {400, "bad-request"},
	} {
		r := w.get("/fhir/r4/Appointment?"+query, siteKey)
		if r.status != want.status || w.code(r, scheduling.R4) != want.code {
			t.Errorf("%q: %d %s", query, r.status, r.body)
		}
	}
	if len(desk.lists) != 0 {
		t.Errorf("the desk was asked %d times", len(desk.lists))
	}
	if r := w.get("/fhir/r4/Appointment?patient=a&x=1", siteKey, "Prefer: handling=strict"); r.status != 400 {
		t.Errorf("strictly: %d", r.status)
	}
}
