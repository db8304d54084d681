package ehrsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// found asks $find for a day, and gives what is proposed.
func found(w *wire, from, to, period string) []map[string]any {
	w.t.Helper()
	names := strings.Split(from, " ")
	a := w.post("/Appointment/$find", fmt.Sprintf(`{"resourceType":"Parameters","parameter":[
		{"name":%q,"valueDateTime":%q},{"name":%q,"valueDateTime":%q}%s]}`, names[0], names[1], strings.Split(to, " ")[0], strings.Split(to, " ")[1], period))
	if a.StatusCode != http.StatusOK {
		w.t.Fatalf("$find: %d %s", a.StatusCode, a.text)
	}
	return resources(a.json(w.t), "match")
}

func TestAnIHEServerTakesWhatTheProfileHasAndNothingElse(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.Dialect = IHE }))
	const when = `{"name":"start","valueDateTime":"2026-02-03"},{"name":"end","valueDateTime":"2026-02-05"}`
	ask := func(op, parameters string) answer {
		return w.post("/Appointment/$"+op, `{"resourceType":"Parameters","parameter":[`+parameters+`]}`)
	}
	offer := digString(found(w, "start 2026-02-03", "end 2026-02-05", "")[0], "id")
	for what, tc := range map[string]struct {
		a    answer
		want int
	}{
		"a GET":                         {w.get("/Appointment/$find?start=2026-02-03&end=2026-02-05"), 405},
		"without an end":                {ask("find", `{"name":"start","valueDateTime":"2026-02-03"}`), 400},
		"a parameter of another guide":  {ask("find", when+`,{"name":"coverage","valueString":"x"}`), 400},
		"a practitioner as a string":    {ask("find", when+`,{"name":"practitioner","valueString":"Practitioner/x"}`), 400},
		"a practitioner as a reference": {ask("find", when+`,{"name":"practitioner","valueReference":{"reference":"Practitioner/none"}}`), 200},
		"a hold by a resource":          {ask("hold", `{"name":"appointment-resource","resource":{"resourceType":"Appointment"}}`), 400},
		"a hold by an id in the path":   {ask(offer+"/$hold", ""), 404},
		"a hold of nothing known":       {ask("hold", `{"name":"appointment-reference","valueReference":{"reference":"Appointment/none"}}`), 404},
		"a book for nobody":             {ask("book", `{"name":"appointment-reference","valueReference":{"reference":"Appointment/`+offer+`"}}`), 422},
		"a book of what has arrived":    {ask("book", `{"name":"appointment-resource","resource":{"resourceType":"Appointment","status":"arrived"}}`), 422},
		"a cancel of nothing known":     {ask("book", `{"name":"appointment-resource","resource":{"resourceType":"Appointment","id":"none","status":"cancelled"}}`), 404},
		"a PATCH":                       {w.cancelBy(offer), 405},
		"slots":                         {w.get("/Slot"), 404},
		"schedules":                     {w.get("/Schedule"), 404},
		"$prefetch":                     {w.get("/Slot/$prefetch"), 404},
	} {
		if tc.a.StatusCode != tc.want {
			t.Errorf("%s: %d, want %d: %s", what, tc.a.StatusCode, tc.want, tc.a.text)
		}
	}
	hold := `{"name":"appointment-reference","valueReference":{"reference":"Appointment/` + offer + `"}}`
	if a := ask("hold", hold); a.StatusCode != 200 || a.Header.Get("Expires") != "" || digString(first(t, a), "status") != "pending" {
		t.Errorf("hold: %d %s", a.StatusCode, a.text)
	}
	// The refusal is an OperationOutcome alone.
	if a := ask("hold", hold); a.StatusCode != 200 || len(resources(a.json(t), "match")) != 0 || !strings.Contains(a.text, `"fatal"`) {
		t.Errorf("held twice: %d %s", a.StatusCode, a.text)
	}
	if again := found(w, "start 2026-02-03", "end 2026-02-05", ""); slices.ContainsFunc(again, func(o map[string]any) bool { return digString(o, "id") == offer }) {
		t.Error("what is held is proposed")
	}
}

func TestAnEpicServerGivesOtherIDsEachTimeAndForgetsThem(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64
	now := func() time.Time { return monday.Add(time.Duration(passed.Load())) }
	w := start(t, smallWith(func(o *Options) { o.Dialect, o.Now = Epic, now }))
	find := func() []map[string]any { return found(w, "startTime 2026-02-03", "endTime 2026-02-05", "") }
	book := func(id, patient string) answer {
		return w.post("/Appointment/$book", fmt.Sprintf(`{"resourceType":"Parameters","parameter":[
			{"name":"patient","valueIdentifier":{"value":%q}},{"name":"appointment","valueIdentifier":{"value":%q}},{"name":"appointmentNote","valueString":"hello"}]}`, patient, id))
	}
	one, two := find(), find()
	if len(one) == 0 || len(one) != len(two) {
		t.Fatalf("%d and %d", len(one), len(two))
	}
	for i := range one {
		if digString(one[i], "start") != digString(two[i], "start") || digString(one[i], "id") == digString(two[i], "id") || one[i]["slot"] != nil || len(digString(one[i], "id")) > 64 {
			t.Fatalf("%v, then %v", one[i], two[i])
		}
	}
	if a := book(digString(one[0], "id"), "pat-1"); a.StatusCode/100 != 2 || digString(first(t, a), "status") != "booked" {
		t.Errorf("by the id of before: %d %s", a.StatusCode, a.text)
	}
	for what, id := range map[string]string{"taken": digString(two[0], "id"), "invented": "t.0.1.x", "of nothing": "x"} {
		if a := book(id, "pat-1"); !strings.Contains(a.text, "59144") {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.text)
		}
	}
	if a := book(digString(two[1], "id"), "nobody"); a.StatusCode != 422 {
		t.Errorf("for nobody: %d %s", a.StatusCode, a.text)
	}
	passed.Store(int64(11 * time.Minute))
	if a := book(digString(two[1], "id"), "pat-1"); !strings.Contains(a.text, "59144") {
		t.Errorf("aged: %d %s", a.StatusCode, a.text)
	}
	if a := w.post("/Appointment/$find", params("start", "2026-02-03")); a.StatusCode != 400 {
		t.Errorf("by the guide's names: %d %s", a.StatusCode, a.text)
	}
	for _, path := range []string{"/Slot", "/Schedule", "/Slot/$prefetch"} {
		if a := w.get(path); a.StatusCode != 404 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	none := w.post("/Appointment/$find", `{"resourceType":"Parameters","parameter":[{"name":"startTime","valueDateTime":"2030-01-01"},{"name":"endTime","valueDateTime":"2030-01-02"}]}`)
	if none.StatusCode != 200 || !strings.Contains(none.text, "4101") {
		t.Errorf("nothing there: %d %s", none.StatusCode, none.text)
	}
}

func TestDialectsOfOneReleaseRefuseTheOther(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Dialect: IHE, FHIR: STU3}, {Dialect: Epic, FHIR: R4}, {Dialect: Links, FHIR: STU3}, {Dialect: "hl7"}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v was taken", o.Dialect)
		}
	}
	if err := (Options{Dialect: Epic}).Validate(); err != nil {
		t.Error(err)
	}
}
