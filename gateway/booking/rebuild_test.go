package booking_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// partly is an EHR that cannot be searched for all of ours.
type partly struct{ booking.EHR }

func (p partly) Ours(ctx context.Context) ([]scheduling.Appointment, error) {
	list, err := p.EHR.Ours(ctx)
	if err != nil {
		return nil, err
	}
	return list, &scheduling.Error{Code: scheduling.NotSupported}
}

func TestWhatIsFoundIsRestoredWhereNotEverythingCanBeSearched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann, booked := caller("ann"), w.offer(0)
	must(w.desk.Book(t.Context(), ann, bookFor(booked, "p1")))(t)
	desk := w.newDesk(t, w.store, partly{w.ehr})
	w.store.Lose(napa)
	must(desk.Sweep(t.Context(), napa))(t)
	wantStatus(t, must(desk.Read(t.Context(), ann, booked))(t), scheduling.ApptBooked)
	if !strings.Contains(w.log.String(), "cannot be searched for ours") {
		t.Errorf("nobody is told that others may be missing: %s", w.log.String())
	}
}

func TestLaw12TheIDOfACancelledBookingStaysUsedUpAfterALoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann, cancelled := caller("ann"), w.offer(0)
	must(w.desk.Book(t.Context(), ann, bookFor(cancelled, "p1")))(t)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: cancelled}))(t)
	w.store.Lose(napa)
	must(w.desk.Sweep(t.Context(), napa))(t)
	wantStatus(t, must(w.desk.Read(t.Context(), ann, cancelled))(t), scheduling.ApptCancelled)
	_, err := w.desk.Book(t.Context(), caller("bob"), bookFor(cancelled, "p2"))
	wantCode(t, err, scheduling.UsedID)
	again := w.offer(0)
	if again == cancelled {
		t.Fatal("the same slot is offered under the id that is used up")
	}
	must(w.desk.Book(t.Context(), caller("bob"), bookFor(again, "p2")))(t)
	w.store.Lose(napa) // now the slot has one that stands and one that does not
	must(w.desk.Sweep(t.Context(), napa))(t)
	wantStatus(t, must(w.desk.Read(t.Context(), ann, cancelled))(t), scheduling.ApptCancelled)
	wantStatus(t, must(w.desk.Read(t.Context(), caller("bob"), again))(t), scheduling.ApptBooked)
	if id, ok := w.store.Claimed(napa, "s0"); !ok || id != again {
		t.Errorf("the slot is claimed by %q", id)
	}
}

func TestLaw12ABookingTakesThePlaceOfWhatAStoreHasFromBeforeIt(t *testing.T) {
	t.Parallel()
	for name, older := range map[string]struct {
		state     scheduling.EntryState
		principal string
		want      scheduling.EntryState // for ann
	}{
		"nothing that anybody has": {scheduling.EntryFree, "bob", scheduling.EntryBooked},
		"its own hold":             {scheduling.EntryHeld, "ann", scheduling.EntryBooked},
		"a call under way stays":   {scheduling.EntryBooking, "ann", scheduling.EntryBooking},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			id := w.offer(0)
			must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
			e := must(w.store.Read(t.Context(), id))(t)
			w.store.Lose(napa)
			e.Version, e.State, e.Principal, e.Used = 0, older.state, older.principal, false
			must(w.store.Save(t.Context(), scheduling.EntryChange{Entry: e, Restore: true, Claims: scheduling.ClaimsTake, Wake: time.Hour}))(t)
			must(w.desk.Sweep(t.Context(), napa))(t)
			if got := must(w.store.Read(t.Context(), id))(t); got.State != older.want || got.Principal != "ann" {
				t.Errorf("%s of %s", got.State, got.Principal)
			}
		})
	}
}
