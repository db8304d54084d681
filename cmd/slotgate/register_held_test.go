package main

import (
	"net/http"
	"strings"
	"testing"

	"slotgate/upstream/ehrsim"
)

// Option B of the guide over HTTP: hold, then register at the EHR, then book. Who
// holds nothing there is told so, and keeps the patient at the gateway.
func TestAPatientIsRegisteredAtTheEHRAfterTheHold(t *testing.T) {
	sim, base := simulate(t, ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3, Practitioners: 2, Days: 4, Zone: "UTC"})
	s := peopleHouse(t, map[string]string{"napa": `base: "` + base + `", dialect: argonaut, fhir: stu3`})
	known := len(sim.Patients())
	person := `{"resourceType":"Patient","name":[{"family":"Newcomer","given":["Ines"]}],"gender":"female","birthDate":"1990-02-03","identifier":[{"system":"urn:test","value":"n-1"}]}`
	register := func(user, query string, want int) string {
		t.Helper()
		status, text := s.post(t, user, "r4/Patient"+query, person)
		if status != want {
			t.Fatalf("%s%s: %d %s", user, query, status, text)
		}
		return text
	}
	register("ines", "?source=napa", http.StatusConflict)
	register("ines", "?source=nowhere", http.StatusNotFound)
	register("ines", "?source=napa,other", http.StatusBadRequest)
	if n := len(sim.Patients()) - known; n != 0 {
		t.Fatalf("%d patients at the EHR without a hold", n)
	}
	offer := s.offers(t, "napa", 1)[0]
	if status, text := s.post(t, "ines", "r4/Appointment/"+offer+"/$hold", `{"resourceType":"Parameters"}`); status != http.StatusOK {
		t.Fatalf("hold: %d %s", status, text)
	}
	register("otto", "?source=napa", http.StatusConflict) // another's hold opens nothing
	text := register("ines", "?source=napa", http.StatusOK)
	register("ines", "?source=napa", http.StatusOK)
	if n := len(sim.Patients()) - known; n != 1 {
		t.Fatalf("%d patients at the EHR", n)
	}
	_, rest, _ := strings.Cut(text, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	status, text := s.post(t, "ines", "r4/Appointment/"+offer+"/$book", `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueId":"`+id+`"}]}`)
	if status != http.StatusOK || !strings.Contains(text, `"status":"booked"`) || len(sim.Patients())-known != 1 {
		t.Errorf("book: %d %.500s; %d patients at the EHR", status, text, len(sim.Patients())-known)
	}
}
