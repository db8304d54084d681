package booking_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// story interleaves what callers, desks, clocks and EHRs do, in any order, and
// holds it against the EHR's own book.
type story struct {
	*world
	fuse   *fuse
	mortal *booking.Desk
	ids    []string // every id that was ever used
	lines  []string // what happened
	hidden bool     // the EHR did not always show what it has
}

func newStory(t *rapid.T, tb testing.TB) *story {
	way := rapid.SampledFrom([]scheduling.RescheduleWay{scheduling.BookFirst, scheduling.Move, scheduling.CancelFirst}).Draw(t, "way")
	lax := rapid.Bool().Draw(t, "lax")
	hold := rapid.SampledFrom([]scheduling.HoldWay{scheduling.HoldEHR, scheduling.HoldNone}).Draw(t, "hold")
	w := newWorld(tb, 3, func(can *scheduling.Abilities) {
		can.Reschedule, can.Hold, can.Exclusive = way, hold, !lax
		can.LateCancel = rapid.Bool().Draw(t, "late cancel")
		can.Search = rapid.IntRange(0, 3).Draw(t, "search") > 0
		can.Slots = rapid.IntRange(0, 3).Draw(t, "slots") > 0
	})
	w.ehr.LateBy = time.Duration(rapid.SampledFrom([]int{3, 30, 90}).Draw(t, "late by")) * time.Second
	w.opts.WaitRunning = time.Millisecond
	w.ehr.Be(bookingtest.Lax, lax)
	s := &story{world: w, fuse: newFuse()}
	w.desk = w.newDesk(tb, w.store, w.ehr)
	s.mortal = w.newDesk(tb, mortalStore{w.store, s.fuse}, mortalEHR{w.ehr, s.fuse})
	return s
}

func (s *story) note(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("%s "+format, append([]any{s.clock.Now().Format("15:04:05")}, args...)...))
}

// who and what of one action.
func (s *story) draw(t *rapid.T) (c booking.Caller, patient, id string) {
	name := rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "who")
	slot := rapid.IntRange(0, 2).Draw(t, "slot")
	id = s.chain(slot, rapid.IntRange(1, 3-slot).Draw(t, "slots of the offer"))
	if len(s.ids) > 0 && rapid.Bool().Draw(t, "known") {
		id = rapid.SampledFrom(s.ids).Draw(t, "id")
	}
	if !slices.Contains(s.ids, id) {
		s.ids = append(s.ids, id)
	}
	return caller(name), "p-" + name, id
}

// maybeKill lights the fuse for some actions.
func (s *story) maybeKill(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "kill") == 0 {
		if rapid.Bool().Draw(t, "away") {
			s.fuse.away.Store(int64(rapid.IntRange(1, 6).Draw(t, "for")))
		}
		s.fuse.left.Store(int64(rapid.IntRange(0, 24).Draw(t, "fuse")))
	}
}

// told checks an answer against the EHR's book.
func (s *story) told(t *rapid.T, what string, v booking.View, err error) {
	s.note("%s -> %s doubt=%v entry=%s %v", what, v.Status, v.InDoubt, v.Entry.State, err)
	if err != nil {
		if is(err, scheduling.Internal) {
			t.Fatalf("%s: %v\n%s", what, err, s.tale())
		}
		return
	}
	if v.Status != scheduling.ApptBooked || v.InDoubt {
		return
	}
	for _, a := range s.ehr.Appointments() {
		if a.ID == v.Entry.Native && a.Status.Stands() && slices.Equal(a.Patient, v.Entry.Private.Natives()) && slices.Equal(a.Slots, v.Entry.Offer.SlotIDs()) {
			return
		}
	}
	t.Fatalf("told as booked, and the EHR says otherwise: %s\n%s", what, s.tale())
}

func is(err error, code scheduling.Code) bool { return scheduling.CodeOf(err) == code }

func (s *story) tale() string {
	text := ""
	for _, l := range s.lines {
		text += l + "\n"
	}
	for _, a := range s.ehr.Appointments() {
		text += fmt.Sprintf("EHR %s %s %v %v\n", a.ID, a.Status, a.Slots, a.Patient)
	}
	for _, e := range s.store.Entries() {
		text += fmt.Sprintf("entry %s %s %s v%d %v native %s undo %v reserve %v replaces %s by %s way %s old done %v reason %s", e.ID, e.Principal, e.State, e.Version, e.Offer.SlotIDs(), e.Native, e.Undo, e.Reserve, e.Replaces, e.ReplacedBy, e.Way, e.OldDone, e.Reason)
		text += fmt.Sprintf(" intent %+v doubt %+v hold %+v\n", e.Intent, e.Doubt, e.Hold)
	}
	return text + s.log.String()
}

func (s *story) hold(t *rapid.T) {
	c, patient, id := s.draw(t)
	s.maybeKill(t)
	died := dying(func() {
		v, err := s.mortal.Hold(tctx(t), c, booking.HoldRequest{Target: target(id), Patients: []string{patient}})
		s.told(t, "hold "+c.Principal+" "+id, v, err)
	})
	s.after(died, "hold "+id)
}

func (s *story) book(t *rapid.T) {
	c, patient, id := s.draw(t)
	s.maybeKill(t)
	died := dying(func() {
		v, err := s.mortal.Book(tctx(t), c, bookFor(id, patient))
		s.told(t, "book "+c.Principal+" "+id, v, err)
	})
	s.after(died, "book "+id)
}

func (s *story) cancel(t *rapid.T) {
	c, _, id := s.draw(t)
	s.maybeKill(t)
	died := dying(func() {
		v, err := s.mortal.Cancel(tctx(t), c, booking.CancelRequest{ID: id})
		s.told(t, "cancel "+c.Principal+" "+id, v, err)
	})
	s.after(died, "cancel "+id)
}

// reschedule replaces a booked one: from then on the patient must never be left
// without an appointment.
func (s *story) reschedule(t *rapid.T) {
	c, patient, id := s.draw(t)
	for _, e := range s.store.Entries() {
		if e.State != scheduling.EntryBooked || e.Principal != c.Principal || e.ID == id {
			continue
		}
		s.maybeKill(t)
		req := bookFor(id, patient)
		req.Replaces = e.ID
		died := dying(func() {
			v, err := s.mortal.Book(tctx(t), c, req)
			s.told(t, "reschedule "+c.Principal+" "+e.ID+" to "+id, v, err)
		})
		s.after(died, "reschedule to "+id)
		return
	}
}

func (s *story) after(died bool, what string) {
	s.fuse.left.Store(-1)
	s.fuse.away.Store(0)
	if died {
		s.note("%s: the desk was killed", what)
	}
}

func (s *story) fault(t *rapid.T) {
	kind := rapid.SampledFrom([]scheduling.CallKind{scheduling.CallHold, scheduling.CallRelease, scheduling.CallBook, scheduling.CallCancel}).Draw(t, "call")
	faults := []bookingtest.Fault{
		bookingtest.RefuseTaken, bookingtest.RefuseRules, bookingtest.RefuseStrange, bookingtest.RefuseBusy, bookingtest.NotSent,
		bookingtest.LostBefore, bookingtest.LostAfter, bookingtest.LateCommit, bookingtest.OtherPatient, bookingtest.OtherTime,
		bookingtest.Nobody, bookingtest.Empty, bookingtest.SaysOnly, bookingtest.KeepsSlot, bookingtest.LosesHold,
	}
	if kind == scheduling.CallRelease { // a slot kept for ever is the EHR's doing
		faults = faults[:7]
	}
	f := rapid.SampledFrom(faults).Draw(t, "fault")
	if kind == scheduling.CallCancel && f == bookingtest.KeepsSlot {
		return
	}
	s.note("fault %s: %s", kind, f)
	s.ehr.Fail(kind, f)
}

func (s *story) failReads(t *rapid.T) { s.ehr.FailReads(rapid.IntRange(1, 6).Draw(t, "reads")) }

// habits are lasting faults: what is not shown, or not yet.
func (s *story) habit(t *rapid.T) {
	habits := []bookingtest.Fault{bookingtest.HidesIDs, bookingtest.Sparse}
	if s.ehr.Can().Exclusive {
		habits = append(habits, bookingtest.SearchIsBehind)
	}
	h, on := rapid.SampledFrom(habits).Draw(t, "habit"), rapid.Bool().Draw(t, "on")
	s.note("habit %s %v", h, on)
	s.hidden = true
	s.ehr.Be(h, on)
}

// person decides what nobody can read, as the EHR's own screen shows it. What
// stands and should not, the person cancels there.
func (s *story) person(t *rapid.T) {
	list, err := s.desk.Unsettled(tctx(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.State != scheduling.EntryDoubt || !e.Doubt.Unresolved {
			continue
		}
		in := booking.Decision{ID: e.ID, By: "op", Reason: "looked at the screen"}
		for _, a := range s.ehr.Appointments() {
			if a.HasIdentifier(e.Identifier) && a.Status.Stands() {
				in.Booked, in.Native = true, a.ID
			}
		}
		err := s.desk.Decide(tctx(t), in)
		if is(err, scheduling.NotAcceptable) {
			s.ehr.Clinic(in.Native, func(a *scheduling.Appointment) { a.Status = scheduling.ApptCancelled })
			in.Booked, in.Native = false, ""
			err = s.desk.Decide(tctx(t), in)
		}
		s.note("a person decides %s: %v %v", e.ID, in.Booked, err)
		if err != nil {
			t.Fatalf("decide: %v\n%s", err, s.tale())
		}
	}
}

func (s *story) pass(t *rapid.T) {
	d := time.Duration(rapid.SampledFrom([]int{1, 7, 30, 61, 130, 400}).Draw(t, "seconds")) * time.Second
	s.clock.Advance(d)
	s.note("pass %s", d)
}

// sweep settles what is due, with a desk that may be killed over it.
func (s *story) sweep(t *rapid.T) {
	due, err := s.store.Due(tctx(t), napa, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range due {
		s.maybeKill(t)
		died := dying(func() {
			if err := s.mortal.Settle(tctx(t), e); err != nil && !is(err, scheduling.Shedding) {
				t.Fatalf("settle: %v\n%s", err, s.tale())
			}
		})
		s.after(died, "settle "+string(e.State)+" "+e.ID)
	}
}

// one holds law 3: never two bookings of one slot.
func (s *story) one(t *rapid.T) {
	for i := range s.slots {
		if got := s.standing(i); len(got) > 1 {
			t.Fatalf("slot %d is booked for %v\n%s", i, got, s.tale())
		}
	}
}

// end heals the EHR, lets a day and more pass, and looks at what is left.
func (s *story) end(t *rapid.T, tb testing.TB) {
	s.ehr.Heal()
	s.note("healed")
	until := s.clock.Now().Add(27 * time.Hour)
	for range 3000 {
		next := s.store.NextWake()
		if next.IsZero() || next.After(until) {
			break
		}
		// In small steps: the EHR, too, has things to do meanwhile.
		for next.After(s.clock.Now()) {
			s.clock.Advance(min(30*time.Minute, next.Sub(s.clock.Now())))
			s.one(t)
		}
		if _, err := s.desk.Sweep(tctx(t), napa); err != nil {
			t.Fatalf("sweep: %v\n%s", err, s.tale())
		}
		s.one(t)
		s.person(t)
	}
	if !s.ehr.Can().Search || s.hidden {
		s.clock.Advance(3 * time.Hour) // a hold that nobody can find runs out
	}
	known := map[string]bool{}
	for _, e := range s.store.Entries() {
		switch e.State {
		case scheduling.EntryFree, scheduling.EntryCancelled, scheduling.EntryNotBooked:
			if e.Reserve {
				t.Fatalf("a replaced one was never given back\n%s", s.tale())
			}
		case scheduling.EntryBooked:
			known[e.Native] = true
			s.told(t, "end", booking.View{Entry: e, Status: e.Status()}, nil)
			if e.Wanted != nil || e.Replaces != "" && !e.OldDone {
				t.Fatalf("something still waits: %s\n%s", e.ID, s.tale())
			}
		default:
			t.Fatalf("it never ended: %s %s\n%s", e.ID, e.State, s.tale())
		}
	}
	for _, a := range s.ehr.Appointments() {
		if a.Status == scheduling.ApptPending || a.Status.Stands() && !known[a.ID] {
			t.Fatalf("left behind at the EHR: %+v\n%s", a, s.tale())
		}
	}
	for i, slot := range s.slots {
		if id, ok := s.store.Claimed(napa, slot.ID); ok && len(s.standing(i)) == 0 {
			t.Fatalf("slot %d is claimed by %s for nothing\n%s", i, id, s.tale())
		}
	}
}

// patients counts the appointments that stand, by patient.
func (s *story) patients() map[string]int {
	n := map[string]int{}
	for _, a := range s.ehr.Appointments() {
		for _, p := range a.Patient {
			if a.Status.Stands() {
				n[p]++
			}
		}
	}
	return n
}

// manyChecks runs a property several times as often as rapid does by itself.
func manyChecks(t *testing.T, property func(*testing.T, *rapid.T)) {
	t.Helper()
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { property(t, rt) })
		})
	}
}

func TestAnyStoryEndsWellWhateverTheEHRDoes(t *testing.T) {
	t.Parallel()
	manyChecks(t, func(t *testing.T, rt *rapid.T) {
		s := newStory(rt, t)
		if can := s.ehr.Can(); can.Exclusive && can.Search && can.Reschedule != scheduling.CancelFirst && rapid.Bool().Draw(rt, "much too late") {
			s.ehr.LateBy = 5 * time.Hour
		}
		rt.Repeat(map[string]func(*rapid.T){
			"hold": s.hold, "book": s.book, "book too": s.book, "cancel": s.cancel, "reschedule": s.reschedule,
			"fault": s.fault, "reads": s.failReads, "pass": s.pass, "sweep": s.sweep, "habit": s.habit, "": s.one,
		})
		s.end(rt, t)
	})
}

// TestARescheduleNeverLeavesThePatientWithNothing: booked once, then rescheduled
// with any fault, any kill, in any way: in the end one appointment stands.
func TestARescheduleNeverLeavesThePatientWithNothing(t *testing.T) {
	t.Parallel()
	manyChecks(t, func(t *testing.T, rt *rapid.T) {
		s := newStory(rt, t)
		old := s.offer(0)
		if v, err := s.desk.Book(tctx(rt), caller("ann"), bookFor(old, "p-ann")); err != nil || v.Status != scheduling.ApptBooked {
			rt.Fatalf("booking the old one: %v %v", v.Status, err)
		}
		for range rapid.IntRange(0, 3).Draw(rt, "faults") {
			s.fault(rt)
		}
		if rapid.Bool().Draw(rt, "reads fail") {
			s.failReads(rt)
		}
		s.maybeKill(rt)
		req := bookFor(s.offer(1), "p-ann")
		req.Replaces = old
		var told booking.View
		var err error
		died := dying(func() { told, err = s.mortal.Book(tctx(rt), caller("ann"), req) })
		s.told(rt, "reschedule", told, err)
		s.after(died, "reschedule")
		for range rapid.IntRange(0, 4).Draw(rt, "sweeps") {
			s.pass(rt)
			s.sweep(rt)
		}
		s.end(rt, t)
		if n := s.patients()["p-ann"]; n != 1 {
			rt.Fatalf("the patient has %d appointments (answer %v, %v)\n%s", n, told.Status, err, s.tale())
		}
		if err == nil && !died && told.Status == scheduling.ApptBooked && !told.InDoubt && len(s.standing(1)) != 1 {
			rt.Fatalf("told as rescheduled, and it is not\n%s", s.tale())
		}
		if errors.Is(err, booking.ErrState) {
			rt.Fatalf("refused: %v", err)
		}
	})
}
