package booking_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

func TestAnOfferOfSeveralSlotsIsHeldBookedAndCancelledAsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	ann, bob := caller("ann"), caller("bob")
	id := w.chain(0, 2)
	shared := []string{w.chain(0, 1), w.chain(1, 1), w.chain(1, 2), w.chain(0, 3), w.chain(0, 4)}
	refused := func(when string) {
		t.Helper()
		for _, other := range shared {
			if _, err := w.desk.Hold(t.Context(), bob, booking.HoldRequest{Target: target(other)}); !is(err, scheduling.SlotTaken) {
				t.Errorf("%s: a hold of what shares a slot: %v", when, err)
			}
			if _, err := w.desk.Book(t.Context(), bob, bookFor(other, "p2")); !is(err, scheduling.SlotTaken) {
				t.Errorf("%s: a booking of what shares a slot: %v", when, err)
			}
		}
	}
	held := must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id)}))(t)
	if !held.Entry.Offer.Alone {
		t.Error("a doctor's time is not kept free")
	}
	refused("held")
	booked := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
	wantStatus(t, booked, scheduling.ApptBooked)
	if len(booked.Entry.NotProved) != 0 {
		t.Errorf("not proved: %v", booked.Entry.NotProved)
	}
	refused("booked")
	if got := must(w.desk.Book(t.Context(), bob, bookFor(w.chain(2, 2), "p2")))(t); got.Status != scheduling.ApptBooked {
		t.Errorf("what shares no slot: %s", got.Status)
	}
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
	for i := range 2 {
		if n := w.store.Generation(napa, w.slots[i].ID); n != 1 || !w.store.Fenced(napa, w.slots[i].ID) {
			t.Errorf("slot %d: generation %d, fenced %v", i, n, w.store.Fenced(napa, w.slots[i].ID))
		}
		if len(w.standing(i)) != 0 {
			t.Errorf("slot %d: %v", i, w.standing(i))
		}
	}
	wantStatus(t, must(w.desk.Book(t.Context(), bob, bookFor(w.offer(1), "p3")))(t), scheduling.ApptBooked)
}

func TestSeveralSlotsThatAreNamedAreAnOfferOfOursOrNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.longest = 2
	ann := caller("ann")
	hold := func(slots ...string) error {
		_, err := w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: booking.Target{Slots: slots, ByResource: true}})
		return err
	}
	wantCode(t, hold(w.ours(0, 3)...), scheduling.NotAcceptable)
	wantCode(t, hold(w.ours(1, 1)[0], w.ours(0, 1)[0]), scheduling.NotAcceptable)
	wantCode(t, hold(w.ours(0, 1)[0], w.ours(3, 1)[0]), scheduling.NotAcceptable)
	wantCode(t, hold(w.ours(0, 1)[0], w.ours(0, 1)[0]), scheduling.NotAcceptable)
	wantCode(t, hold(append(w.ours(0, 1), "nobody-knows-this")...), scheduling.NotAcceptable)
	wantCode(t, hold(make([]string, 5000)...), scheduling.NotAcceptable)
	if list := w.store.Entries(); len(list) != 0 {
		t.Fatalf("%d entries of what was refused", len(list))
	}
	if err := hold(w.ours(1, 2)...); err != nil {
		t.Fatal(err)
	}
	if err := hold(w.ours(1, 2)...); err != nil {
		t.Fatalf("one's own, again: %v", err)
	}
	_, err := w.desk.Book(t.Context(), caller("bob"), booking.BookRequest{Target: booking.Target{Slots: w.ours(0, 2)}, Patients: []string{"p2"}})
	wantCode(t, err, scheduling.SlotTaken)
	wantCode(t, hold(w.ours(2, 1)...), scheduling.SlotTaken)
	booked := must(w.desk.Book(t.Context(), ann, booking.BookRequest{Target: booking.Target{Slots: w.ours(1, 2)}, Patients: []string{"p1"}}))(t)
	wantStatus(t, booked, scheduling.ApptBooked)
}

func TestWhatASourceCannotDoWithSeveralSlotsIsToldBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(can *scheduling.Abilities) { can.HoldsOne = true })
	held := must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(w.chain(0, 2))}))(t)
	if held.Entry.Hold.By != scheduling.HeldByGateway || w.ehr.Writes[scheduling.CallHold] != 0 {
		t.Fatalf("held by %s after %d calls", held.Entry.Hold.By, w.ehr.Writes[scheduling.CallHold])
	}
	wantStatus(t, must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.chain(0, 2), "p1")))(t), scheduling.ApptBooked)

	w = newWorld(t, 2, func(can *scheduling.Abilities) { can.HoldsOne, can.GatewayHolds = true, false })
	_, err := w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(w.chain(0, 2))})
	wantCode(t, err, scheduling.NotSupported)

	w = newWorld(t, 2, func(can *scheduling.Abilities) { can.OneSlot = true })
	_, err = w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(w.chain(0, 2))})
	wantCode(t, err, scheduling.NotSupported)
	_, err = w.desk.Book(t.Context(), caller("ann"), bookFor(w.chain(0, 2), "p1"))
	wantCode(t, err, scheduling.NotSupported)
	if len(w.store.Entries()) != 0 {
		t.Fatal("something was held")
	}
	wantStatus(t, must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t), scheduling.ApptBooked)
}

func TestAReplicaThatLagsCannotHaveOverlappingSlotsBooked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	half := w.slots[0]
	quarter := half
	quarter.ID, quarter.End = "quarter", half.Start.Add(15*time.Minute)
	id := scheduling.OfferID(napa, 0, "quarter")
	stale := oneOffer{w, scheduling.Offer{ID: id, Slots: []scheduling.Slot{quarter}, Setting: w.setting}}
	w.ehr.AddSlots(quarter)
	desk := w.newDeskOver(t, stale)
	must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t)
	_, err := desk.Book(t.Context(), caller("bob"), bookFor(id, "p2"))
	wantCode(t, err, scheduling.SlotTaken)
	w.ehr.Set(func(can *scheduling.Abilities) { can.Overlap = scheduling.OverlapAllow })
	wantStatus(t, must(desk.Book(t.Context(), caller("bob"), bookFor(id, "p2")))(t), scheduling.ApptBooked)
}

// oneOffer is a replica that shows one more offer.
type oneOffer struct {
	*world
	offer scheduling.Offer
}

func (o oneOffer) Offer(id string) (scheduling.Hit, bool) {
	if id == o.offer.ID {
		return scheduling.Hit{Offer: o.offer}, true
	}
	return o.world.Offer(id)
}

// ownPatient is an id as the gateway gives it.
var ownPatient = scheduling.NewPatientID([26]byte{})

// clinicFolk tells what it is asked of everybody.
type clinicFolk struct {
	booking.Patients
	person scheduling.Person
}

func (f clinicFolk) Known(context.Context, string, scheduling.SourceID, string) (string, bool, error) {
	return "n1", true, nil
}

func (f clinicFolk) Person(context.Context, string, scheduling.SourceID, string) (scheduling.Person, error) {
	return f.person, nil
}

func TestTheClinicsRuleIsHeldAgainstThePatient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule   scheduling.Rule
		person scheduling.Person
		says   string // "" for admitted
	}{
		"too late":             {rule: scheduling.Rule{Lead: 96 * time.Hour}, says: "4 days ahead or earlier"},
		"too far ahead":        {rule: scheduling.Rule{Until: 24 * time.Hour}, says: "1 day ahead at most"},
		"in time":              {rule: scheduling.Rule{Lead: time.Hour, Until: 96 * time.Hour}},
		"too young":            {rule: scheduling.Rule{Ages: scheduling.Ages{From: 18}}, person: scheduling.Person{Born: "2020-01-01"}, says: "18 years or older"},
		"old enough":           {rule: scheduling.Rule{Ages: scheduling.Ages{From: 18}}, person: scheduling.Person{Born: "1970-01-01"}},
		"nobody knows how old": {rule: scheduling.Rule{Ages: scheduling.Ages{From: 18}}},
		"a stranger":           {rule: scheduling.Rule{Patients: scheduling.KnownPatients}, person: scheduling.Person{Standing: scheduling.Stranger}, says: "whom it knows already"},
		"not new any more":     {rule: scheduling.Rule{Patients: scheduling.NewPatients}, person: scheduling.Person{Standing: scheduling.Seen}, says: "new patients only"},
		"registered here":      {rule: scheduling.Rule{Patients: scheduling.KnownPatients}, person: scheduling.Person{Standing: scheduling.Registered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			w.rule, w.people = &c.rule, clinicFolk{person: c.person}
			desk := w.newDesk(t, w.store, w.ehr)
			id := w.chain(0, 2)
			_, held := desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id), Patients: []string{ownPatient}})
			if held == nil {
				must(desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
			}
			v, booked := desk.Book(t.Context(), caller("ann"), bookFor(id, ownPatient))
			if c.says == "" {
				if held != nil || booked != nil || v.Status != scheduling.ApptBooked || v.Entry.Offer.Rule == nil {
					t.Fatalf("hold: %v, book: %v", held, booked)
				}
				return
			}
			for _, err := range []error{held, booked} {
				wantCode(t, err, scheduling.NotAcceptable)
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("it says %q", err)
				}
			}
			if n := w.ehr.Writes[scheduling.CallHold] + w.ehr.Writes[scheduling.CallBook]; n != 0 || len(w.store.Entries()) != 0 {
				t.Errorf("%d calls, %d entries", n, len(w.store.Entries()))
			}
		})
	}
}
