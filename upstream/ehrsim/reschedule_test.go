package ehrsim

import (
	"net/http"
	"strings"
	"testing"
)

func TestCancelledApptIDIsOnlyNotedUnlessTheServerMoves(t *testing.T) {
	t.Parallel()
	for _, moves := range []bool{false, true} {
		w := start(t, smallWith(func(o *Options) { o.MovesCancelled = moves }))
		free := w.open(2)
		w.post("/Appointment/offer-"+free[0].ID+"/$book", params("patient-id", "Patient/pat-1"))
		again := params("patient-id", "Patient/pat-1", "cancelled-appt-id", "Appointment/offer-"+free[0].ID)
		if a := w.post("/Appointment/offer-"+free[1].ID+"/$book", again); digString(first(t, a), "status") != "booked" {
			t.Fatal(a.text)
		}
		if old, _ := w.srv.Appointment("offer-" + free[0].ID); (old.Status == "cancelled") != moves || (w.status(free[0].ID) == "free") != moves {
			t.Errorf("moves %v: %s, slot %s", moves, old.Status, w.status(free[0].ID))
		}
		if a := w.post("/Appointment/offer-"+w.open(3)[2].ID+"/$book", strings.Replace(again, "pat-1", "nobody", 1)); a.StatusCode != 422 {
			t.Errorf("%d", a.StatusCode)
		}
		if old, _ := w.srv.Appointment("offer-" + free[0].ID); (old.Status == "cancelled") != moves {
			t.Errorf("a refused booking cancelled the old one: %s", old.Status)
		}
	}
}

func TestARefusedRescheduleKeepsTheOldAppointment(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.MovesCancelled = true }))
	free := w.open(2)
	old := "offer-" + free[0].ID
	w.post("/Appointment/"+old+"/$book", params("patient-id", "Patient/pat-1"))
	if _, err := w.srv.TakeSlot(free[1].ID, "", false); err != nil {
		t.Fatal(err)
	}
	w.post("/Appointment/offer-"+free[1].ID+"/$book", params("patient-id", "Patient/pat-1", "cancelled-appt-id", old))
	if a, _ := w.srv.Appointment(old); a.Status != "booked" || w.status(free[0].ID) != "busy" {
		t.Errorf("%+v", a)
	}
}

func TestAPatchMayMoveAnAppointmentToAnotherSlot(t *testing.T) {
	t.Parallel()
	w := plainServer(t, func(o *Options) { o.StrictSlots = true })
	free := w.open(3)
	w.post("/Appointment", bookedOn(free[0].ID, "k", "pat-1"))
	id := w.srv.Appointments()[0].ID
	if _, err := w.srv.TakeSlot(free[1].ID, "", false); err != nil {
		t.Fatal(err)
	}
	move := func(to string) answer {
		return w.send(http.MethodPatch, "/Appointment/"+id, jsonPatchType, `[{"op":"replace","path":"/slot","value":[{"reference":"Slot/`+to+`"}]}]`)
	}
	if a := move(free[1].ID); a.StatusCode != 409 || w.status(free[0].ID) != "busy" {
		t.Errorf("to a taken one: %d", a.StatusCode)
	}
	if a := move("none"); a.StatusCode != 422 {
		t.Errorf("to none: %d", a.StatusCode)
	}
	a := move(free[2].ID)
	if got := w.srv.Appointments()[0]; a.StatusCode != 200 || got.Slots[0] != free[2].ID || got.Start != free[2].Start || w.status(free[0].ID) != "free" || w.status(free[2].ID) != "busy" {
		t.Errorf("%d %+v", a.StatusCode, got)
	}
}

func TestSlotsThatFollowOneAnotherAreBookedAsOne(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	var pair []Slot
	all := w.srv.Slots("free")
	for _, a := range all {
		for _, b := range all {
			if a.Schedule == b.Schedule && a.End.Equal(b.Start) && a.Start.After(w.srv.Now()) && pair == nil {
				pair = []Slot{a, b}
			}
		}
	}
	two := func(a, b Slot) string {
		return strings.Replace(built(Slot{ID: a.ID, Start: a.Start, End: b.End}, ""), `"slot":[`, `"slot":[{"reference":"Slot/`+a.ID+`"},{"reference":"Slot/`+b.ID+`"}],"ignored":[`, 1)
	}
	if a := w.post("/Appointment/$book", two(pair[1], pair[0])); a.StatusCode != 422 {
		t.Errorf("the wrong way round: %d", a.StatusCode)
	}
	if a := w.post("/Appointment/$book", two(pair[0], pair[1])); a.StatusCode != 201 {
		t.Fatal(a.text)
	}
	got := w.srv.Appointments()[0]
	if len(got.Slots) != 2 || !got.End.Equal(pair[1].End) || w.status(pair[0].ID) != "busy" || w.status(pair[1].ID) != "busy" || len(w.srv.Book()) != 2 {
		t.Errorf("%+v", got)
	}
	w.cancelBy(got.ID)
	if w.status(pair[0].ID) != "free" || w.status(pair[1].ID) != "free" {
		t.Error("not both are free again")
	}
}

func TestServersHoldEachInTheirWay(t *testing.T) {
	t.Parallel()
	hold := func(edit func(*Options)) (*wire, string, answer) {
		w := start(t, smallWith(edit))
		id := "offer-" + w.open(1)[0].ID
		return w, id, w.post("/Appointment/"+id+"/$hold", "")
	}
	if _, _, a := hold(func(o *Options) { o.NoHold = true }); a.StatusCode != 404 {
		t.Errorf("no $hold: %d", a.StatusCode)
	}
	if _, _, a := hold(func(o *Options) { o.NoExpires = true }); a.StatusCode != 200 || a.Header.Get("Expires") != "" {
		t.Errorf("Expires %q", a.Header.Get("Expires"))
	}
	w, id, _ := hold(func(o *Options) { o.RenewHolds = true })
	if a := w.post("/Appointment/"+id+"/$hold", ""); digString(first(t, a), "status") != "pending" || digString(first(t, a), "meta", "versionId") != "2" {
		t.Errorf("renewed: %s", a.text)
	}
	w, id, a := hold(func(o *Options) { o.FindNoSlot = true })
	if o := first(t, a); digString(o, "status") != "pending" || dig(o, "slot") != nil || dig(w.ok("/Appointment/"+id), "slot") != nil || len(w.srv.Appointments()[0].Slots) != 1 {
		t.Errorf("a slot is named: %v", o)
	}
}

func TestMetadataTellsWhatCanBeWritten(t *testing.T) {
	t.Parallel()
	codes := func(w *wire, typ string) string {
		resources, _ := dig(w.ok("/metadata"), "rest", 0, "resource").([]any)
		var out []string
		for _, r := range resources {
			if digString(r, "type") == typ {
				interactions, _ := dig(r, "interaction").([]any)
				for _, i := range interactions {
					out = append(out, digString(i, "code"))
				}
			}
		}
		return strings.Join(out, " ")
	}
	argonaut, plain := start(t, small), plainServer(t, nil)
	if got := codes(argonaut, "Appointment"); got != "read search-type patch" {
		t.Errorf("%s", got)
	}
	if got := codes(plain, "Appointment") + ", " + codes(plain, "Slot") + ", " + codes(plain, "Patient"); got != "read search-type create update patch, read search-type update patch, read search-type create" {
		t.Errorf("%s", got)
	}
	for _, want := range []string{`"name":"hold"`, `"name":"book"`, "appointment-hold", `"patchFormat":["application/json-patch+json","application/xml-patch+xml"`} {
		if !strings.Contains(argonaut.get("/metadata").text, want) {
			t.Errorf("%s is not there", want)
		}
	}
	if digString(plain.ok("/metadata"), "rest", 0, "interaction", 0, "code") != "transaction" {
		t.Error("no transaction")
	}
}

func FuzzJSONPatch(f *testing.F) {
	f.Add(`[{"op":"replace","path":"/status","value":"cancelled"}]`)
	f.Add(`[{"op":"add","path":"/participant/-","value":{"a":[1]}},{"op":"remove","path":"/participant/0"}]`)
	f.Add(`[{"op":"test","path":"/~01","value":null}]`)
	f.Add(`[{"op":"add","path":"/participant/0/x","value":[]}]`)
	s := &Server{opts: Options{FHIR: R4}}
	base := obj("resourceType", "Appointment", "id", "a", "status", "booked", "participant", list{obj("status", "accepted")})
	before := string(appendJSON(nil, base))
	f.Fuzz(func(t *testing.T, text string) {
		steps, err := jsonPatch([]byte(text))
		if err != nil {
			return
		}
		if o, err := s.applyPatch(base, steps); err == nil && o.str("resourceType") != "Appointment" {
			t.Errorf("%s made %s", text, appendJSON(nil, o))
		}
		if string(appendJSON(nil, base)) != before {
			t.Errorf("%s changed what it was given", text)
		}
	})
}

func FuzzXMLPatch(f *testing.F) {
	for _, tc := range cancelling {
		if tc.media == xmlPatchType {
			f.Add(tc.body)
		}
	}
	f.Add(`<diff><add sel="Appointment"><comment value="x"/></add><remove sel="Appointment/participant[2]"/></diff>`)
	s := &Server{opts: Options{FHIR: STU3}}
	base := obj("resourceType", "Appointment", "id", "a", "status", "booked", "participant", list{obj("status", "accepted")})
	f.Fuzz(func(t *testing.T, text string) {
		if steps, err := xmlPatch([]byte(text), "Appointment", STU3); err == nil {
			if o, err := s.applyPatch(base, steps); err == nil && o.str("resourceType") != "Appointment" {
				t.Errorf("%s made %s", text, appendJSON(nil, o))
			}
		}
	})
}

func TestAnAppointmentBuiltInXMLIsBooked(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
		sl := w.open(1)[0]
		appointment := `<Appointment xmlns="http://hl7.org/fhir"><identifier><system value="urn:ours"/><value value="k"/></identifier><status value="proposed"/><start value="` + sl.Start.Format("2006-01-02T15:04:05Z") + `"/><slot><reference value="Slot/` + sl.ID +
			`"/></slot><participant><actor><reference value="Patient/pat-3"/></actor><status value="accepted"/></participant></Appointment>`
		a := w.send(http.MethodPost, "/Appointment/$book", "application/fhir+xml",
			`<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="appt-resource"/><resource>`+appointment+`</resource></parameter></Parameters>`, "Accept", "application/fhir+xml")
		got := w.srv.Appointments()
		if a.StatusCode != 201 || len(got) != 1 || got[0].Identifiers[0] != "urn:ours|k" || got[0].Patients[0] != "Patient/pat-3" || !strings.Contains(a.text, `<status value="booked"/>`) {
			t.Errorf("%d %s: %+v", a.StatusCode, a.text, got)
		}
		if a := w.send(http.MethodPost, "/Appointment/$hold", "application/fhir+xml", appointment); !strings.Contains(a.text, `"cancelled"`) {
			t.Errorf("a bare one, taken: %d %s", a.StatusCode, a.text)
		}
	}
}
