package upstream

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestAReleaseNeverUndoesABooking(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, at.dialect, at.release, nil, nil)
			offer := w.offer()
			hold := w.hold(t, offer)
			if err := w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: *hold}); err != nil || w.slot(t, offer) != "free" {
				t.Errorf("release: %v, the slot is %s", err, w.slot(t, offer))
			}
			if err := w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: *hold}); err != nil {
				t.Errorf("released twice: %v", err)
			}
			booked := w.offer()
			hold = w.hold(t, booked)
			w.book(t, booked, hold)
			err := w.Release(t.Context(), scheduling.ReleaseCall{Offer: booked, Hold: *hold})
			wantCode(t, "release of what is booked", err, scheduling.NotAcceptable)
			if s := w.slot(t, booked); s != "busy" {
				t.Errorf("the booked slot is %s", s)
			}
		})
	}
}

func TestAHoldOnSlotsIsKnownByItsMarkAndByItsVersion(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, nil)
	offer := w.offer()
	hold := w.hold(t, offer)
	if markOf(hold.ETag) != "key-1" {
		t.Errorf("%q", hold.ETag)
	}
	states, err := w.SlotStates(t.Context(), offer.SlotIDs(), scheduling.ForSettle)
	if err != nil || states[0].Status != scheduling.SlotTentative || states[0].Mark != "key-1" {
		t.Fatalf("%+v %v", states, err)
	}
	for name, tc := range map[string]struct {
		tag  string
		want scheduling.Code
	}{
		"another's mark": {"mark=another", scheduling.NotAcceptable}, "an older version": {`W/"0"`, scheduling.NotAcceptable},
	} {
		err = w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: scheduling.Hold{ETag: tc.tag}})
		wantCode(t, name, err, tc.want)
	}
	renewed, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: offer, Hold: hold, Identifier: "key-1", Length: time.Minute})
	if err != nil || renewed.ETag == hold.ETag || renewed.Length != time.Minute {
		t.Errorf("renewed: %+v %v", renewed, err)
	}
	if err = w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: *hold}); err != nil {
		t.Errorf("by the mark of the first: %v", err)
	}
	// What the settler knows of a hold is the version that it saw.
	w.hold(t, offer)
	states, _ = w.SlotStates(t.Context(), offer.SlotIDs(), scheduling.ForSettle)
	if err = w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: scheduling.Hold{ETag: states[0].ETag}}); err != nil || w.slot(t, offer) != "free" {
		t.Errorf("by its version: %v, the slot is %s", err, w.slot(t, offer))
	}
}

func TestARetriedCancelNeverTouchesTheNextPatientsSlot(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, nil)
	offer := w.offer()
	first := w.book(t, offer, nil)
	if err := w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: first.ID}); err != nil {
		t.Fatal(err)
	}
	next := bookCall(offer, nil)
	next.Identifier, next.Patients = "key-2", []string{"pat-2"}
	if _, err := w.Book(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: first.ID}); err != nil {
		t.Fatal(err)
	}
	if s := w.slot(t, offer); s != "busy" {
		t.Errorf("the next patient's slot is %s", s)
	}
}

// The cancel in each format, with its reason as each release writes it, and the
// condition that makes it safe.
func TestACancelIsWrittenInEveryFormatWithItsReason(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		for _, format := range []string{"json", "xml", "fhirpath", "put"} {
			if format == "put" && at.dialect == Argonaut || at.dialect == IHE {
				continue // the guide has PATCH alone, the profile $book
			}
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				w := worldOf(t, at.dialect, at.release, func(o *ehrsim.Options) { o.PatchIfMatch = ehrsim.IfMatchRequired }, func(o *Options) {
					if o.Quirks.Patch = format; format == "put" {
						o.Quirks.Patch, o.Quirks.Cancel = "", "put"
					}
				})
				offer := w.offer()
				made := w.book(t, offer, nil)
				if err := w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID, Reason: "pat"}); err != nil {
					t.Fatal(err)
				}
				a, err := w.srv.Appointment(made.ID)
				if err != nil || a.Status != "cancelled" {
					t.Fatalf("%+v %v", a, err)
				}
				text, _ := json.Marshal(a)
				system := reasonsR4
				if at.release == scheduling.STU3 {
					system = reasonsSTU3
				}
				if body := lastBody(w, made.ID); !strings.Contains(body, system) || !strings.Contains(body, `pat"`) {
					t.Errorf("sent %s; it has become %s", body, text)
				}
			})
		}
	}
}

// lastBody is what was sent last for an appointment.
func lastBody(w *deskWorld, native string) string {
	out := ""
	for _, r := range w.srv.Requests(0) {
		if strings.HasSuffix(r.Path, "/Appointment/"+native) && r.Method != http.MethodGet {
			out = r.Body
		}
	}
	return out
}

func TestACancelOfAnOlderVersionIsNotSent(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		w := worldOf(t, at.dialect, at.release, nil, nil)
		offer := w.offer()
		made := w.book(t, offer, nil)
		before := w.writes()
		err := w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID, ETag: `W/"999"`})
		wantCode(t, name, err, scheduling.SourceRefused)
		if w.writes() != before {
			t.Errorf("%s: it was sent", name)
		}
		wantCode(t, name+", of nobody", w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: "nobody"}), scheduling.UnknownID)
		wantCode(t, name+", of no id", w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: "../Patient/1"}), scheduling.UnknownID)
	}
}

func TestAnAppointmentMovesInOneCall(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, func(o *Options) { o.Quirks.Reschedule = "move" })
	old, next := w.offer(), w.offer()
	made := w.book(t, old, nil)
	call := bookCall(next, nil)
	call.Identifier, call.Moves, call.MovesETag = "key-2", made.ID, made.ETag
	moved, err := w.Book(t.Context(), call)
	if err != nil || moved.ID != made.ID {
		t.Fatalf("%+v %v", moved, err)
	}
	read, err := w.Read(t.Context(), made.ID, scheduling.ForBook)
	if err != nil {
		t.Fatal(err)
	}
	same(t, read, next)
	if w.slot(t, old) != "free" || w.slot(t, next) != "busy" || len(w.srv.Appointments("booked")) != 1 {
		t.Errorf("old %s, new %s, %+v", w.slot(t, old), w.slot(t, next), w.srv.Appointments())
	}
	if !slices.Contains(read.Identifiers, "key-2") {
		t.Errorf("%+v", read)
	}
}
