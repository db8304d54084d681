package booking_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestLaw13NobodySeesOrTouchesAnothersAppointment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	held, booked := w.offer(0), w.offer(1)
	ann, bob := caller("ann"), caller("bob")
	must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(held)}))(t)
	must(w.desk.Book(t.Context(), ann, bookFor(booked, "p1")))(t)
	for _, id := range []string{held, booked} {
		_, err := w.desk.Read(t.Context(), bob, id)
		wantCode(t, err, scheduling.UnknownID)
		_, err = w.desk.Cancel(t.Context(), bob, booking.CancelRequest{ID: id})
		wantCode(t, err, scheduling.UnknownID)
		_, err = w.desk.Book(t.Context(), bob, bookFor(id, "p1"))
		wantCode(t, err, scheduling.SlotTaken)
		_, err = w.desk.Hold(t.Context(), bob, booking.HoldRequest{Target: target(id)})
		wantCode(t, err, scheduling.SlotTaken)
	}
	list := must(w.desk.List(t.Context(), bob, booking.ListRequest{Patient: "p1"}))(t)
	if len(list.Views) != 0 {
		t.Fatalf("bob lists %d of ann's", len(list.Views))
	}
	req := bookFor(w.offer(0), "p2")
	req.Replaces = booked
	_, err := w.desk.Book(t.Context(), bob, req)
	if err == nil || w.standing(1) == nil {
		t.Fatal("bob replaced ann's appointment")
	}
}

func TestLaw13ARetriedCancelNeverTouchesTheNextPatientsAppointment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	old := w.offer(0)
	must(w.desk.Book(t.Context(), caller("ann"), bookFor(old, "p1")))(t)
	must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: old}))(t)
	next := w.offer(0)
	if next == old {
		t.Fatal("the same id again")
	}
	must(w.desk.Book(t.Context(), caller("bob"), bookFor(next, "p2")))(t)
	writes := w.ehr.Writes[scheduling.CallCancel]
	v := must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: old}))(t)
	wantStatus(t, v, scheduling.ApptCancelled)
	if w.ehr.Writes[scheduling.CallCancel] != writes || len(w.standing(0)) != 1 {
		t.Fatal("a retried cancel reached the EHR")
	}
	_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(old, "p1"))
	wantCode(t, err, scheduling.UsedID)
	_, err = w.desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(old)})
	wantCode(t, err, scheduling.UsedID)
}

func TestLaw13ASourcesOwnPatientIdsAreForTrustedCallersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.people = register{"ann": {"our-1": "native-1"}}
	desk := w.newDesk(t, w.store, w.ehr)
	plain := booking.Caller{Principal: "ann", Holds: 3}
	_, err := desk.Book(t.Context(), plain, bookFor(w.offer(0), "native-1"))
	wantCode(t, err, scheduling.UnknownID)
	_, err = desk.Book(t.Context(), booking.Caller{Principal: "bob", Holds: 3}, bookFor(w.offer(0), "our-1"))
	wantCode(t, err, scheduling.UnknownID)
	if len(w.ehr.Appointments()) != 0 || len(w.store.Entries()) != 0 {
		t.Fatal("a refused request left a trace")
	}
	v := must(desk.Book(t.Context(), plain, bookFor(w.offer(0), "our-1")))(t)
	if got := v.Entry.Private.Patients; len(got) != 1 || got[0].Asked != "our-1" || got[0].Native != "native-1" {
		t.Fatalf("booked for %+v", got)
	}
}

// register knows who was registered, by principal.
type register map[string]map[string]string

func (r register) Known(ctx context.Context, principal string, source scheduling.SourceID, id string) (string, bool, error) {
	native, err := r.Native(ctx, principal, source, id)
	return native, err == nil, err
}

func (r register) Native(_ context.Context, principal string, _ scheduling.SourceID, id string) (string, error) {
	if native, ok := r[principal][id]; ok {
		return native, nil
	}
	return "", scheduling.Refuse(scheduling.UnknownID, "patient", "nobody of yours")
}

func TestLaw10NoPatientInLogsMetricsErrorsOrTheOpenPartOfAnEntry(t *testing.T) {
	t.Parallel()
	const canary, words = "canary-4711", "whispered to the doctor"
	w := newWorld(t, 8)
	for i, fault := range []bookingtest.Fault{"", bookingtest.OtherPatient, bookingtest.RefuseStrange, bookingtest.LostBefore, bookingtest.LateCommit, bookingtest.RefuseLogin} {
		w.ehr.Fail(scheduling.CallBook, fault)
		req := bookFor(w.offer(i), canary)
		req.Comment = words
		_, err := w.desk.Book(t.Context(), caller("ann"), req)
		if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), words)) {
			t.Fatalf("in an error: %v", err)
		}
	}
	w.settle(t, w.desk, w.opts.LookFor)
	for where, text := range map[string]string{"the log": w.log.String(), "the entries": w.store.Dump(), "the metrics": w.metricsText(t)} {
		if text == "" || strings.Contains(text, canary) || strings.Contains(text, words) {
			t.Fatalf("%s: empty, or the canary is in it", where)
		}
	}
}

func (w *world) metricsText(t *testing.T) string {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String())
	}
	return b.String()
}

func TestAPatchIsHeldAgainstWhatIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, ann := w.offer(0), caller("ann")
	_, err := w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
	if !errors.Is(err, booking.ErrState) {
		t.Fatalf("an offer cannot be cancelled: %v", err)
	}
	v := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
	_, err = w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, IfMatch: v.Entry.Version + 1})
	if !errors.Is(err, booking.ErrVersion) {
		t.Fatalf("another version: %v", err)
	}
	_, err = w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, Status: scheduling.ApptPending})
	if !errors.Is(err, booking.ErrState) {
		t.Fatalf("another status: %v", err)
	}
	_, err = w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, Check: func(booking.View) error { return booking.ErrState }})
	if !errors.Is(err, booking.ErrState) {
		t.Fatalf("a test of the patch: %v", err)
	}
	w.ehr.Clinic(v.Entry.Native, func(a *scheduling.Appointment) { a.Status = scheduling.ApptFulfilled })
	_, err = w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
	if !errors.Is(err, booking.ErrState) || w.ehr.Writes[scheduling.CallCancel] != 0 {
		t.Fatalf("the diagram has no step from fulfilled to cancelled: %v", err)
	}
}
