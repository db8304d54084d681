package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slotgate/config/testenv"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// insured are clinics of both releases that take insurance.
func insured() []clinic {
	covers := func(o *upstream.Options) { o.Insurance.Coverage = "after" }
	return []clinic{
		{"napa", ehrsim.Options{Seed: 31, Dialect: ehrsim.Argonaut, FHIR: "stu3", Days: 5}, covers},
		{"york", ehrsim.Options{Seed: 32, Dialect: ehrsim.Argonaut, FHIR: "r4", Days: 5}, covers},
		{"oak", ehrsim.Options{Seed: 33, Dialect: ehrsim.Slots, FHIR: "r4", Days: 5}, covers},
	}
}

// guideText is one of the guide's examples.
func guideText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testenv.Shared(t, "argonaut/examples"), name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// kept is the id that a create was answered with.
func kept(t *testing.T, a answer, want int) string {
	t.Helper()
	place := a.header.Get("Location")
	if a.code != want || place == "" {
		t.Fatalf("%d, want %d: %s", a.code, want, a.raw)
	}
	return place[strings.LastIndex(place, "/")+1:]
}

// sentOver is the one insurance that a clinic has: what was sent, but for the
// ids there.
func sentOver(t *testing.T, sim *ehrsim.Server) (card ehrsim.Coverage, resource map[string]any) {
	t.Helper()
	list := sim.Coverages()
	if len(list) != 1 {
		t.Fatalf("%d insurances: %+v", len(list), list)
	}
	if err := json.Unmarshal([]byte(list[0].Resource), &resource); err != nil {
		t.Fatal(err)
	}
	return list[0], resource
}

// TestTheGuidesInsuranceArrivesUnchanged: the daughter whose father subscribes,
// by each of the guide's three options of when to give what, at sources of both
// releases.
func TestTheGuidesInsuranceArrivesUnchanged(t *testing.T) {
	t.Parallel()
	const base = "/fhir/stu3"
	daughter, card := guideText(t, "Patient-argo-sch-patient-2"), guideText(t, "Coverage-argo-sch-2")
	options := map[string]func(t *testing.T, u user, offer string) answer{
		"before the search": func(t *testing.T, u user, offer string) answer {
			id := kept(t, u.tell(t.Context(), 0, http.MethodPost, base+"/Patient", daughter), http.StatusCreated)
			kept(t, u.tell(t.Context(), 1, http.MethodPost, base+"/Coverage", strings.ReplaceAll(card, "Patient/argo-sch-patient-2", "Patient/"+id)), http.StatusCreated)
			return u.tell(t.Context(), 0, http.MethodPost, base+"/Appointment/"+offer+"/$book", `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/`+id+`"}]}`)
		},
		"with the booking": func(t *testing.T, u user, offer string) answer {
			if held := u.hold(t.Context(), 1, offer); held.code != http.StatusOK {
				t.Fatalf("%d %s", held.code, held.raw)
			}
			return u.tell(t.Context(), 0, http.MethodPost, base+"/Appointment/"+offer+"/$book",
				`{"resourceType":"Parameters","parameter":[{"name":"patient-resource","resource":`+daughter+`},{"name":"coverage","resource":`+card+`}]}`)
		},
		"after the booking": func(t *testing.T, u user, offer string) answer {
			id := kept(t, u.tell(t.Context(), 0, http.MethodPost, base+"/Patient", daughter), http.StatusCreated)
			booked := u.tell(t.Context(), 0, http.MethodPost, base+"/Appointment/"+offer+"/$book", `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/`+id+`"}]}`)
			kept(t, u.tell(t.Context(), 1, http.MethodPost, base+"/Coverage", strings.ReplaceAll(card, "Patient/argo-sch-patient-2", "Patient/"+id)), http.StatusCreated)
			return booked
		},
	}
	for name, give := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, insured()...)
			for i, source := range []string{"napa", "york", "oak"} {
				offer := h.slots(t, source, 1)[0].offer
				booked := give(t, h.user(i), offer)
				if booked.code != http.StatusOK || booked.status != "booked" {
					t.Fatalf("%s: %s %s", source, booked, booked.raw)
				}
				arrived(t, h.sims[source], card)
			}
		})
	}
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// arrived compares what a clinic has with what was given, element by element.
func arrived(t *testing.T, sim *ehrsim.Server, given string) {
	t.Helper()
	card, got := sentOver(t, sim)
	native := strings.TrimPrefix(strings.Join(card.Patients, " "), "Patient/")
	if strings.HasPrefix(native, "pt-") || strings.Contains(native, " ") {
		t.Errorf("it names %q", native)
	}
	_, stu3 := got["grouping"]
	if !stu3 {
		given = strings.NewReplacer(
			"http://hl7.org/fhir/v3/ActCode", "http://terminology.hl7.org/CodeSystem/v3-ActCode",
			"http://hl7.org/fhir/policyholder-relationship", "http://terminology.hl7.org/CodeSystem/subscriber-relationship",
		).Replace(given)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(given, "argo-sch-patient-2", native)), &want); err != nil {
		t.Fatal(err)
	}
	if !stu3 {
		delete(want, "grouping")
		want["class"] = []any{map[string]any{
			"type":  map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": "plan"}}},
			"value": "1FZQ", "name": "Anthem Bronze 60 D HSA PPO",
		}}
		want["beneficiary"] = map[string]any{"reference": "Patient/" + native}
	}
	// Beside a reference to a Patient nothing is said of who it is: the reference
	// tells, and two that disagree would name two.
	for _, one := range asList(want["contained"]) {
		if patient, ok := one.(map[string]any)["patient"].(map[string]any); ok {
			delete(patient, "display")
		}
	}
	ids, _ := got["identifier"].([]any)
	if len(ids) != 2 || ids[1].(map[string]any)["system"] != scheduling.CoverageIdentifierSystem {
		t.Fatalf("identifiers %v", ids)
	}
	got["identifier"] = ids[:1]
	for _, theirs := range []string{"id", "meta", "text"} {
		delete(want, theirs)
		delete(got, theirs)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-given +arrived):\n%s", diff)
	}
}

// TestAChangedInsuranceIsChangedAtTheEHR: what is put replaces what was sent.
func TestAChangedInsuranceIsChangedAtTheEHR(t *testing.T) {
	t.Parallel()
	h := newHouse(t, insured()[:1]...)
	u := h.user(1)
	const base = "/fhir/r4"
	three := `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:c","resource":{"resourceType":"Coverage","status":"active","subscriber":{"reference":"urn:uuid:m"},"subscriberId":"S-1","payor":[{"display":"Blue"}],"class":[{"type":{"coding":[{"code":"plan"}]},"value":"P-1"}]},"request":{"method":"POST","url":"Coverage"}},
		{"fullUrl":"urn:uuid:m","resource":{"resourceType":"RelatedPerson","patient":{"reference":"urn:uuid:k"},"name":[{"family":"Muster"}]},"request":{"method":"POST","url":"RelatedPerson"}},
		{"fullUrl":"urn:uuid:k","resource":{"resourceType":"Patient","name":[{"family":"Muster","given":["Kim"]}],"birthDate":"2016-10-21","gender":"female"},"request":{"method":"POST","url":"Patient"}}]}`
	made := u.tell(t.Context(), 0, http.MethodPost, base, three)
	var bundle struct {
		Entry []struct{ Resource struct{ ID string } }
	}
	if err := json.Unmarshal([]byte(made.raw), &bundle); err != nil || made.code != http.StatusOK || len(bundle.Entry) != 3 {
		t.Fatalf("%d %s", made.code, made.raw)
	}
	cover, patient := bundle.Entry[0].Resource.ID, bundle.Entry[2].Resource.ID
	offer := h.slots(t, "napa", 1)[0].offer
	booked := u.tell(t.Context(), 1, http.MethodPost, base+"/Appointment/"+offer+"/$book",
		`{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/`+patient+`"},{"name":"coverage","valueReference":{"reference":"Coverage/`+cover+`"}}]}`)
	if booked.status != "booked" {
		t.Fatalf("%s %s", booked, booked.raw)
	}
	before, resource := sentOver(t, h.sims["napa"])
	if before.SubscriberID != "S-1" || cmp.Diff([]string{"plan=P-1"}, before.Classes) != "" || !strings.HasPrefix(before.Subscriber, "#") || resource["contained"] == nil {
		t.Errorf("sent: %+v", before)
	}
	shown := u.tell(t.Context(), 0, http.MethodGet, base+"/Coverage/"+cover, "")
	changed := u.tell(t.Context(), 0, http.MethodPut, base+"/Coverage/"+cover, strings.ReplaceAll(shown.raw, "S-1", "S-2"), "If-Match", shown.header.Get("ETag"))
	if changed.code != http.StatusOK || changed.header.Get("ETag") != `W/"2"` {
		t.Fatalf("%d %s", changed.code, changed.raw)
	}
	if after, _ := sentOver(t, h.sims["napa"]); after.ID != before.ID || after.SubscriberID != "S-2" {
		t.Errorf("changed: %+v", after)
	}
}

// TestAnInsuranceThatTheEHRRefuses: told with its reason, to the booking as a
// warning, and to who gives it later as a 422.
func TestAnInsuranceThatTheEHRRefuses(t *testing.T) {
	t.Parallel()
	clinics := insured()[:2]
	for i := range clinics {
		clinics[i].sim.CoverageRequires = []string{"subscriberId"}
	}
	h := newHouse(t, clinics...)
	const base = "/fhir/r4"
	for i, source := range []string{"napa", "york"} {
		u := h.user(i)
		id := kept(t, u.tell(t.Context(), 0, http.MethodPost, base+"/Patient", `{"resourceType":"Patient","name":[{"family":"Muster","given":["Kim"]}],"birthDate":"2016-10-21","gender":"female"}`), http.StatusCreated)
		card := func(more string) string {
			return `{"resourceType":"Coverage","status":"active","beneficiary":{"reference":"Patient/` + id + `"},` + more + `"payor":[{"display":"Blue"}]}`
		}
		offer := h.slots(t, source, 1)[0].offer
		booked := u.tell(t.Context(), 0, http.MethodPost, base+"/Appointment/"+offer+"/$book",
			`{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/`+id+`"},{"name":"coverage","resource":`+card("")+`}]}`)
		if booked.status != "booked" || !strings.Contains(booked.raw, "coverage-refused") {
			t.Errorf("%s: %s %s", source, booked, booked.raw)
		}
		refused := u.tell(t.Context(), 1, http.MethodPost, base+"/Coverage", card(`"network":"n",`))
		if refused.code != http.StatusUnprocessableEntity || refused.header.Get("Location") == "" {
			t.Errorf("%s: %d %s", source, refused.code, refused.raw)
		}
		place := refused.header.Get("Location")
		mended := u.tell(t.Context(), 1, http.MethodPut, place[strings.Index(place, "/fhir/"):], card(`"network":"n","subscriberId":"S-1",`))
		if mended.code != http.StatusOK {
			t.Errorf("%s: mended %d %s", source, mended.code, mended.raw)
		}
		if got, _ := sentOver(t, h.sims[source]); got.SubscriberID != "S-1" {
			t.Errorf("%s: %+v", source, got)
		}
	}
}
