package booking_test

import (
	"context"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// registered are people of ours, and their ids at the source; "" for one whom it
// does not know.
type registered map[string]string

func (r registered) Known(_ context.Context, _ string, _ scheduling.SourceID, id string) (string, bool, error) {
	native, ok := r[id]
	if !ok {
		return "", false, scheduling.Refuse(scheduling.UnknownID, "patient", "unknown")
	}
	return native, native != "", nil
}

func (r registered) Native(ctx context.Context, principal string, source scheduling.SourceID, id string) (string, error) {
	native, _, err := r.Known(ctx, principal, source, id)
	return native, err
}

// emptied is the desk after the store lost everything: books, keys and people.
func (w *world) emptied(t *testing.T, people registered) *booking.Desk {
	t.Helper()
	w.store.Lose(napa)
	w.people = people
	desk := w.newDesk(t, struct {
		booking.Books
		booking.Holds
		booking.Keys
		booking.Leases
	}{w.store, w.store, bookingtest.NewStore(w.clock), w.store}, w.ehr)
	must(desk.Sweep(t.Context(), napa))(t)
	return desk
}

func TestLaw5AfterALossARepeatUnderTheSameKeyGetsItsBooking(t *testing.T) {
	t.Parallel()
	before, after := scheduling.NewPatientID([26]byte{1}), scheduling.NewPatientID([26]byte{2})
	ann := booking.Caller{Principal: "ann", Holds: 3}
	for name, again := range map[string]string{"with the id of then": before, "registered anew": after} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			w.people = registered{before: "p1"}
			w.desk = w.newDesk(t, w.store, w.ehr)
			req := bookFor(w.offer(0), before)
			req.Key = "key-1"
			booked := must(w.desk.Book(t.Context(), ann, req))(t)
			desk := w.emptied(t, registered{after: ""})
			req.Patients = []string{again}
			got := must(desk.Book(t.Context(), ann, req))(t)
			if got.Entry.ID != booked.Entry.ID || got.Status != scheduling.ApptBooked || w.ehr.Writes[scheduling.CallBook] != 1 {
				t.Errorf("%+v after %d calls", got, w.ehr.Writes[scheduling.CallBook])
			}
			req.Key = "key-2" // nothing says that this is the same request
			if v, err := desk.Book(t.Context(), ann, req); err == nil {
				t.Errorf("another key: %+v", v)
			}
			req.Key = "key-1"
			if v, err := desk.Book(t.Context(), booking.Caller{Principal: "bob", Holds: 3}, req); err == nil {
				t.Errorf("another caller: %+v", v)
			}
		})
	}
}

// recognized are people whom the source shows to be its own.
type recognized struct {
	registered
	is map[string]string
}

func (r recognized) IsPatient(_ context.Context, principal string, _ scheduling.SourceID, id, native string) (bool, error) {
	return principal == "ann" && r.is[id] == native, nil
}

func TestLaw5AfterALossWhoeverIsRecognizedGetsTheirBookingUnderAnyKey(t *testing.T) {
	t.Parallel()
	before, after, other := scheduling.NewPatientID([26]byte{1}), scheduling.NewPatientID([26]byte{2}), scheduling.NewPatientID([26]byte{3})
	ann := booking.Caller{Principal: "ann", Holds: 3}
	w := newWorld(t, 2)
	w.people = registered{before: "p1"}
	w.desk = w.newDesk(t, w.store, w.ehr)
	req := bookFor(w.offer(0), before)
	req.Key = "key-1"
	booked := must(w.desk.Book(t.Context(), ann, req))(t)
	w.store.Lose(napa)
	w.people = recognized{registered{after: "", other: ""}, map[string]string{after: "p1", other: "p2"}}
	desk := w.newDesk(t, w.store, w.ehr)
	must(desk.Sweep(t.Context(), napa))(t)
	for _, key := range []string{"", "key-2"} {
		req.Key, req.Patients = key, []string{after}
		got := must(desk.Book(t.Context(), ann, req))(t)
		if got.Entry.ID != booked.Entry.ID || got.Status != scheduling.ApptBooked || w.ehr.Writes[scheduling.CallBook] != 1 {
			t.Errorf("%+v after %d calls", got, w.ehr.Writes[scheduling.CallBook])
		}
		for name, c := range map[string]struct {
			who      string
			patients []string
		}{
			"somebody else":        {"ann", []string{other}},
			"and somebody else":    {"ann", []string{after, other}},
			"another caller":       {"bob", []string{after}},
			"named twice, as two":  {"ann", []string{other, other}},
			"nobody whom we know":  {"ann", []string{before}},
			"the source's own ids": {"ann", []string{"p1"}},
		} {
			req.Key, req.Patients = "", c.patients
			if v, err := desk.Book(t.Context(), booking.Caller{Principal: c.who, Holds: 3}, req); err == nil {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestAListOfSomebodyUnknownIsNotEmptyButUnknown(t *testing.T) {
	t.Parallel()
	known, unknown := scheduling.NewPatientID([26]byte{1}), scheduling.NewPatientID([26]byte{2})
	w := newWorld(t, 1)
	w.people = registered{known: ""}
	w.desk = w.newDesk(t, w.store, w.ehr)
	ann := booking.Caller{Principal: "ann"}
	if list := must(w.desk.List(t.Context(), ann, booking.ListRequest{Patient: known}))(t); len(list.Views) > 0 {
		t.Errorf("%+v", list)
	}
	_, err := w.desk.List(t.Context(), ann, booking.ListRequest{Patient: unknown})
	wantCode(t, err, scheduling.UnknownID)
	if _, err = w.desk.List(t.Context(), caller("ann"), booking.ListRequest{Patient: "p1"}); err != nil {
		t.Errorf("of the source's own id: %v", err)
	}
}
