package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// shownPage is what a $find of a user shows: the offers, and what is told with them.
type shownPage struct {
	offers []*model.Appointment
	told   string
	next   string
}

// finds asks a node of the house; what stands in body is sent with POST.
func (u user) finds(t *testing.T, node int, rel scheduling.Release, address, body string) shownPage {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	address = strings.TrimPrefix(address, u.house.nodes[node].public.url())
	a := u.tell(t.Context(), node, method, address, body)
	if a.code != http.StatusOK || a.failure != nil {
		t.Fatalf("%s %s: %d %v %s", method, address, a.code, a.failure, a.raw)
	}
	res, err := fhir.Read(rel, fhir.JSON, []byte(a.raw))
	if err != nil {
		t.Fatal(err)
	}
	var out shownPage
	for _, l := range res.(*model.Bundle).Link {
		if l.Relation == "next" {
			out.next = l.URL
		}
	}
	for _, e := range res.(*model.Bundle).Entry {
		switch r := e.Resource.(type) {
		case *model.Appointment:
			out.offers = append(out.offers, r)
		case *model.OperationOutcome:
			for _, issue := range r.Issue {
				out.told += issue.Code + ": " + issue.Diagnostics + "\n"
			}
		}
	}
	return out
}

// patientOf is a person of that birth date, for $find and for $book.
func patientOf(family, born string) string {
	return fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"patient-resource","resource":{"resourceType":"Patient",`+
		`"identifier":[{"system":"urn:example:number","value":"n-%s"}],"name":[{"family":%q,"given":["Kim"]}],"gender":"female","birthDate":%q}}]}`, family, family, born)
}

// TestAClinicsRulesHoldFromTheConfigurationToTheEHR: an hour takes several slots,
// adults only; found so in both releases at both gateways, booked so at the EHR,
// hidden as a whole, and other rules make other offers at once.
func TestAClinicsRulesHoldFromTheConfigurationToTheEHR(t *testing.T) {
	t.Parallel()
	h := newHouse(t, clinic{
		id: "napa", sim: ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4, Practitioners: 1, Days: 5, Zone: "America/New_York"},
		bend: func(o *upstream.Options) {
			o.Rules = []upstream.RuleOptions{{Minutes: 60, Lead: config.Duration(2 * time.Hour), Ages: upstream.AgeOptions{From: 18}}}
		},
	})
	u := h.user(1)
	h.ofOneType(t, u, "napa")
	h.offersLast(t, u, 60)
	for node := range h.nodes {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			all := u.finds(t, node, rel, "/fhir/"+string(rel)+"/Appointment/$find?_count=5", "")
			for _, a := range all.offers {
				if a.MinutesDuration == nil || *a.MinutesDuration < 60 || len(a.Slot) < 2 || !strings.Contains(a.Comment, "For patients of 18 years or older. To be booked 2 hours ahead or earlier.") {
					t.Errorf("%s: %+v", rel, a)
				}
			}
			if !strings.Contains(all.told, "business-rule: some of these offers are for some patients only") {
				t.Errorf("%s is told:\n%s", rel, all.told)
			}
			child := u.finds(t, node, rel, "/fhir/"+string(rel)+"/Appointment/$find?_count=5", patientOf("Small", "2020-02-29"))
			if len(child.offers) != 0 || strings.Contains(child.told, "patient-resource was not applied") {
				t.Errorf("%s: a child is shown %d offers and told:\n%s", rel, len(child.offers), child.told)
			}
			adult := u.finds(t, node, rel, "/fhir/"+string(rel)+"/Appointment/$find?_count=5", patientOf("Grown", "1980-02-29"))
			if len(adult.offers) != 5 || strings.Contains(adult.told, "business-rule") || strings.Contains(adult.next, "1980") {
				t.Errorf("%s: an adult is shown %d offers, goes on at %s, and is told:\n%s", rel, len(adult.offers), adult.next, adult.told)
			}
		}
	}
	h.booksByRule(t, u)
	h.otherRules(t, u)
}

// TestNewAndKnownPatientsAreTheCallersOwn: at one clinic new patients take an hour
// and known ones a slot. Who is registered here is judged by that, for the
// principal alone who registered them.
func TestNewAndKnownPatientsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, clinic{
		id: "york", sim: ehrsim.Options{Dialect: ehrsim.Slots, FHIR: ehrsim.R4, Practitioners: 1, Days: 5, Zone: "UTC"},
		bend: func(o *upstream.Options) {
			o.Rules = []upstream.RuleOptions{{Minutes: 60, Patients: "new"}, {Patients: "known"}}
		},
	})
	u, stranger := h.user(1), h.user(2)
	h.ofOneType(t, u, "york")
	a := u.tell(t.Context(), 0, http.MethodPost, "/fhir/r4/Patient", `{"resourceType":"Patient","name":[{"family":"Grown","given":["Kim"]}],"gender":"female","birthDate":"1980-02-29"}`)
	if a.code != http.StatusCreated {
		t.Fatalf("%d %s", a.code, a.raw)
	}
	_, id, _ := strings.Cut(a.header.Get("Location"), "/Patient/")
	id, _, _ = strings.Cut(id, "/")
	address := "/fhir/r4/Appointment/$find?_count=4&patient-reference=Patient/" + id
	kinds := func(u user, address string) (fresh, known *model.Appointment, page shownPage) {
		page = u.finds(t, 1, scheduling.R4, address, "")
		for _, a := range page.offers {
			if strings.HasPrefix(a.Comment, "For new patients only.") {
				fresh = a
			} else {
				known = a
			}
		}
		return fresh, known, page
	}
	fresh, known, page := kinds(u, address)
	if fresh == nil || known != nil || len(fresh.Slot) < 2 || strings.Contains(page.told, "business-rule") || strings.Contains(page.told, "not applied") {
		t.Errorf("a new patient is shown %+v, %+v and told:\n%s", fresh, known, page.told)
	}
	if next, other, _ := kinds(u, page.next); next == nil || other != nil {
		t.Errorf("the next page, %s, shows %+v, %+v", page.next, next, other)
	}
	_, known, page = kinds(stranger, address)
	if known == nil || !strings.Contains(page.told, "patient-reference was not applied") || strings.Contains(page.next, id) {
		t.Fatalf("somebody else, who goes on at %s, is told:\n%s", page.next, page.told)
	}
	who := `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"Patient/` + id + `"}]}`
	book := func(a *model.Appointment) answer {
		return u.tell(t.Context(), 1, http.MethodPost, "/fhir/r4/Appointment/"+a.ID+"/$book", who)
	}
	if a := book(known); a.code != http.StatusUnprocessableEntity || !strings.Contains(a.raw, "only to patients whom it knows already") {
		t.Errorf("a known patient's slot: %d %s", a.code, a.raw)
	}
	if a := book(fresh); a.code != http.StatusOK || !strings.Contains(a.raw, `"booked"`) {
		t.Fatalf("a new patient's: %d %v %s", a.code, a.failure, a.raw)
	}
	free := map[string]bool{}
	for _, s := range h.sims["york"].Slots("free") {
		free["Slot/"+scheduling.ResourceID("york", scheduling.KindSlot, s.ID)] = true
	}
	for _, s := range fresh.Slot {
		if free[s.Reference] {
			t.Errorf("%s is free still", s.Reference)
		}
	}
}

// ofOneType has all slots of a source be for follow-ups, and waits until every
// node makes offers of several of them: those of different types make none.
func (h *house) ofOneType(t *testing.T, u user, source string) {
	t.Helper()
	for _, s := range h.sims[source].Slots() {
		if err := h.sims[source].SetSlotType(s.ID, "follow-up"); err != nil {
			t.Fatal(err)
		}
	}
	for node := range h.nodes {
		eventually(t, func() error {
			long := 0
			for _, a := range u.finds(t, node, scheduling.R4, "/fhir/r4/Appointment/$find?_count=1000", "").offers {
				if len(a.ServiceType) == 0 || len(a.ServiceType[0].Coding) == 0 || a.ServiceType[0].Coding[0].Code != "follow-up" {
					return fmt.Errorf("node %d offers another type: %+v", node, a.ServiceType)
				}
				if len(a.Slot) > 1 {
					long++
				}
			}
			if long < 5 {
				return fmt.Errorf("node %d has %d offers of several slots", node, long)
			}
			return nil
		})
	}
}

// offersLast waits until every node offers something, all of which lasts so long.
func (h *house) offersLast(t *testing.T, u user, minutes int) {
	t.Helper()
	for node := range h.nodes {
		eventually(t, func() error {
			all := u.finds(t, node, scheduling.R4, "/fhir/r4/Appointment/$find?_count=1000", "").offers
			if len(all) < 5 {
				return fmt.Errorf("node %d has %d offers", node, len(all))
			}
			if i := slices.IndexFunc(all, func(a *model.Appointment) bool { return *a.MinutesDuration < minutes }); i >= 0 {
				return fmt.Errorf("node %d has one of %d minutes", node, *all[i].MinutesDuration)
			}
			return nil
		})
	}
}

// booksByRule books one for an adult, after a child was refused, and looks at
// what the EHR has.
func (h *house) booksByRule(t *testing.T, u user) {
	t.Helper()
	offer := u.finds(t, 1, scheduling.R4, "/fhir/r4/Appointment/$find?_count=3", "").offers[2]
	path := "/fhir/r4/Appointment/" + offer.ID + "/$book"
	if a := u.tell(t.Context(), 1, http.MethodPost, path, patientOf("Small", "2020-02-29")); a.code != http.StatusUnprocessableEntity ||
		!strings.Contains(a.raw, "this clinic offers it to patients of 18 years or older") || strings.Contains(a.raw, "2020") {
		t.Errorf("a child: %d %s", a.code, a.raw)
	}
	if a := u.tell(t.Context(), 1, http.MethodPost, path, patientOf("Grown", "1980-02-29")); a.code != http.StatusOK || !strings.Contains(a.raw, `"booked"`) {
		t.Fatalf("an adult: %d %v %s", a.code, a.failure, a.raw)
	}
	booked := h.sims["napa"].Appointments("booked")
	if len(booked) == 0 || !slices.ContainsFunc(booked, func(a ehrsim.Appointment) bool { return len(a.Slots) == len(offer.Slot) }) {
		t.Errorf("at the EHR: %+v, want %d slots", booked, len(offer.Slot))
	}
	for node := range h.nodes {
		eventually(t, func() error {
			for _, a := range u.finds(t, node, scheduling.R4, "/fhir/r4/Appointment/$find?_count=1000", "").offers {
				for _, s := range a.Slot {
					if slices.ContainsFunc(offer.Slot, func(taken model.Reference) bool { return taken.Reference == s.Reference }) {
						return fmt.Errorf("node %d offers %s with a slot that is booked", node, a.ID)
					}
				}
			}
			return nil
		})
	}
}

// otherRules reloads both nodes with a rule of 90 minutes for everybody.
func (h *house) otherRules(t *testing.T, u user) {
	t.Helper()
	next := *h.file
	next.Sources = slices.Clone(h.file.Sources)
	next.Sources[0].Rules = []upstream.RuleOptions{{Minutes: 90}}
	if err := next.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, n := range h.nodes {
		if err := n.reload(&next); err != nil {
			t.Fatal(err)
		}
	}
	h.offersLast(t, u, 90)
	for _, a := range u.finds(t, 1, scheduling.R4, "/fhir/r4/Appointment/$find?_count=1000", "").offers {
		if strings.Contains(a.Comment, "For patients") {
			t.Errorf("%s still says %q", a.ID, a.Comment)
		}
	}
}
