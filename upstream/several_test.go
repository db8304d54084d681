package upstream

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// severalWays are the ways to book more than one slot.
var severalWays = map[string]struct {
	dialect string
	release scheduling.Release
	quirk   string
}{
	"argonaut STU3":     {Argonaut, scheduling.STU3, auto},
	"argonaut R4":       {Argonaut, scheduling.R4, auto},
	"ihe":               {IHE, scheduling.R4, auto},
	"slots transaction": {Slots, scheduling.R4, BookTransaction},
	"slots conditional": {Slots, scheduling.STU3, BookConditional},
	"slots plain":       {Slots, scheduling.R4, BookPlain},
}

func severalWorld(t *testing.T, way string) *deskWorld {
	t.Helper()
	at := severalWays[way]
	strict := func(o *ehrsim.Options) { o.StrictSlots = at.quirk == BookPlain }
	return worldOf(t, at.dialect, at.release, strict, func(o *Options) { o.Quirks.Book = at.quirk })
}

// adjacent is an offer of n slots of one schedule, each after the other, that no
// other call gave.
func (w *deskWorld) adjacent(t *testing.T, n int) scheduling.OfferRecord {
	t.Helper()
	for skip := int(w.next.Add(1)); skip < len(w.offers); skip++ {
		chain := w.offers[skip]
		for _, next := range w.offers[skip+1:] {
			if len(chain.Slots) < n && next.Schedule == chain.Schedule && next.Start().Equal(chain.End()) {
				chain.Slots = append(slices.Clip(chain.Slots), next.Slots...)
			}
		}
		free := !slices.ContainsFunc(chain.Slots, func(s scheduling.Slot) bool { return w.status(t, s.ID) != "free" })
		if len(chain.Slots) == n && free {
			return chain
		}
	}
	t.Fatal("no adjacent slots are left")
	return scheduling.OfferRecord{}
}

func (w *deskWorld) status(t *testing.T, slot string) string {
	t.Helper()
	s, err := w.srv.Slot(slot)
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}

func (w *deskWorld) wantSlots(t *testing.T, what string, offer scheduling.OfferRecord, want ...string) {
	t.Helper()
	for i, slot := range offer.Slots {
		if got := w.status(t, slot.ID); got != want[min(i, len(want)-1)] {
			t.Errorf("%s: slot %d of %d is %s, want %s", what, i+1, len(offer.Slots), got, want[min(i, len(want)-1)])
		}
	}
}

func TestAnAppointmentTakesAllItsSlotsAndGivesThemBack(t *testing.T) {
	t.Parallel()
	for way, at := range severalWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := severalWorld(t, way)
			for _, held := range []bool{false, true} {
				offer := w.adjacent(t, 3)
				var hold *scheduling.Hold
				if held && at.dialect != IHE && at.quirk != BookPlain {
					hold = w.hold(t, offer)
					w.wantSlots(t, "held", offer, "busy-tentative")
				}
				call := bookCall(offer, hold)
				call.Identifier = "key-" + offer.Slots[0].ID
				made, err := w.Client.Book(t.Context(), call)
				if err != nil {
					t.Fatal(err)
				}
				w.wantSlots(t, "booked", offer, "busy")
				got, err := w.Client.Read(t.Context(), made.ID, scheduling.ForBook)
				if err != nil || !got.Start.Equal(offer.Start()) || !got.End.Equal(offer.End()) || !slices.Equal(got.Slots, offer.SlotIDs()) {
					t.Errorf("read back: %+v, %v", got, err)
				}
				err = w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID, Identifier: call.Identifier})
				if err != nil {
					t.Fatal(err)
				}
				w.wantSlots(t, "cancelled", offer, "free")
			}
		})
	}
}

func TestAnAppointmentOfWhichOneSlotIsTakenTakesNone(t *testing.T) {
	t.Parallel()
	for way, at := range severalWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := severalWorld(t, way)
			for taken := range 3 {
				offer := w.adjacent(t, 3)
				if _, err := w.srv.TakeSlot(offer.Slots[taken].ID, "pat-9", false); err != nil {
					t.Fatal(err)
				}
				want := []string{"free", "free", "free"}
				want[taken] = "busy"
				_, err := w.Book(t.Context(), bookCall(offer, nil))
				wantCode(t, "book", err, scheduling.SlotTaken)
				w.wantSlots(t, "refused", offer, want...)
				if at.dialect == IHE || at.quirk == BookPlain {
					continue
				}
				_, err = w.Hold(t.Context(), scheduling.HoldCall{Offer: offer, Identifier: "key-1", Length: time.Minute})
				wantCode(t, "hold", err, scheduling.SlotTaken)
				w.wantSlots(t, "hold refused", offer, want...)
			}
		})
	}
}

// The last slot is refused after the first were claimed: those are given back, the
// last first.
func TestWhatWasClaimedOfSeveralSlotsIsGivenBackWhenOneIsRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range []scheduling.CallKind{scheduling.CallBook, scheduling.CallHold} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := severalWorld(t, "slots conditional")
			offer := w.adjacent(t, 3)
			w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultRefuse, Shape: "version", Path: "/Slot/" + offer.Slots[2].ID, On: "hold", Count: 1})
			wantCode(t, string(kind), w.claimBy(t, kind, offer), scheduling.SlotTaken)
			w.wantSlots(t, "refused", offer, "free")
			var freed []string
			for _, r := range w.srv.Requests(0) {
				if r.Method == http.MethodPut {
					freed = append(freed, strings.TrimPrefix(r.Path, "/Slot/"))
				}
			}
			want := []string{offer.Slots[0].ID, offer.Slots[1].ID, offer.Slots[2].ID, offer.Slots[1].ID, offer.Slots[0].ID}
			if !slices.Equal(freed, want) {
				t.Errorf("written: %v, want %v", freed, want)
			}
		})
	}
}

func (w *deskWorld) claimBy(t *testing.T, kind scheduling.CallKind, offer scheduling.OfferRecord) error {
	t.Helper()
	if kind == scheduling.CallHold {
		_, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: offer, Identifier: "key-1", Length: time.Minute})
		return err
	}
	_, err := w.Book(t.Context(), bookCall(offer, nil))
	return err
}

// Somebody else books one of them between our reading and our writing it.
func TestLaw3ARivalAmongSeveralSlotsGetsThemOrWeDo(t *testing.T) {
	t.Parallel()
	for _, kind := range []scheduling.CallKind{scheduling.CallBook, scheduling.CallHold} {
		for at := range 3 {
			t.Run(string(kind)+" slot "+string(rune('1'+at)), func(t *testing.T) {
				t.Parallel()
				w := severalWorld(t, "slots conditional")
				offer := w.adjacent(t, 3)
				w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultRival, Path: "/Slot/" + offer.Slots[at].ID, On: "hold", Count: 1})
				wantCode(t, string(kind), w.claimBy(t, kind, offer), scheduling.SlotTaken)
				want := []string{"free", "free", "free"}
				want[at] = "busy"
				w.wantSlots(t, "refused", offer, want...)
			})
		}
	}
}

// Wherever the source dies, the call is in doubt, and what it has claimed can be
// told by its mark and freed.
func TestLaw5ASourceThatDiesAmongSeveralSlotsLeavesWhatCanBeFreed(t *testing.T) {
	t.Parallel()
	for _, fault := range []ehrsim.FaultKind{ehrsim.FaultLost, ehrsim.FaultCommitLost, ehrsim.FaultDie} {
		for dies := range 3 {
			t.Run(string(fault)+" at slot "+string(rune('1'+dies)), func(t *testing.T) {
				t.Parallel()
				w := severalWorld(t, "slots conditional")
				offer := w.adjacent(t, 3)
				w.fault(t, ehrsim.Fault{Kind: fault, Path: "/Slot/" + offer.Slots[dies].ID, On: "hold", Count: 1})
				wantCode(t, "book", w.claimBy(t, scheduling.CallBook, offer), scheduling.InDoubt)
				if n := len(w.srv.Appointments()); n != 0 {
					t.Fatalf("%d appointments were made", n)
				}
				if err := w.Vacate(t.Context(), scheduling.VacateCall{Offer: offer, Identifier: "key-1"}); err != nil {
					t.Fatal(err)
				}
				w.wantSlots(t, "vacated", offer, "free")

				held := w.adjacent(t, 3)
				w.fault(t, ehrsim.Fault{Kind: fault, Path: "/Slot/" + held.Slots[dies].ID, On: "hold", Count: 1})
				wantCode(t, "hold", w.claimBy(t, scheduling.CallHold, held), scheduling.InDoubt)
				states, err := w.SlotStates(t.Context(), held.SlotIDs(), scheduling.ForHold)
				if err != nil {
					t.Fatal(err)
				}
				tag := ""
				for _, s := range states {
					if s.Mark == "key-1" {
						tag += " " + s.ETag
					}
				}
				hold := scheduling.Hold{By: scheduling.HeldByEHR, ETag: tag}
				if err := w.Release(t.Context(), scheduling.ReleaseCall{Offer: held, Hold: hold}); err != nil {
					t.Fatal(err)
				}
				w.wantSlots(t, "released", held, "free")
			})
		}
	}
}

func TestAnAppointmentMovesToSeveralSlots(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"ihe", "slots conditional"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := severalWorld(t, way)
			old := w.adjacent(t, 2)
			made := w.book(t, old, nil)
			w.next.Add(8)
			next := w.adjacent(t, 3)
			call := bookCall(next, nil)
			call.Moves, call.MovesETag = made.ID, made.ETag
			moved, err := w.Book(t.Context(), call)
			if err != nil || moved.ID != made.ID {
				t.Fatalf("%+v, %v", moved, err)
			}
			w.wantSlots(t, "the new ones", next, "busy")
			w.wantSlots(t, "the old ones", old, "free")
		})
	}
}

func TestADialectThatBooksOneSlotSaysSo(t *testing.T) {
	t.Parallel()
	o := Options{Dialect: Epic}
	err := o.books(scheduling.Rules{{}, {Minutes: 45}})
	if err == nil || err.Error() != "[1].minutes: a source of dialect epic books one slot at a time; leave it out" {
		t.Error(err)
	}
	for _, dialect := range []string{Argonaut, IHE, Slots} {
		if o := (Options{Dialect: dialect}); o.books(scheduling.Rules{{Minutes: 45}}) != nil {
			t.Errorf("%s cannot book several", dialect)
		}
	}
	bad := Options{ID: "src", Base: "https://ehr.example.org/fhir", Dialect: Epic, Rules: []RuleOptions{{Minutes: 45}}}
	bad.SetDefaults()
	if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "rules[0].minutes: a source of dialect epic books one slot at a time") {
		t.Error(err)
	}
	w := severalWorld(t, "ihe")
	before := w.writes()
	_, err = w.Hold(t.Context(), scheduling.HoldCall{Offer: w.adjacent(t, 2), Identifier: "key-1", Length: time.Minute})
	wantCode(t, "an ihe source holds by the id of one proposal", err, scheduling.NotSupported)
	argonaut := severalWorld(t, "argonaut R4")
	ghost := argonaut.adjacent(t, 2)
	ghost.Slots[1].Virtual = true
	_, err = argonaut.Book(t.Context(), bookCall(ghost, nil))
	wantCode(t, "a slot that the source does not name", err, scheduling.NotSupported)
	_, err = argonaut.Hold(t.Context(), scheduling.HoldCall{Offer: ghost, Identifier: "key-1"})
	wantCode(t, "a slot that the source does not name", err, scheduling.NotSupported)
	if n := w.writes() - before; n != 0 {
		t.Errorf("%d writes were sent", n)
	}
}
