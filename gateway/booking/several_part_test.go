package booking_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// slotwise are the ways in which a hold of several slots is a write of each.
var slotwise = [2]string{"transaction", "slot by slot"}

// slotsAre fails unless the slots of the first chain have these states at the EHR.
func (h *house) slotsAre(t *testing.T, want ...string) {
	t.Helper()
	for i, status := range want {
		now, err := h.srv.Slot(h.chains[0][i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if now.Status != status {
			t.Errorf("slot %d is %s, want %s", i+1, now.Status, status)
		}
	}
}

// TestLaw12ARenewalThatARivalBreaksLeavesNoSlotHeld: whichever of the slots
// somebody else has got, the others are given back.
func TestLaw12ARenewalThatARivalBreaksLeavesNoSlotHeld(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		way, lost := slotwise[i/3], i%3
		t.Run(fmt.Sprint(way, ", slot ", lost+1), func(t *testing.T) {
			t.Parallel()
			clock := bookingtest.NewClock(opening.Add(-72 * time.Hour))
			frozen := clock.Now()
			h := newHouse(t, way, 3, func() time.Time { return frozen })
			w := &world{clock: clock, store: bookingtest.NewStore(clock)}
			desk := h.desk(t, w.store, clock, h.client(t, nil))
			id := h.part(0, 0, 3)
			must(desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)}))(t)
			h.slotsAre(t, "busy-tentative", "busy-tentative", "busy-tentative")
			if _, err := h.srv.TakeSlot(h.chains[0][lost].ID, "pat-2", true); err != nil {
				t.Fatal(err)
			}
			_, err := desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)})
			wantCode(t, err, scheduling.SlotTaken)
			w.settle(t, desk, 3*time.Hour)
			want := []string{"free", "free", "free"}
			want[lost] = "busy"
			h.slotsAre(t, want...)
			e, err := w.store.Read(t.Context(), id)
			if err != nil || e.State != scheduling.EntryFree {
				t.Errorf("the hold is %s, %v", e.State, err)
			}
		})
	}
}

// lateRoad is a way to the EHR on which one PUT of a slot is cut off, to arrive
// when the test says.
type lateRoad struct {
	skip int // such requests that pass first
	late *http.Request
}

func (l *lateRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.late == nil && req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/Slot/") {
		if l.skip--; l.skip < 0 {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			l.late = req.Clone(context.WithoutCancel(req.Context()))
			l.late.Body = io.NopCloser(bytes.NewReader(body))
			return nil, io.ErrUnexpectedEOF
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

// arrive lets the EHR have it.
func (l *lateRoad) arrive(t *testing.T) {
	t.Helper()
	if l.late == nil {
		t.Fatal("nothing was cut off")
	}
	res, err := http.DefaultTransport.RoundTrip(l.late)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the EHR says %s", res.Status)
	}
}

// TestLaw5AHoldThatArrivesLateInPartIsNotReleasedBeforeItCanBeSeen: the other
// slots are free at once, and the offer only when no slot can follow.
func TestLaw5AHoldThatArrivesLateInPartIsNotReleasedBeforeItCanBeSeen(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		way, skip := slotwise[i/3], i%3
		for _, comes := range []bool{true, false} {
			t.Run(fmt.Sprint(way, ", slot ", skip+1, ", it comes: ", comes), func(t *testing.T) {
				t.Parallel()
				clock := bookingtest.NewClock(opening.Add(-72 * time.Hour))
				frozen := clock.Now()
				h := newHouse(t, way, 3, func() time.Time { return frozen })
				w := &world{clock: clock, store: bookingtest.NewStore(clock)}
				road := &lateRoad{skip: skip}
				desk := h.desk(t, w.store, clock, h.client(t, road))
				id := h.part(0, 0, 3)
				_, err := desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)})
				wantCode(t, err, scheduling.SourceSlow)
				h.slotsAre(t, "free", "free", "free")
				e, err := w.store.Read(t.Context(), id)
				if err != nil || e.State != scheduling.EntryReleasing {
					t.Fatalf("with a slot under way the hold is %s, %v", e.State, err)
				}
				if comes {
					road.arrive(t)
				}
				_, err = desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(id)})
				wantCode(t, err, scheduling.SlotTaken)
				w.settle(t, desk, 3*time.Hour)
				h.slotsAre(t, "free", "free", "free")
				e, err = w.store.Read(t.Context(), id)
				if err != nil || e.State != scheduling.EntryFree || e.Unproved {
					t.Fatalf("in the end the hold is %s, unproved %v, %v", e.State, e.Unproved, err)
				}
				must(desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(id)}))(t)
			})
		}
	}
}
