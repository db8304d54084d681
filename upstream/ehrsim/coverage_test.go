package ehrsim

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// card is a Coverage of pat-1 with these elements besides.
func card(version FHIR, more string) string {
	group := `"grouping":{"plan":"1FZQ","planDisplay":"Bronze"}`
	if version == R4 {
		group = `"class":[{"type":{"coding":[{"code":"plan"}]},"value":"1FZQ"}]`
	}
	return `{"resourceType":"Coverage","status":"active","beneficiary":{"reference":"Patient/pat-1"},"payor":[{"display":"Anthem"}],` + group + more + `}`
}

func TestTheBookOfInsurance(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := plainServer(t, func(o *Options) { o.FHIR = version })
		made := w.post("/Coverage", card(version, `,"identifier":[{"system":"urn:x","value":"1"}],"subscriberId":"S1","subscriber":{"reference":"Patient/pat-2"}`))
		id := digString(made.json(t), "id")
		got := w.srv.Coverages()
		if made.StatusCode != 201 || len(got) != 1 || got[0].ID != id || got[0].Version != 1 || got[0].Payor != "Anthem" || got[0].Beneficiary != "Patient/pat-1" || got[0].SubscriberID != "S1" ||
			!slices.Equal(got[0].Patients, []string{"pat-1", "pat-2"}) || !slices.Equal(got[0].Classes, []string{"plan=1FZQ"}) || !slices.Equal(got[0].Identifiers, []string{"urn:x|1"}) {
			t.Fatalf("%s: %+v", version, got)
		}
		if list, _ := w.control(http.MethodGet, "coverages", "")["coverages"].([]any); digString(list[0], "id") != id || digString(list[0], "beneficiary") != "Patient/pat-1" {
			t.Errorf("%s: %v", version, list)
		}
		for query, want := range map[string]int{"identifier=urn:x|1": 1, "identifier=urn:x|2": 0, "beneficiary=Patient/pat-1": 1, "beneficiary=pat-2": 0, "subscriber=Patient/pat-2": 1} {
			if n := total(w.send(http.MethodPost, "/Coverage/_search", "application/x-www-form-urlencoded", query).json(t)); n != want {
				t.Errorf("%s %s: %d", version, query, n)
			}
		}
		condition := []string{"If-None-Exist", "identifier=urn:x|1"}
		if a := w.post("/Coverage", card(version, ""), condition...); a.StatusCode != 200 || digString(a.json(t), "id") != id {
			t.Errorf("%s: one fits: %d %s", version, a.StatusCode, a.text)
		}
		w.post("/Coverage", card(version, `,"identifier":[{"system":"urn:x","value":"1"}]`))
		if a := w.post("/Coverage", card(version, ""), condition...); a.StatusCode != 412 || len(w.srv.Coverages()) != 2 {
			t.Errorf("%s: two fit: %d", version, a.StatusCode)
		}
		if err := w.srv.Reset(); err != nil || len(w.srv.Coverages()) != 0 {
			t.Errorf("%s: after a reset: %v", version, err)
		}
	}
}

func TestAServerTakesTheInsuranceOfItsOwnVersion(t *testing.T) {
	t.Parallel()
	const payor, patient = `"payor":[{"display":"Anthem"}]`, `"beneficiary":{"reference":"Patient/pat-1"}`
	const parent = `"contained":[{"resourceType":"RelatedPerson","id":"r","patient":{"reference":"Patient/pat-4"}}],"subscriber":{"reference":"#r"}`
	for name, c := range map[string]struct {
		elements string
		stu3, r4 int
	}{
		"whole":                     {`"status":"active",` + patient + `,` + payor, 201, 201},
		"no status":                 {patient + `,` + payor, 201, 422},
		"no payor":                  {`"status":"active",` + patient, 201, 422},
		"the subscriber alone":      {`"status":"active","subscriber":{"reference":"Patient/pat-1"},` + payor, 201, 422},
		"a parent subscribes":       {`"status":"active",` + parent + `,` + payor, 201, 422},
		"a parent, and who it is":   {`"status":"active",` + parent + `,` + patient + `,` + payor, 201, 201},
		"a subscriber who is not":   {`"status":"active","subscriber":{"reference":"#nobody"},` + patient + `,` + payor, 422, 422},
		"a grouping":                {`"status":"active","grouping":{"plan":"1"},` + patient + `,` + payor, 201, 422},
		"a class":                   {`"status":"active","class":[{"type":{"text":"plan"},"value":"1"}],` + patient + `,` + payor, 422, 201},
		"a class without a value":   {`"status":"active","class":[{"type":{"text":"plan"}}],` + patient + `,` + payor, 422, 422},
		"nobody":                    {`"status":"active",` + payor, 422, 422},
		"somebody who is not known": {`"status":"active","beneficiary":{"reference":"Patient/x"},` + payor, 422, 422},
	} {
		for version, want := range map[FHIR]int{STU3: c.stu3, R4: c.r4} {
			w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
			if a := w.post("/Coverage", `{"resourceType":"Coverage",`+c.elements+`}`); a.StatusCode != want || len(w.srv.Coverages()) != map[int]int{201: 1}[want] {
				t.Errorf("%s %s: %d %s", version, name, a.StatusCode, a.text)
			}
		}
	}
}

func TestWhatAServerRequiresOfInsuranceIsNamed(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.CoverageRequires = []string{"subscriberId"} }))
	if a := w.post("/Coverage", card(R4, "")); a.StatusCode != 422 || digString(a.json(t), "issue", 0, "expression", 0) != "Coverage.subscriberId" || digString(a.json(t), "issue", 0, "code") != "required" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	made := w.post("/Coverage", card(R4, `,"subscriberId":"1"`))
	if made.StatusCode != 201 {
		t.Fatalf("%d %s", made.StatusCode, made.text)
	}
	id := digString(made.json(t), "id")
	if a := w.send(http.MethodPut, "/Coverage/"+id, "application/fhir+json", card(R4, `,"id":"`+id+`"`)); a.StatusCode != 422 || w.srv.Coverages()[0].Version != 1 {
		t.Errorf("changed without it: %d", a.StatusCode)
	}
}

func TestWhereInsuranceIsWantedFirstNobodyIsBookedWithout(t *testing.T) {
	t.Parallel()
	for name, book := range map[string]func(*wire, Slot) answer{
		"argonaut": func(w *wire, sl Slot) answer {
			return w.post("/Appointment/offer-"+sl.ID+"/$book", params("patient-id", "Patient/pat-1"))
		},
		"slots": func(w *wire, sl Slot) answer {
			return w.post("/Appointment", strings.Replace(built(sl, ""), "proposed", "booked", 1))
		},
		"transaction": func(w *wire, sl Slot) answer {
			return w.post("", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+strings.Replace(built(sl, ""), "proposed", "booked", 1)+`,"request":{"method":"POST","url":"Appointment"}}]}`)
		},
	} {
		w := start(t, smallWith(func(o *Options) {
			o.CoverageFirst = true
			if name != "argonaut" {
				o.Dialect = Slots
			}
		}))
		sl := w.open(1)[0]
		if a := book(w, sl); a.StatusCode != 422 || len(w.srv.Book()) != 0 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
		}
		w.post("/Coverage", strings.Replace(card(R4, ""), "active", "cancelled", 1))
		if a := book(w, sl); a.StatusCode != 422 {
			t.Errorf("%s, with one that was cancelled: %d", name, a.StatusCode)
		}
		w.post("/Coverage", card(R4, ""))
		if a := book(w, sl); a.StatusCode >= 300 || len(w.srv.Book()) != 1 {
			t.Errorf("%s, with one: %d %s", name, a.StatusCode, a.text)
		}
	}
}

func TestInsuranceThatIsNotServed(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.NoCoverage = true }))
	for _, a := range []answer{w.post("/Coverage", card(R4, "")), w.get("/Coverage/x"), w.get("/Coverage")} {
		if a.StatusCode != 404 {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	}
	if strings.Contains(w.get("/metadata").text, `"Coverage"`) {
		t.Error("it is told of")
	}
	w = start(t, small)
	if a := w.send(http.MethodPost, "/Coverage/_search", "application/x-www-form-urlencoded", "identifier=x"); a.StatusCode != 405 {
		t.Errorf("the guide's server searches: %d", a.StatusCode)
	}
	w = start(t, smallWith(func(o *Options) { o.CoverageSearch = true }))
	if a := w.send(http.MethodPost, "/Coverage/_search", "application/x-www-form-urlencoded", "identifier=x"); a.StatusCode != 200 {
		t.Errorf("configured to: %d", a.StatusCode)
	}
}

func TestEveryWayToRefuseInsurance(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	for _, shape := range CoverageShapes() {
		w.fault(Fault{Kind: FaultRefuse, On: "coverage", Shape: shape})
		a := w.post("/Coverage", card(R4, `,"subscriberId":"S-77","subscriber":{"display":"Cleo Canary"}`))
		is := coverageShapes[shape]
		if a.StatusCode != is.status || digString(a.json(t), "issue", 0, "code") != is.code || digString(a.json(t), "issue", 0, "severity") != is.severity {
			t.Errorf("%s: %d %s", shape, a.StatusCode, a.text)
		}
		if repeats := strings.Contains(is.text, "%s"); repeats != strings.Contains(a.text, "Cleo Canary S-77") {
			t.Errorf("%s: %s", shape, a.text)
		}
	}
	for _, f := range []Fault{{Kind: FaultCommitLost, On: "coverage"}, {Kind: FaultLost, On: "coverage"}} {
		w.fault(f)
		before := len(w.srv.Coverages())
		_, err := w.do(t.Context(), http.MethodPost, "/Coverage", card(R4, ""), "Content-Type", "application/fhir+json")
		if made := len(w.srv.Coverages()) - before; err == nil || made != map[FaultKind]int{FaultCommitLost: 1}[f.Kind] {
			t.Errorf("%s: %v, %d made", f.Kind, err, made)
		}
	}
	if err := (Fault{Kind: FaultRefuse, Shape: "politely"}).validate(); err == nil {
		t.Error("a shape that is none")
	}
}

func TestATransactionThatInsuresSomebodyNewIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	w := plainServer(t, nil)
	known := len(w.srv.Patients())
	bundle := func(card string) string {
		return `{"resourceType":"Bundle","type":"transaction","entry":[
			{"fullUrl":"urn:uuid:p","resource":` + newPatient + `,"request":{"method":"POST","url":"Patient"}},
			{"fullUrl":"urn:uuid:c","resource":` + card + `,"request":{"method":"POST","url":"Coverage"}}]}`
	}
	whole := strings.Replace(card(R4, ""), "Patient/pat-1", "urn:uuid:p", 1)
	if a := w.post("", bundle(strings.Replace(whole, "payor", "network", 1))); a.StatusCode != 422 || len(w.srv.Patients()) != known || len(w.srv.Coverages()) != 0 {
		t.Errorf("%d, %d patients", a.StatusCode, len(w.srv.Patients())-known)
	}
	a := w.post("", bundle(whole))
	if got := w.srv.Coverages(); a.StatusCode != 200 || len(got) != 1 || got[0].Beneficiary != "Patient/"+w.srv.Patients()[known].ID {
		t.Errorf("%d %+v", a.StatusCode, got)
	}
}
