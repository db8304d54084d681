package ehrsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Faults of writing: of holding, booking, cancelling, registering.
const (
	FaultRefuse         FaultKind = "refuse"          // nothing is done; refused in the shape Shape (one of [RefusalShapes]; default the server's own); RetryAfter seconds in the throttled ones
	FaultLost           FaultKind = "lost"            // nothing is done, and the server hangs up (with Hang: once the caller has)
	FaultCommitLost     FaultKind = "commit-lost"     // done, and the server hangs up (with Hang: once the caller has)
	FaultCommitLate     FaultKind = "commit-late"     // the server hangs up (with Hang: once the caller has), and does it Delay later
	FaultCommitError    FaultKind = "commit-error"    // done, and answered with Status (500)
	FaultCommitEmpty    FaultKind = "commit-empty"    // done, and answered with 200 without a body
	FaultCommitNonsense FaultKind = "commit-nonsense" // done, and answered with 200 and a page of HTML
	FaultDie            FaultKind = "die"             // the connection is reset in the middle of the body; a write is done
	FaultOtherSlot      FaultKind = "other-slot"      // books the next free slot of the same schedule, if there is one
	FaultOtherPatient   FaultKind = "other-patient"   // books another patient, one of the seeded
	FaultFalseBooked    FaultKind = "false-booked"    // answers as if it were booked, and does nothing
	FaultFalseCancel    FaultKind = "false-cancel"    // answers as if it were cancelled, and does nothing
	FaultKeepBusy       FaultKind = "keep-busy"       // cancels, and leaves the slot busy; a Slot put back to free stays as it was
	FaultLoseHolds      FaultKind = "lose-holds"      // what $hold gave lapses Delay later (at once), whatever Expires told
	FaultRival          FaultKind = "rival"           // before it is done, somebody else books the slots it is about
	FaultStaleSearch    FaultKind = "stale-search"    // searches are answered from a cache, for Delay; Cache-Control: no-cache passes it unless Stubborn
	FaultLaggingSearch  FaultKind = "lagging-search"  // searches of appointments do not see what came about in the last Delay
)

// doings are what a kind strikes when Fault.On does not say: the others strike
// everything.
var doings = map[FaultKind][]string{
	FaultRefuse: writing, FaultLost: writing, FaultCommitLost: writing, FaultCommitLate: writing,
	FaultCommitError: writing, FaultCommitEmpty: writing, FaultCommitNonsense: writing,
	FaultOtherSlot: {"book"}, FaultOtherPatient: {"book"}, FaultFalseBooked: {"book"}, FaultRival: {"book"},
	FaultFalseCancel: {"cancel"}, FaultKeepBusy: {"cancel", "release"}, FaultLoseHolds: {"hold"},
	FaultStaleSearch: {"search", "find"}, FaultLaggingSearch: {"search"},
}

var (
	writing  = words("hold book cancel release register coverage")
	doingAll = append(words("search read find match metadata"), writing...)
)

// meant says whether a fault is about a request.
func (f Fault) meant(rq *request) bool {
	if slices.Contains(noticeFaults, f.Kind) {
		return false
	}
	on := doings[f.Kind]
	if f.On != "" {
		on = strings.Split(f.On, ",")
	}
	return strings.HasPrefix(rq.target(), f.Path) && (len(on) == 0 || slices.Contains(on, rq.doing()))
}

func (h hits) has(kind FaultKind) bool {
	_, ok := h[kind]
	return ok
}

// change runs a write with the faults that strike within one: a rival who comes
// first, and success that is told but not meant.
func (s *Server) change(rq *request, write func(*tx) (reply, error)) (reply, error) {
	var ans reply
	if rq.hits.has(FaultRival) {
		_ = s.update("rival", func(t *tx) error { t.rival(rq); return nil }) // never fails
	}
	pretend := rq.hits.has(FaultFalseBooked) || rq.hits.has(FaultFalseCancel)
	err := s.update("fhir", func(t *tx) error {
		t.keepBusy = rq.hits.has(FaultKeepBusy)
		var err error
		ans, err = write(t)
		if pretend {
			t.rollback()
		}
		return err
	})
	return ans, err
}

// rival books whatever slots a request is about for somebody else, holds or
// no holds.
func (t *tx) rival(rq *request) {
	for _, id := range t.slotsIn(rq) {
		_, _ = t.take(id, rivalPatient, true) // a slot that is booked already stays so
	}
}

// slotsIn finds every slot that a request names, itself or by an appointment.
func (t *tx) slotsIn(rq *request) []string {
	var out []string
	seen := func(text string) {
		ref := localRef(text)
		id := strings.TrimPrefix(ref, "Appointment/")
		switch slot, isSlot := strings.CutPrefix(ref, "Slot/"); {
		case isSlot && t.slots[slot] != nil:
			out = append(out, slot)
		case t.appts[id] != nil:
			out = append(out, slotIDs(t.appts[id].resource)...)
		case t.temporary(text, t.srv.opts.OfferLife, t.now) != nil:
			out = append(out, t.temporary(text, t.srv.opts.OfferLife, t.now).id)
		case t.offered(id) != nil:
			out = append(out, t.offered(id).id)
		}
	}
	if rq.typ == "Slot" {
		seen("Slot/" + rq.id)
	} else {
		seen(rq.id)
	}
	if body, err := rq.resource(); err == nil {
		eachText(body, seen)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func eachText(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case object:
		for _, m := range v {
			eachText(m.value, visit)
		}
	case list:
		for _, item := range v {
			eachText(item, visit)
		}
	}
}

// take books a slot for a patient as the clinic would, from under a hold if
// force says so.
func (t *tx) take(slotID, patient string, force bool) (*appointment, error) {
	sl := t.slots[slotID]
	if sl == nil {
		return nil, ErrNoSlot
	}
	for id := range t.holders[slotID] {
		if t.appts[id].status() != "pending" || !force {
			return nil, ErrTaken
		}
		t.cancel(id, "")
	}
	if sl = t.slots[slotID]; sl.status != "free" && !force {
		return nil, ErrTaken
	}
	id := "clinic-" + strconv.Itoa(t.number())
	about := t.srv.offerOf(t.store, []*slot{sl})
	a := t.putAppointment(id, booked(about, id, []string{patient}, ""), time.Time{})
	if sl = t.slots[slotID]; sl.status != "busy" {
		t.putSlot(sl, func(next *slot) { next.status, next.written = "busy", false })
	}
	return a, nil
}

// spoilRefuse answers a refusal in the server's place.
func (s *Server) spoilRefuse(w http.ResponseWriter, rq *request, f Fault) {
	setDefault(&f.Shape, s.opts.Refusal)
	setDefault(&f.RetryAfter, 1)
	s.send(w, rq, s.refusal(rq, f.Shape, s.about(rq), f.RetryAfter))
}

// about is the appointment that a request is about, as far as it can be told.
func (s *Server) about(rq *request) object {
	a, err := rq.asked()
	if err != nil {
		return nil
	}
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	if o := s.resourceOf(st, "Appointment", a.id); o != nil {
		return o
	}
	return a.resource
}

// hangUp ends the connection without an answer: at once, or with Hang when the
// caller has gone.
func (s *Server) hangUp(w http.ResponseWriter, rq *request, f Fault) {
	if f.Hang {
		s.hang(w, rq, f)
		return
	}
	reset(w, rq, f)
}

// commitLate does what was asked when nobody waits for it any more.
func (s *Server) commitLate(w http.ResponseWriter, rq *request, f Fault) {
	s.hangUp(w, rq, f)
	timer := time.NewTimer(time.Duration(f.Delay))
	defer timer.Stop()
	select {
	case <-timer.C:
		_, _ = s.answer(rq) // nobody hears it
	case <-s.stopping:
	}
}

// spoilAfter lets the faults strike that come between a deed and its answer.
// It says whether the request is done with.
func (s *Server) spoilAfter(w http.ResponseWriter, rq *request) bool {
	for _, way := range []struct {
		kind FaultKind
		do   func(http.ResponseWriter, *request, Fault)
	}{
		{FaultCommitLost, s.hangUp},
		{FaultCommitError, s.spoilStatus},
		{FaultCommitEmpty, s.emptyBody},
		{FaultCommitNonsense, loginPage},
	} {
		if f, ok := rq.hits[way.kind]; ok {
			way.do(w, rq, f)
			return true
		}
	}
	return false
}
