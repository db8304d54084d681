package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"slotgate/upstream/ehrsim"
)

// replace books an offer in the place of another appointment.
func (u user) replace(t *testing.T, node int, old, offer string) answer {
	t.Helper()
	body := strings.Replace(u.bookBody(u.session), `[`, fmt.Sprintf(`[{"name":"cancelled-appt-id","valueUri":"Appointment/%s"},`, old), 1)
	return u.tell(t.Context(), node, http.MethodPost, "/fhir/r4/Appointment/"+offer+"/$book", body)
}

// exclusiveOf is what a node tells of who refuses the second booking at a source.
func (h *house) exclusiveOf(t *testing.T, source string) string {
	t.Helper()
	var rows []struct{ ID, Exclusive, Dialect string }
	getJSON(t, h.nodes[0].admin.url()+"/api/sources", &rows)
	for _, row := range rows {
		if row.ID == source {
			return row.Dialect + " " + row.Exclusive
		}
	}
	return ""
}

// one asks for one appointment of the EHR's own book.
func (h *house) one(t *testing.T, source, slot string) ehrsim.Appointment {
	t.Helper()
	var found []ehrsim.Appointment
	for _, a := range h.sims[source].Appointments() {
		if slices.Contains(a.Slots, slot) {
			found = append(found, a)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d appointments at %s: %+v", source, len(found), slot, found)
	}
	return found[0]
}

// notOffered waits until no gateway offers the slot any more.
func (h *house) notOffered(t *testing.T, at slot) {
	t.Helper()
	for i := range h.nodes {
		eventually(t, func() error {
			if offer, ok := h.offers(t, i, at.source)[at.native]; ok {
				return fmt.Errorf("node %d still offers %s as %s", i, at.native, offer)
			}
			return nil
		})
	}
}

// offeredAnew waits until the slot is offered again, under another id.
func (h *house) offeredAnew(t *testing.T, at slot) {
	t.Helper()
	eventually(t, func() error {
		offer := h.offers(t, 1, at.source)[at.native]
		if offer == "" || offer == at.offer {
			return fmt.Errorf("%s is offered as %q", at.native, offer)
		}
		return nil
	})
}

// At an EHR of IHE ITI Scheduling, through two gateways: held there, booked,
// moved by one call that keeps the EHR's appointment, and cancelled.
func TestAnIHEAppointmentGoesThroughTheWholeHouse(t *testing.T) {
	t.Parallel()
	c := clinic{id: "ihe", sim: ehrsim.Options{Dialect: ehrsim.IHE, FHIR: ehrsim.R4}}
	h := newHouse(t, c.with(1, 4, 20e9))
	u, slots := h.user(1), h.slots(t, "ihe", 2)
	first, second := slots[0], slots[1]
	if a := u.hold(t.Context(), 0, first.offer); a.code != http.StatusOK || a.status != "pending" || strings.Contains(a.raw, "held by the gateway only") {
		t.Fatalf("held: %s %s", a, a.raw)
	}
	if a := h.one(t, "ihe", first.native); a.Status != "pending" {
		t.Errorf("held: the EHR's book says %+v", a)
	}
	h.notOffered(t, first)
	if a := h.user(2).book(t.Context(), 1, first.offer); a.code != http.StatusConflict || !a.has("slot-taken") {
		t.Errorf("somebody else books what is held: %s %s", a, a.raw)
	}
	if a := u.book(t.Context(), 1, first.offer); a.code != http.StatusOK || a.status != "booked" {
		t.Fatalf("booked: %s %s", a, a.raw)
	}
	native := h.one(t, "ihe", first.native)
	if native.Status != "booked" || !slices.Equal(native.Patients, []string{u.patient}) || len(native.Identifiers) != 1 {
		t.Errorf("booked: the EHR's book says %+v", native)
	}
	if a := u.replace(t, 0, first.offer, second.offer); a.code != http.StatusOK || a.status != "booked" {
		t.Fatalf("moved: %s %s", a, a.raw)
	}
	if a := h.one(t, "ihe", second.native); a.ID != native.ID || a.Status != "booked" || !a.Start.Equal(second.start) {
		t.Errorf("moved: the EHR's book says %+v", a)
	}
	eventually(t, func() error {
		if a := u.see(t.Context(), 1, first.offer); a.status != "cancelled" {
			return fmt.Errorf("what was moved is %s: %s", a, a.raw)
		}
		return nil
	})
	h.offeredAnew(t, first)
	if a := u.cancel(t.Context(), 0, second.offer); a.code != http.StatusOK || a.status != "cancelled" {
		t.Errorf("cancelled: %s %s", a, a.raw)
	}
	if a := h.one(t, "ihe", second.native); a.Status != "cancelled" {
		t.Errorf("cancelled: the EHR's book says %+v", a)
	}
	h.offeredAnew(t, second)
	if said := h.exclusiveOf(t, "ihe"); said != "ihe ehr" {
		t.Errorf("exclusive: %s", said)
	}
}

// At an EHR that speaks as Epic does: held by the gateways alone, which they say,
// booked by the id that it has at that moment, and neither cancelled nor replaced
// where the EHR does not let us.
func TestAnEpicAppointmentGoesThroughTheWholeHouse(t *testing.T) {
	t.Parallel()
	c := clinic{id: "epic", sim: ehrsim.Options{Dialect: ehrsim.Epic, FHIR: ehrsim.STU3}}
	h := newHouse(t, c.with(1, 4, 20e9))
	u, slots := h.user(1), h.slots(t, "epic", 3)
	first, second := slots[0], slots[1]
	if a := u.hold(t.Context(), 0, first.offer); a.code != http.StatusOK || a.status != "pending" || !strings.Contains(a.raw, "held by the gateway only") {
		t.Fatalf("held: %s %s", a, a.raw)
	}
	if n := len(h.sims["epic"].Appointments()); n > 0 {
		t.Errorf("the EHR has %d appointments", n)
	}
	h.notOffered(t, first)
	if a := h.user(2).book(t.Context(), 1, first.offer); a.code != http.StatusConflict || !a.has("slot-taken") {
		t.Errorf("somebody else books what is held: %s %s", a, a.raw)
	}
	if a := u.book(t.Context(), 1, first.offer); a.code != http.StatusOK || a.status != "booked" {
		t.Fatalf("booked: %s %s", a, a.raw)
	}
	if a := h.one(t, "epic", first.native); a.Status != "booked" || !slices.Equal(a.Patients, []string{u.patient}) || !a.Start.Equal(first.start) {
		t.Errorf("booked: the EHR's book says %+v", a)
	}
	for what, a := range map[string]answer{
		"a cancel": u.cancel(t.Context(), 0, first.offer), "a reschedule": u.replace(t, 1, first.offer, second.offer),
	} {
		if a.code != http.StatusNotImplemented || !a.has("not-supported") {
			t.Errorf("%s: %s %s", what, a, a.raw)
		}
	}
	if a := u.see(t.Context(), 1, first.offer); a.status != "booked" {
		t.Errorf("what could not be cancelled is %s", a)
	}
	if n := len(h.sims["epic"].Book()); n != 1 {
		t.Errorf("the EHR has %d bookings", n)
	}
	// Somebody else was quicker, past all gateways.
	if taken, err := h.rival(t.Context(), slots[2]); !taken || err != nil {
		t.Fatal(taken, err)
	}
	if a := u.book(t.Context(), 0, slots[2].offer); a.code != http.StatusConflict || !a.has("slot-taken") {
		t.Errorf("what a rival has: %s %s", a, a.raw)
	}
	h.notOffered(t, slots[2])
	if said := h.exclusiveOf(t, "epic"); said != "epic gateway" {
		t.Errorf("exclusive: %s", said)
	}
}
