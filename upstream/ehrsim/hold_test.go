package ehrsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// small is a practice that is quickly made.
var small = Options{Practitioners: 2, Days: 5}

func smallWith(edit func(*Options)) Options {
	o := small
	edit(&o)
	return o
}

func TestAHoldByIDIsPendingUntilItExpiresAndBooksWithItsOwnID(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		for name, ask := range map[string]func(w *wire, id, op, patient string) answer{
			"in the path": func(w *wire, id, op, patient string) answer {
				return w.post("/Appointment/"+id+"/$"+op, params("patient-id", patient))
			},
			"appt-id": func(w *wire, id, op, patient string) answer {
				return w.post("/Appointment/$"+op, params("appt-id", "Appointment/"+id, "patient-id", patient))
			},
			"appointment-reference": func(w *wire, id, op, patient string) answer {
				return w.post("/Appointment/%24"+op, params("appointment-reference", w.base+"/Appointment/"+id, "patient-id", patient))
			},
			"XML": func(w *wire, id, op, patient string) answer {
				return w.send(http.MethodPost, "/Appointment/$"+op, "application/fhir+xml", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="appt-id"/><valueUri value="Appointment/`+id+`"/></parameter><parameter><name value="patient-id"/><valueUri value="`+patient+`"/></parameter></Parameters>`)
			},
		} {
			t.Run(string(version)+" "+name, func(t *testing.T) {
				w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
				offer := resources(w.ok("/Appointment/$find?start=2026-02-03"), "match")[0]
				id, slot := digString(offer, "id"), strings.TrimPrefix(digString(offer, "slot", 0, "reference"), "Slot/")
				held := ask(w, id, "hold", "Patient/pat-1")
				o := first(t, held)
				if held.StatusCode != 200 || digString(o, "status") != "pending" || digString(o, "id") != id || w.status(slot) != "busy-tentative" || digString(o, "participant", 0, "status") != "tentative" {
					t.Fatalf("%d %v, slot %s", held.StatusCode, o, w.status(slot))
				}
				until, err1 := http.ParseTime(held.Header.Get("Expires"))
				at, err2 := http.ParseTime(held.Header.Get("Date"))
				if err1 != nil || err2 != nil || until.Sub(at) != 5*time.Minute {
					t.Errorf("Expires %q Date %q", held.Header.Get("Expires"), held.Header.Get("Date"))
				}
				if again := ask(w, id, "hold", "Patient/pat-1"); digString(first(t, again), "status") != "cancelled" || digString(again.json(t), "entry", 1, "resource", "issue", 0, "code") != "conflict" {
					t.Errorf("held twice: %s", again.text)
				}
				booked := ask(w, id, "book", "Patient/pat-2")
				if o := first(t, booked); booked.StatusCode != 200 || digString(o, "status") != "booked" || digString(o, "id") != id || digString(o, "participant", 2, "actor", "reference") != "Patient/pat-2" {
					t.Fatalf("%d %s", booked.StatusCode, booked.text)
				}
				a, err := w.srv.Appointment(id)
				if err != nil || a.Version != 2 || a.History[0].Status != "pending" || fmt.Sprint(a.Patients, a.Slots) != "[Patient/pat-2] ["+slot+"]" || w.status(slot) != "busy" || a.Expires != nil {
					t.Errorf("%+v %v", a, err)
				}
				if got := w.ok("/Appointment/" + id); digString(got, "status") != "booked" || w.get("/Appointment/"+id).Header.Get("ETag") != `W/"2"` {
					t.Errorf("read: %v", got)
				}
			})
		}
	}
}

func TestAnAppointmentBuiltFromAPrefetchedSlotIsCreatedWithALocation(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := start(t, smallWith(func(o *Options) { o.FHIR, o.Outcomes = version, true }))
		free := w.open(8)
		ours := `,"identifier":[{"system":"urn:ours","value":"k-1"}],"comment":"bring the films"`
		held := w.post("/Appointment/$hold", built(free[0], ours))
		id := digString(first(t, held), "id")
		if held.StatusCode != 201 || held.Header.Get("Location") != w.base+"/Appointment/"+id || held.Header.Get("Expires") == "" || len(resources(held.json(t), "outcome")) != 1 {
			t.Fatalf("%d %v %s", held.StatusCode, held.Header, held.text)
		}
		if got := w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-3", "patient-id", "Patient/pat-4")); got.StatusCode != 200 {
			t.Fatalf("%d %s", got.StatusCode, got.text)
		}
		a, _ := w.srv.Appointment(id)
		if fmt.Sprintf("%v %v %s", a.Patients, a.Identifiers, a.Comment) != "[Patient/pat-3 Patient/pat-4] [urn:ours|k-1] bring the films" || !a.Start.Equal(free[0].Start) || a.Practitioner == "" || a.Location == "" {
			t.Errorf("%+v", a)
		}
		direct := w.post("/Appointment/$book", `{"resourceType":"Parameters","parameter":[{"name":"appt-resource","resource":`+built(free[3], ours)+`},{"name":"patient-id","valueUri":"pat-5"},{"name":"comment","valueString":"no"}]}`)
		b := first(t, direct)
		if direct.StatusCode != 201 || digString(b, "comment") != "no" || digString(b, "status") != "booked" || w.status(free[3].ID) != "busy" {
			t.Errorf("%d %s", direct.StatusCode, direct.text)
		}
		if n := total(w.ok("/Appointment?identifier=urn:ours%7Ck-1")); n != 2 {
			t.Errorf("%d by our identifier", n)
		}
	}
}

func TestWhatCannotBeHeldOrBookedIsRefusedAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	free := w.open(3)
	other := free[0]
	other.Start = other.Start.Add(time.Minute)
	gone := free[0]
	gone.ID = "never"
	offer := "offer-" + free[0].ID
	for name, tc := range map[string]struct {
		path, body string
		want       int
	}{
		"an unknown id":                 {"/Appointment/$book", params("appt-id", "Appointment/offer-none", "patient-id", "Patient/pat-1"), 404},
		"a slot that never existed":     {"/Appointment/$book", built(gone, ""), 404},
		"times that are not the slot's": {"/Appointment/$book", built(other, ""), 422},
		"no slot":                       {"/Appointment/$hold", `{"resourceType":"Appointment","status":"proposed"}`, 422},
		"no patient":                    {"/Appointment/" + offer + "/$book", "", 422},
		"an unknown patient":            {"/Appointment/" + offer + "/$book", params("patient-id", "Patient/nobody"), 422},
		"path and appt-id disagree":     {"/Appointment/" + offer + "/$hold", params("appt-id", "Appointment/offer-"+free[1].ID), 400},
		"nothing named":                 {"/Appointment/$hold", params("comment", "x"), 400},
		"a resource of another type":    {"/Appointment/$hold", `{"resourceType":"Slot"}`, 422},
		"half a body":                   {"/Appointment/$hold", `{"resourceType":`, 400},
		"an unknown cancelled one":      {"/Appointment/" + offer + "/$book", params("patient-id", "Patient/pat-1", "cancelled-appt-id", "Appointment/none"), 404},
		"a huge comment":                {"/Appointment/" + offer + "/$book", params("patient-id", "Patient/pat-1", "comment", strings.Repeat("x", maxBody)), 413},
		"creating one plainly":          {"/Appointment", built(free[0], ""), 405},
		"a transaction":                 {"", `{"resourceType":"Bundle","type":"transaction"}`, 405},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.post(tc.path, tc.body); a.StatusCode != tc.want || digString(a.json(t), "resourceType") != "OperationOutcome" {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		})
	}
	if len(w.srv.Appointments()) != 0 || w.status(free[0].ID) != "free" || digString(w.ok("/Appointment/"+offer), "status") != "proposed" {
		t.Errorf("left behind: %v", w.srv.Appointments())
	}
}

func TestAUsedOfferComesBackUnderAnotherID(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	slot := w.open(1)[0].ID
	for _, id := range []string{"offer-" + slot, "offer-" + slot + ".2", "offer-" + slot + ".3"} {
		if a := w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-1")); digString(first(t, a), "status") != "booked" {
			t.Fatalf("%s: %s", id, a.text)
		}
		if a := w.cancelBy(id); a.StatusCode != 200 || w.status(slot) != "free" {
			t.Fatalf("%d %s", a.StatusCode, a.text)
		}
		if a := w.cancelBy(id); a.StatusCode != 200 || a.Header.Get("ETag") != `W/"2"` {
			t.Errorf("cancelled again: %d %v", a.StatusCode, a.Header)
		}
		if a := w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-1")); digString(first(t, a), "status") != "cancelled" {
			t.Errorf("a used id: %s", a.text)
		}
	}
}

func TestHoldsLapseByTheSimulatedClock(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.Now, o.Start, o.TimeScale = time.Now, monday, 3000 }))
	slot := w.open(80)[79].ID
	held := w.post("/Appointment/offer-"+slot+"/$hold", "")
	if digString(first(t, held), "status") != "pending" {
		t.Fatal(held.text)
	}
	for deadline := time.Now().Add(2 * time.Minute); w.status(slot) != "free"; {
		if time.Now().After(deadline) {
			t.Fatal("the hold stays")
		}
	}
	a, _ := w.srv.Appointment("offer-" + slot)
	if last := a.History[len(a.History)-1]; a.Status != "cancelled" || last.By != "lapse" || last.At.Sub(a.History[0].At) < 5*time.Minute {
		t.Errorf("%+v", a)
	}
	if late := w.post("/Appointment/offer-"+slot+"/$book", params("patient-id", "Patient/pat-1")); digString(first(t, late), "status") != "cancelled" {
		t.Errorf("booked after the lapse: %s", late.text)
	}
}
