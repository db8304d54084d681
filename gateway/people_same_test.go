package gateway

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"slotgate/scheduling"
)

// bobJSON is somebody else with the number of the canary.
var bobJSON = strings.NewReplacer("Canaryfamily", "Canaryrobin", "Canarygiven", "Canarybob", `"female"`, `"male"`, "1964-06-19", "1985-02-03").Replace(canaryJSON)

func TestLaw12NobodyIsBookedForWhoOnlySharesANumber(t *testing.T) {
	t.Parallel()
	w, desk, _, store := withEverything(t)
	first := w.patientOf(w.post("/fhir/r4/Patient", canaryJSON), scheduling.R4)
	hit := w.anOffer("napa", 0)
	before := len(store.Keys(t.Context(), "*").Val())
	stranger := strings.NewReplacer("CANARY-77", "CANARY-78", "Canaryfamily", "Canarystranger").Replace(canaryJSON)
	for name, c := range map[string]struct{ path, body string }{
		"POST Patient":                   {"/Patient", bobJSON},
		"$book":                          {"/Appointment/" + hit.ID + "/$book", asks(withResource("patient-resource", bobJSON))},
		"$book with another one before":  {"/Appointment/" + hit.ID + "/$book", asks(withResource("patient-resource", stranger), withResource("patient-resource", bobJSON))},
		"two of one $book":               {"/Appointment/" + hit.ID + "/$book", asks(withResource("patient-resource", strings.Replace(canaryJSON, "CANARY-77", "CANARY-79", 1)), withResource("patient-resource", strings.Replace(bobJSON, "CANARY-77", "CANARY-79", 1)))},
		"a transaction":                  {"", transactionOf(entry("urn:uuid:a", "Patient", stranger), entry("urn:uuid:b", "Patient", bobJSON))},
		"two of one transaction":         {"", transactionOf(entry("urn:uuid:a", "Patient", strings.Replace(canaryJSON, "CANARY-77", "CANARY-79", 1)), entry("urn:uuid:b", "Patient", strings.Replace(bobJSON, "CANARY-77", "CANARY-79", 1)))},
		"a transaction that changes one": {"", transactionOf(entry("urn:uuid:a", "Patient", strings.Replace(canaryJSON, `"gender"`, `"active":true,"gender"`, 1)), entry("urn:uuid:b", "Patient", bobJSON))},
	} {
		for _, rel := range releases() {
			r := w.post("/fhir/"+string(rel)+c.path, c.body)
			if r.status != 422 || w.code(r, rel) != "not-acceptable" {
				t.Errorf("%s at %s: %d %.300s", name, rel, r.status, r.body)
			}
			if strings.Contains(strings.ToLower(r.body), "canary") || strings.Contains(r.body, "19") || strings.Contains(r.body, first.ID) {
				t.Errorf("%s: the refusal tells of somebody: %s", name, r.body)
			}
		}
	}
	if len(desk.books) != 0 {
		t.Errorf("the desk was asked: %+v", desk.books)
	}
	if after := store.Keys(t.Context(), "*").Val(); len(after) != before {
		t.Errorf("something was written: %v", after)
	}
	now := w.patientOf(w.get("/fhir/r4/Patient/"+first.ID, siteKey), scheduling.R4)
	if now.Name[0].Family != "Canaryfamily" || now.Active != nil {
		t.Errorf("the first one was changed: %+v", now)
	}
}

func TestWhatWasMissingOfAPatientCanBeSuppliedLater(t *testing.T) {
	t.Parallel()
	w, desk, _, _ := withEverything(t)
	first := w.patientOf(w.post("/fhir/r4/Patient", canaryJSON), scheduling.R4)
	full := strings.Replace(canaryJSON, `"gender"`, `"telecom":[{"system":"phone","value":"555-1"}],"gender"`, 1)
	r := w.post("/fhir/r4/Patient", full)
	if p := w.patientOf(r, scheduling.R4); r.status != 200 || p.ID != first.ID || len(p.Telecom) != 1 {
		t.Fatalf("%d: %s", r.status, r.body)
	}
	if p := w.patientOf(w.get("/fhir/r4/Patient/"+first.ID, siteKey), scheduling.R4); len(p.Telecom) != 1 {
		t.Errorf("what is kept: %+v", p)
	}
	more := strings.Replace(full, `"555-1"}`, `"555-1"},{"system":"email","value":"a@example.org"}`, 1)
	r = w.post("/fhir/stu3/Appointment/"+w.anOffer("napa", 0).ID+"/$book", asks(withResource("patient-resource", more)))
	if r.status != 200 || len(desk.books) != 1 || desk.books[0].Patients[0] != first.ID {
		t.Fatalf("%d %s: %+v", r.status, r.body, desk.books)
	}
	if p := w.patientOf(w.get("/fhir/r4/Patient/"+first.ID, siteKey), scheduling.R4); len(p.Telecom) != 2 {
		t.Errorf("what is kept after a booking: %+v", p)
	}
	// What contradicts is put right by registering anew.
	corrected := strings.Replace(more, "1964-06-19", "1964-06-18", 1)
	if r := w.post("/fhir/r4/Patient", corrected); r.status != 422 {
		t.Errorf("another birth date: %d %s", r.status, r.body)
	}
	w.ask("DELETE", "/fhir/r4/Patient/"+first.ID, "", siteKey)
	if r := w.post("/fhir/r4/Patient", corrected); r.status != 201 {
		t.Errorf("registered anew: %d %s", r.status, r.body)
	}
}

func TestWhatCameWithABookingIsPartOfWhatWasAsked(t *testing.T) {
	t.Parallel()
	w, desk, _, _ := withEverything(t)
	hit := w.anOffer("napa", 0)
	sent := func(rel string, params ...string) []byte {
		r := w.post("/fhir/"+rel+"/Appointment/"+hit.ID+"/$book", asks(params...))
		if r.status != 200 {
			t.Fatalf("%d: %s", r.status, r.body)
		}
		return desk.books[len(desk.books)-1].Sent
	}
	first := sent("r4", newcomer...)
	more := strings.Replace(newcomer[0], `"gender"`, `"active":true,"gender"`, 1)
	card := strings.Replace(newcomer[1], "Blue", "Red", 1)
	if len(first) == 0 || !bytes.Equal(first, sent("r4", newcomer...)) || !bytes.Equal(first, sent("r4", newcomer[1], newcomer[0])) {
		t.Error("the same is another request")
	}
	if bytes.Equal(first, sent("r4", more, newcomer[1])) || bytes.Equal(first, sent("r4", newcomer[0], card)) || bytes.Equal(first, sent("r4", newcomer[0])) {
		t.Error("another patient-resource or coverage is the same request")
	}
}

// stingy gives so many coverages, and no more.
type stingy struct {
	Coverages
	left int
}

func (f *stingy) GiveCoverage(ctx context.Context, principal string, c scheduling.Coverage, key string) (scheduling.Coverage, bool, error) {
	if f.left == 0 {
		return scheduling.Coverage{}, false, scheduling.Fault(scheduling.Shedding, nil, "the store is away")
	}
	f.left--
	return f.Coverages.GiveCoverage(ctx, principal, c, key)
}

func TestATransactionThatFailsTakesBackWhatItGaveToWhoWasKnown(t *testing.T) {
	t.Parallel()
	only := &stingy{left: 1}
	w, _, store := withCoverage(t, func(_ *Options, d *Deps) { only.Coverages, d.Coverages = d.Coverages, only })
	if r := w.post("/fhir/r4/Patient", kid); r.status != 201 {
		t.Fatal(r.body)
	}
	four := transactionOf(entry("urn:uuid:plan", "Coverage", plan), entry("urn:uuid:plan2", "Coverage", strings.Replace(plan, "CANARY-1", "CANARY-2", 1)),
		entry("urn:uuid:mum", "RelatedPerson", mum), entry("urn:uuid:kid", "Patient", kid))
	if r := w.post("/fhir/r4", four); r.status != 503 || only.left != 0 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if left := store.Keys(t.Context(), "*cover*").Val(); len(left) != 0 {
		t.Errorf("what is left: %v", left)
	}
	only.left = 2
	if b := w.answered(w.post("/fhir/r4", four), scheduling.R4, 4); b.Entry[0].Response.Status != "201 Created" {
		t.Errorf("afterwards: %+v", b.Entry[0].Response)
	}
}
