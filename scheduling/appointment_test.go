package scheduling

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestTheStateDiagramOfAppointments(t *testing.T) {
	t.Parallel()
	all := []AppointmentStatus{
		ApptProposed, ApptPending, ApptBooked, ApptCancelled, ApptArrived,
		ApptFulfilled, ApptNoShow, ApptError, ApptCheckedIn, ApptWaitlist,
	}
	allowed := map[AppointmentStatus][]AppointmentStatus{
		ApptProposed:  {ApptPending, ApptBooked},
		ApptPending:   {ApptProposed, ApptPending, ApptBooked, ApptCancelled, ApptWaitlist, ApptError},
		ApptWaitlist:  {ApptPending, ApptBooked, ApptCancelled, ApptError},
		ApptBooked:    {ApptCancelled, ApptArrived, ApptCheckedIn, ApptFulfilled, ApptNoShow, ApptError},
		ApptArrived:   {ApptCheckedIn, ApptFulfilled, ApptCancelled, ApptNoShow, ApptError},
		ApptCheckedIn: {ApptArrived, ApptFulfilled, ApptCancelled, ApptNoShow, ApptError},
		ApptFulfilled: {ApptError}, ApptNoShow: {ApptError}, ApptCancelled: {ApptError},
	}
	for _, from := range all {
		if !from.Known() {
			t.Errorf("%s is a status of R4", from)
		}
		for _, to := range all {
			if want := slices.Contains(allowed[from], to); from.MayBecome(to) != want {
				t.Errorf("%s -> %s: %v, want %v", from, to, !want, want)
			}
		}
	}
	if AppointmentStatus("gone").Known() || AppointmentStatus("").MayBecome(ApptBooked) {
		t.Error("an unknown status leads nowhere")
	}
	if ApptBooked.ByEHR() || !ApptArrived.ByEHR() || ApptPending.Stands() || !ApptNoShow.Stands() || !ApptError.Void() {
		t.Error("who sets a status, and what it means")
	}
}

func TestStatesOfEntriesThatClaimSlotsAreThoseThatAnEHRMayKnowOf(t *testing.T) {
	t.Parallel()
	for state, claims := range map[EntryState]bool{
		EntryFree: false, EntryHolding: true, EntryHeld: true, EntryReleasing: true, EntryBooking: true, EntryDoubt: true,
		EntryBooked: true, EntryCancelling: true, EntryCancelled: false, EntryNotBooked: false,
	} {
		if state.Claims() != claims {
			t.Errorf("%s claims: %v", state, !claims)
		}
		if !state.MayBecome(state) {
			t.Errorf("%s may not stay", state)
		}
	}
	for _, step := range [][2]EntryState{{EntryCancelled, EntryHeld}, {EntryDoubt, EntryFree}, {EntryBooked, EntryFree}, {EntryReleasing, EntryBooking}, {EntryNotBooked, EntryFree}} {
		if step[0].MayBecome(step[1]) {
			t.Errorf("%s became %s", step[0], step[1])
		}
	}
	if EntryState("").MayBecome("") || !EntryState("").MayBecome(EntryHolding) {
		t.Error("what begins an entry")
	}
}

func TestAnEntryInALogShowsIdsAndStatesOnly(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	e := Entry{
		ID: "abcde-1", Source: "napa", State: EntryBooked, Principal: "secret-principal", Native: "a1", Identifier: "secret-identifier",
		Private: Private{Patients: []PatientRef{{Asked: "canary", Native: "canary"}}, Comment: "canary"}, Reason: "canary",
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "entry", e)
	if text := out.String(); strings.Contains(text, "canary") || strings.Contains(text, "secret") || !strings.Contains(text, "abcde-1") {
		t.Errorf("logged %s", text)
	}
}

func TestAClonedEntryCanBeChangedApart(t *testing.T) {
	t.Parallel()
	e := Entry{Hold: &Hold{Native: "h"}, Intent: &Intent{Attempt: 1}, Doubt: &Doubt{Looks: 1}, Wanted: &Wish{Reason: "a"}, Decision: &Decision{By: "a"}}
	c := e.Clone()
	c.Hold.Native, c.Intent.Attempt, c.Doubt.Looks, c.Wanted.Reason, c.Decision.By = "x", 2, 2, "x", "x"
	if e.Hold.Native != "h" || e.Intent.Attempt != 1 || e.Doubt.Looks != 1 || e.Wanted.Reason != "a" || e.Decision.By != "a" {
		t.Error("the original changed")
	}
}
