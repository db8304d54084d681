package ehrsim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const newPatient = `{"resourceType":"Patient","identifier":[{"system":"urn:ours","value":"p1"}],"name":[{"family":"Canary","given":["Cleo"]}],"gender":"female","birthDate":"1990-04-05"}`

func TestAnArgonautServerKnowsItsPeople(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
		known := len(w.srv.Patients())
		made := w.post("/Patient", newPatient)
		id := digString(made.json(t), "id")
		if made.StatusCode != 201 || made.Header.Get("Location") != w.base+"/Patient/"+id {
			t.Fatalf("%d %s", made.StatusCode, made.text)
		}
		for name, body := range map[string]string{
			"by identifier":             `{"resourceType":"Patient","identifier":[{"system":"urn:ours","value":"p1"}],"name":[{"family":"Other"}]}`,
			"by name, birth and gender": strings.Replace(newPatient, `"p1"`, `"p2"`, 1),
		} {
			if a := w.post("/Patient", body); a.StatusCode != 200 || digString(a.json(t), "id") != id {
				t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
			}
		}
		for name, body := range map[string]string{
			"another birth date": strings.NewReplacer("p1", "p3", "1990", "1991").Replace(newPatient),
			"no birth date":      `{"resourceType":"Patient","name":[{"family":"Canary","given":["Cleo"]}],"gender":"female"}`,
		} {
			if a := w.post("/Patient", body); a.StatusCode != 201 {
				t.Errorf("%s: %d", name, a.StatusCode)
			}
		}
		if n := len(w.srv.Patients()); n != known+3 {
			t.Errorf("%d patients more", n-known)
		}
		slot := w.open(1)[0].ID
		if a := w.post("/Appointment/offer-"+slot+"/$book", params("patient-id", "Patient/"+id)); digString(first(t, a), "status") != "booked" {
			t.Errorf("%s", a.text)
		}
	}
}

func TestAPlainServerHeedsTheConditionAlone(t *testing.T) {
	t.Parallel()
	w := plainServer(t, nil)
	known := len(w.srv.Patients())
	condition := []string{"If-None-Exist", "identifier=urn:ours|p1"}
	one := w.post("/Patient", newPatient, condition...)
	two := w.post("/Patient", newPatient, condition...)
	if one.StatusCode != 201 || two.StatusCode != 200 || one.Header.Get("Location") != two.Header.Get("Location") {
		t.Errorf("%d %d", one.StatusCode, two.StatusCode)
	}
	if a := w.post("/Patient", newPatient); a.StatusCode != 201 {
		t.Errorf("without a condition: %d", a.StatusCode)
	}
	if a := w.post("/Patient", newPatient, condition...); a.StatusCode != 412 || len(w.srv.Patients()) != known+2 {
		t.Errorf("two fit: %d", a.StatusCode)
	}
	if a := w.post("/Patient", newPatient, "If-None-Exist", "colour=red"); a.StatusCode != 400 {
		t.Errorf("a condition that is none: %d", a.StatusCode)
	}
}

func TestPatientsAreFoundByGETAndByPost(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	for query, want := range map[string]int{
		"identifier=urn:ehrsim:mrn%7C1001":                            1,
		"family=winters":                                              1,
		"family=Winters&given=Ada&birthdate=1964-06-19&gender=female": 1,
		"family=Winters&birthdate=1964-06-20":                         0,
		"name=Ada":                                                    1,
		"gender=male":                                                 3,
		"birthdate=ge1999-01-01":                                      2,
		"_id=pat-3":                                                   1,
	} {
		if got := total(w.ok("/Patient?" + query)); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
		if got := total(w.send(http.MethodPost, "/Patient/_search", "application/x-www-form-urlencoded", query).json(t)); got != want {
			t.Errorf("_search %s: %d, want %d", query, got, want)
		}
	}
	if got := w.ok("/Patient/pat-1"); digString(got, "name", 0, "family") != "Winters" {
		t.Errorf("%v", got)
	}
}

func TestARacingServerAddsOnePersonTwice(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{Argonaut, Slots} {
		for race, want := range map[time.Duration]int{0: 1, 200 * time.Millisecond: 2} {
			w := start(t, smallWith(func(o *Options) { o.Dialect, o.PatientRace = dialect, race }))
			known := len(w.srv.Patients())
			w.crowd(10, func(_ int, post func(string, string, ...string) (int, string)) {
				post("/Patient", newPatient, "If-None-Exist", "identifier=urn:ours|p1")
			})
			if n := len(w.srv.Patients()) - known; n < want || race == 0 && n != 1 {
				t.Errorf("%s, %s: %d", dialect, race, n)
			}
		}
	}
}

func TestAPatientWhoIsNotCompleteIsRefusedByNamingWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.PatientRequires = []string{"birthDate", "telecom", "address"} }))
	a := w.post("/Patient", newPatient)
	if a.StatusCode != 422 || digString(a.json(t), "issue", 0, "expression", 0) != "Patient.telecom" || digString(a.json(t), "issue", 1, "expression", 0) != "Patient.address" || dig(a.json(t), "issue", 2) != nil {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := w.post("/Patient", `{"resourceType":"Slot"}`); a.StatusCode != 400 {
		t.Errorf("no patient: %d", a.StatusCode)
	}
}

func TestCoverageIsKept(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
		made := w.post("/Coverage", `{"resourceType":"Coverage","status":"active","beneficiary":{"reference":"Patient/pat-1"},"payor":[{"display":"Anthem"}]}`)
		id := digString(made.json(t), "id")
		if made.StatusCode != 201 || made.Header.Get("Location") != w.base+"/Coverage/"+id {
			t.Fatalf("%d %s", made.StatusCode, made.text)
		}
		xml := strings.Replace(w.get("/Coverage/"+id, "Accept", "application/fhir+xml").text, "Anthem", "Other", 1)
		if a := w.send(http.MethodPut, "/Coverage/"+id, "application/fhir+xml", xml); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
		if got := w.ok("/Coverage/" + id); digString(got, "payor", 0, "display") != "Other" || digString(got, "meta", "versionId") != "2" {
			t.Errorf("%v", got)
		}
		if a := w.send(http.MethodPut, "/Coverage/mine", "application/fhir+json", `{"resourceType":"Coverage","id":"mine"}`); a.StatusCode != 405 {
			t.Errorf("an id of the client's: %d", a.StatusCode)
		}
		if a := w.post("/Coverage", `{"resourceType":"Coverage","beneficiary":{"reference":"Patient/nobody"}}`); a.StatusCode != 422 {
			t.Errorf("of nobody: %d", a.StatusCode)
		}
	}
}
