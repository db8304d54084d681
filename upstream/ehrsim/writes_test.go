package ehrsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func plainServer(t *testing.T, edit func(*Options)) *wire {
	t.Helper()
	o := small
	o.Dialect = Slots
	if edit != nil {
		edit(&o)
	}
	return start(t, o)
}

// slotWith is a slot as the server shows it, with another status.
func (w *wire) slotWith(id, status string) string {
	w.t.Helper()
	return strings.Replace(w.get("/Slot/"+id).text, `"status":"`+w.status(id)+`"`, `"status":"`+status+`","comment":"ours until noon"`, 1)
}

func bookedOn(slot, key, patient string) string {
	return `{"resourceType":"Appointment","status":"booked","identifier":[{"system":"urn:ours","value":"` + key + `"}],"slot":[{"reference":"Slot/` + slot +
		`"}],"start":"2026-02-03T09:00:00Z","end":"2026-02-03T09:20:00Z","participant":[{"actor":{"reference":"Patient/` + patient + `"},"status":"accepted"}]}`
}

func TestASlotIsPutWithIfMatchAndKeepsOurMark(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := plainServer(t, func(o *Options) { o.FHIR = version })
		id := w.open(1)[0].ID
		body := w.slotWith(id, "busy-tentative")
		a := w.send(http.MethodPut, "/Slot/"+id, "application/fhir+json", body, "If-Match", `W/"1"`)
		if a.StatusCode != 200 || a.Header.Get("ETag") != `W/"2"` || w.status(id) != "busy-tentative" {
			t.Fatalf("%d %s", a.StatusCode, a.text)
		}
		if got := w.ok("/Slot/" + id); digString(got, "comment") != "ours until noon" || digString(got, "status") != "busy-tentative" || digString(got, "meta", "versionId") != "2" {
			t.Errorf("%v", got)
		}
		if a := w.send(http.MethodPut, "/Slot/"+id, "application/fhir+json", body, "If-Match", `W/"1"`); a.StatusCode != 412 {
			t.Errorf("stale: %d", a.StatusCode)
		}
		patch := `[{"op":"test","path":"/status","value":"busy-tentative"},{"op":"replace","path":"/status","value":"free"},{"op":"remove","path":"/comment"}]`
		if a := w.send(http.MethodPatch, "/Slot/"+id, jsonPatchType, patch, "If-Match", `W/"1"`); a.StatusCode != 412 {
			t.Errorf("stale patch: %d", a.StatusCode)
		}
		if a := w.send(http.MethodPatch, "/Slot/"+id, jsonPatchType, patch, "If-Match", `W/"2"`); a.StatusCode != 200 || w.status(id) != "free" || digString(a.json(t), "comment") != "" {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
		xml := w.send(http.MethodPut, "/Slot/"+id, "application/fhir+xml", w.get("/Slot/"+id, "Accept", "application/fhir+xml").text, "If-Match", `W/"3"`)
		if xml.StatusCode != 200 || w.status(id) != "free" {
			t.Errorf("as XML: %d %s", xml.StatusCode, xml.text)
		}
		if n := total(w.ok("/Slot?status=free&_lastUpdated=gt2026-02-02T09:00:00Z")); n != 0 {
			t.Errorf("_lastUpdated: %d", n)
		}
	}
	w := plainServer(t, func(o *Options) { o.PatchIfMatch = IfMatchIgnored })
	if a := w.send(http.MethodPatch, "/Slot/"+w.open(1)[0].ID, jsonPatchType, `[{"op":"replace","path":"/status","value":"busy"}]`, "If-Match", `W/"9"`); a.StatusCode != 200 {
		t.Errorf("an unheeded If-Match: %d", a.StatusCode)
	}
}

func TestAConditionalCreateGivesNoneOneOrTooMany(t *testing.T) {
	t.Parallel()
	w := plainServer(t, nil)
	slot := w.open(1)[0].ID
	condition := []string{"If-None-Exist", "identifier=urn:ours%7Ck1"}
	one := w.post("/Appointment", bookedOn(slot, "k1", "pat-1"), condition...)
	if one.StatusCode != 201 || one.Header.Get("ETag") != `W/"1"` || !strings.HasPrefix(one.Header.Get("Location"), w.base+"/Appointment/appt-") {
		t.Fatalf("%d %v %s", one.StatusCode, one.Header, one.text)
	}
	again := w.post("/Appointment", bookedOn(slot, "k1", "pat-1"), condition...)
	if again.StatusCode != 200 || again.Header.Get("Location") != one.Header.Get("Location") || len(w.srv.Appointments()) != 1 {
		t.Errorf("%d %v", again.StatusCode, again.Header)
	}
	w.post("/Appointment", bookedOn(slot, "k1", "pat-2"))
	if a := w.post("/Appointment", bookedOn(slot, "k1", "pat-1"), condition...); a.StatusCode != 412 {
		t.Errorf("two fit: %d", a.StatusCode)
	}
	if got := w.srv.DoubleBooked(); fmt.Sprint(got) != "["+slot+"]" || w.status(slot) != "free" || len(w.srv.Book()) != 2 {
		t.Errorf("a plain server books blindly: %v %v", got, w.srv.Book())
	}
	if n := total(w.ok("/Appointment?slot=Slot/" + slot + "&status=booked")); n != 2 {
		t.Errorf("%d on the slot", n)
	}
}

func TestAStrictServerBooksOnlyWhatIsFreeAndItsSlotsFollow(t *testing.T) {
	t.Parallel()
	w := plainServer(t, func(o *Options) { o.StrictSlots, o.EmptyAnswers = true, true })
	free := w.open(3)
	one := w.post("/Appointment", bookedOn(free[0].ID, "a", "pat-1"))
	if one.StatusCode != 201 || one.text != "" || one.Header.Get("Location") == "" || w.status(free[0].ID) != "busy" {
		t.Fatalf("%d %q %v", one.StatusCode, one.text, one.Header)
	}
	if a := w.post("/Appointment", bookedOn(free[0].ID, "b", "pat-2")); a.StatusCode != 409 {
		t.Errorf("taken: %d", a.StatusCode)
	}
	w.send(http.MethodPut, "/Slot/"+free[1].ID, "application/fhir+json", w.slotWith(free[1].ID, "busy-tentative"), "If-Match", `W/"1"`)
	if a := w.post("/Appointment", bookedOn(free[1].ID, "c", "pat-1")); a.StatusCode != 201 {
		t.Errorf("put aside by a client: %d", a.StatusCode)
	}
	if _, err := w.srv.TakeSlot(free[2].ID, "", false); err != nil {
		t.Fatal(err)
	}
	if a := w.post("/Appointment", bookedOn(free[2].ID, "d", "pat-1")); a.StatusCode != 409 {
		t.Errorf("taken by a rival: %d", a.StatusCode)
	}
	id := one.Header.Get("Location")[strings.LastIndexByte(one.Header.Get("Location"), '/')+1:]
	if a := w.cancelBy(id, "If-Match", `W/"1"`); a.StatusCode != 200 || a.text != "" || w.status(free[0].ID) != "free" {
		t.Errorf("%d %q", a.StatusCode, a.text)
	}
	again := strings.Replace(w.get("/Appointment/"+id).text, `"cancelled"`, `"booked"`, 1)
	if a := w.send(http.MethodPut, "/Appointment/"+id, "application/fhir+json", again); a.StatusCode != 422 {
		t.Errorf("booked after cancelled: %d", a.StatusCode)
	}
}

func TestAnAppointmentIsPutWithIfMatch(t *testing.T) {
	t.Parallel()
	w := plainServer(t, nil)
	w.post("/Appointment", bookedOn(w.open(1)[0].ID, "k", "pat-1"))
	id := w.srv.Appointments()[0].ID
	body := strings.Replace(w.get("/Appointment/"+id).text, `"status":"booked"`, `"status":"cancelled"`, 1)
	if a := w.send(http.MethodPut, "/Appointment/"+id, "application/fhir+json", body, "If-Match", `W/"3"`); a.StatusCode != 412 {
		t.Errorf("stale: %d", a.StatusCode)
	}
	if a := w.send(http.MethodPut, "/Appointment/"+id, "application/fhir+json", body, "If-Match", `W/"1"`); a.StatusCode != 200 || w.srv.Appointments("cancelled")[0].Version != 2 {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := w.send(http.MethodPut, "/Appointment/other", "application/fhir+json", body); a.StatusCode != 400 {
		t.Errorf("another id: %d", a.StatusCode)
	}
}

func transactionOf(slotBody, slot, version, appointment, condition string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":` + slotBody + `,"request":{"method":"PUT","url":"Slot/` + slot + `","ifMatch":"W/\"` + version + `\""}},
		{"fullUrl":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a","resource":` + appointment + `,"request":{"method":"POST","url":"Appointment","ifNoneExist":"` + condition + `"}}]}`
}

func TestATransactionHappensWhollyOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		w := plainServer(t, func(o *Options) { o.StrictSlots = strict })
		slot := w.open(1)[0].ID
		free := w.get("/Slot/" + slot).text
		busy := w.slotWith(slot, "busy")
		for name, tc := range map[string]struct {
			body string
			want int
		}{
			"a stale slot":       {transactionOf(busy, slot, "4", bookedOn(slot, "k", "pat-1"), "identifier=urn:ours|k"), 412},
			"an unknown patient": {transactionOf(busy, slot, "1", bookedOn(slot, "k", "nobody"), "identifier=urn:ours|k"), 422},
			"a broken slot":      {transactionOf(strings.Replace(busy, `"busy"`, `"gone"`, 1), slot, "1", bookedOn(slot, "k", "pat-1"), ""), 422},
			"a slot of no such":  {transactionOf(busy, "none", "1", bookedOn(slot, "k", "pat-1"), ""), 400},
			"something else":     {`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Slot/` + slot + `"}}]}`, 422},
			"a batch":            {`{"resourceType":"Bundle","type":"batch","entry":[]}`, 400},
			"nothing in it":      {`{"resourceType":"Bundle","type":"transaction"}`, 400},
		} {
			if a := w.post("", tc.body); name != "a slot of no such" && a.StatusCode != tc.want || a.StatusCode < 400 {
				t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
			}
		}
		if len(w.srv.Appointments()) != 0 || w.get("/Slot/"+slot).text != free {
			t.Fatalf("left behind: %v", w.srv.Appointments())
		}
		whole := transactionOf(busy, slot, "1", bookedOn(slot, "k", "pat-1"), "identifier=urn:ours|k")
		a := w.post("/", whole)
		if a.StatusCode != 200 || digString(a.json(t), "type") != "transaction-response" || digString(a.json(t), "entry", 1, "response", "status") != "201 Created" || w.status(slot) != "busy" {
			t.Fatalf("%d %s", a.StatusCode, a.text)
		}
		if again := w.post("", whole); again.StatusCode != 412 || len(w.srv.Book()) != 1 {
			t.Errorf("again: %d, %v", again.StatusCode, w.srv.Book())
		}
	}
	w := plainServer(t, func(o *Options) { o.NoTransactions = true })
	if a := w.post("", `{"resourceType":"Bundle","type":"transaction"}`); a.StatusCode != 405 {
		t.Errorf("without transactions: %d", a.StatusCode)
	}
}

func TestATransactionMayRegisterThePatientItBooks(t *testing.T) {
	t.Parallel()
	w := plainServer(t, nil)
	slot := w.open(1)[0].ID
	appointment := strings.Replace(bookedOn(slot, "k", "pat-1"), "Patient/pat-1", "urn:uuid:11111111-1111-1111-1111-111111111111", 1)
	a := w.post("", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:11111111-1111-1111-1111-111111111111","resource":{"resourceType":"Patient","name":[{"family":"New"}]},"request":{"method":"POST","url":"Patient"}},
		{"fullUrl":"urn:uuid:22222222-2222-2222-2222-222222222222","resource":`+appointment+`,"request":{"method":"POST","url":"Appointment"}}]}`)
	people := w.srv.Patients()
	if got := w.srv.Appointments(); a.StatusCode != 200 || len(got) != 1 || got[0].Patients[0] != "Patient/"+people[len(people)-1].ID {
		t.Errorf("%d %s: %+v", a.StatusCode, a.text, got)
	}
}
