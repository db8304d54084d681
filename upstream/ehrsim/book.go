package ehrsim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// appointment is one version of an entry of the appointment book. It is never
// changed: the next version takes its place and keeps it as history.
type appointment struct {
	n        int // in the order they came
	id       string
	version  int
	updated  time.Time
	by       string // who made this version, see Change
	resource object
	expires  time.Time
	before   *appointment
}

func (a *appointment) status() string { return a.resource.str("status") }

// standing: it takes up its slots.
func (a *appointment) standing() bool {
	return a != nil && slices.Contains(standingStatuses, a.status())
}

var (
	standingStatuses    = words("pending booked arrived checked-in fulfilled noshow")
	appointmentStatuses = append(words("proposed cancelled entered-in-error waitlist"), standingStatuses...)
)

// slotIDs are the slots that an Appointment names.
func slotIDs(resource object) []string { return refsTo(resource.find("slot.reference"), "Slot/") }

// patientRefs are the patients among its participants, as "Patient/x".
func patientRefs(resource object) []string {
	var out []string
	for _, id := range refsTo(resource.find("participant.actor.reference"), "Patient/") {
		out = append(out, "Patient/"+id)
	}
	return out
}

func refsTo(values list, prefix string) []string {
	var out []string
	for _, v := range values {
		text, _ := v.(string)
		if id, ok := strings.CutPrefix(localRef(text), prefix); ok {
			out = append(out, id)
		}
	}
	return out
}

// ledger is what patients and clinic wrote: appointments and who takes up
// which slot. The store's lock guards it.
type ledger struct {
	follows bool // slots follow the appointments that clients write
	appts   map[string]*appointment
	holders map[string]map[string]bool // slot id -> standing appointments
	holds   map[string]time.Time       // pending ones that lapse
	lapses  time.Time                  // when the next one does; zero: none
	offers  map[string]int             // slot id -> offers of it used up
	count   int                        // numbers given
	asked   int                        // times that $find was asked for temporary ids
}

func newLedger(o Options) ledger {
	return ledger{
		follows: o.Dialect.operates() || o.StrictSlots,
		appts:   map[string]*appointment{}, holders: map[string]map[string]bool{}, holds: map[string]time.Time{}, offers: map[string]int{},
	}
}

// seat puts a version in its place (nil: none) and keeps the indexes right.
func (l *ledger) seat(id string, next *appointment) {
	if old := l.appts[id]; old.standing() {
		for _, slot := range slotIDs(old.resource) {
			delete(l.holders[slot], id)
		}
	}
	delete(l.holds, id)
	delete(l.appts, id)
	if next == nil {
		return
	}
	l.appts[id] = next
	if next.status() == "pending" && !next.expires.IsZero() {
		l.holds[id] = next.expires
		if l.lapses.IsZero() || next.expires.Before(l.lapses) {
			l.lapses = next.expires
		}
	}
	if !next.standing() {
		return
	}
	for _, slot := range slotIDs(next.resource) {
		if l.holders[slot] == nil {
			l.holders[slot] = map[string]bool{}
		}
		l.holders[slot][id] = true
	}
}

// offerID is the id under which $find proposes a slot now. One that was used,
// if only for a hold, is never given again.
func (l *ledger) offerID(slot string) string {
	if n := l.offers[slot]; n > 0 {
		return "offer-" + slot + "." + strconv.Itoa(n+1)
	}
	return "offer-" + slot
}

// offered finds the slot that is proposed under an id; nil if none is.
func (st *store) offered(id string) *slot {
	name, ok := strings.CutPrefix(id, "offer-")
	if !ok {
		return nil
	}
	for _, slot := range []string{name, name[:max(0, strings.LastIndexByte(name, '.'))]} {
		if sl := st.slots[slot]; sl != nil && st.offerID(slot) == id {
			return sl
		}
	}
	return nil
}

// tx is one change of the store, made under its lock: it happens wholly, or is
// rolled back.
type tx struct {
	*store
	srv      *Server
	now      time.Time
	by       string
	keepBusy bool // a fault: slots that should become free stay busy
	undo     []func()
}

// update runs a change alone; an error undoes all of it.
func (s *Server) update(by string, change func(*tx) error) error {
	st := s.data()
	st.mu.Lock()
	defer st.mu.Unlock()
	t := &tx{store: st, srv: s, now: s.clock.now(), by: by}
	err := change(t)
	if err != nil {
		t.rollback()
	}
	return err
}

func (t *tx) rollback() {
	for _, undo := range slices.Backward(t.undo) {
		undo()
	}
	t.undo = nil
}

// number gives the next free number, which no rollback gives again.
func (t *tx) number() int {
	t.count++
	return t.count
}

// putSlot writes the next version of a slot.
func (t *tx) putSlot(old *slot, edit func(*slot)) *slot {
	next := *old
	edit(&next)
	next.version++
	next.updated = t.now
	t.insert(&next)
	t.undo = append(t.undo, func() { t.insert(old) })
	return &next
}

// putAppointment writes the next version of an appointment, or the first, and
// lets its slots follow.
func (t *tx) putAppointment(id string, resource object, expires time.Time) *appointment {
	old := t.appts[id]
	next := &appointment{id: id, version: 1, updated: t.now, by: t.by, resource: resource, expires: expires, before: old}
	if old != nil {
		next.version, next.n = old.version+1, old.n
	} else {
		next.n = t.number()
	}
	t.seat(id, next)
	t.undo = append(t.undo, func() { t.seat(id, old) })
	for _, a := range []*appointment{old, next} {
		if a != nil && (old.standing() || next.standing()) {
			t.followAll(slotIDs(a.resource))
		}
	}
	return next
}

func (t *tx) followAll(slotIDs []string) {
	if !t.follows && t.by == "fhir" {
		return
	}
	for _, id := range slotIDs {
		if sl := t.slots[id]; sl != nil {
			if want := t.wanted(id); want != sl.status {
				t.putSlot(sl, func(next *slot) { next.status, next.written = want, false })
			}
		}
	}
}

// wanted is the status that a slot has by its appointments.
func (t *tx) wanted(slot string) string {
	status := "free"
	if t.keepBusy {
		status = "busy"
	}
	for id := range t.holders[slot] {
		if t.appts[id].status() != "pending" {
			return "busy"
		}
		status = "busy-tentative"
	}
	return status
}

// putResource writes a resource that is neither slot nor appointment.
func (t *tx) putResource(o object) object {
	typ, id := o.str("resourceType"), o.str("id")
	old := t.get(typ, id)
	version := 1
	if old != nil {
		n, _ := strconv.Atoi(old.obj("meta").str("versionId"))
		version = n + 1
	}
	o = o.with("meta", withMeta(o, t.srv.flavour.metaOf(version, t.now)), "id")
	t.add(o)
	t.undo = append(t.undo, func() {
		if old == nil {
			t.drop(typ, id)
		} else {
			t.add(old)
		}
	})
	return o
}

// drop takes a resource off its shelf.
func (st *store) drop(typ, id string) {
	sh := st.shelves[typ]
	delete(sh.byID, id)
	sh.ids = slices.DeleteFunc(sh.ids, func(have string) bool { return have == id })
}

// lapse ends the holds whose time has come. Like roll it is asked before every
// answer and mostly does nothing.
func (s *Server) lapse(st *store) {
	now := s.clock.now()
	st.mu.RLock()
	due := !st.lapses.IsZero() && !now.Before(st.lapses)
	st.mu.RUnlock()
	if !due {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	t := &tx{store: st, srv: s, now: now, by: "lapse"}
	st.lapses = time.Time{}
	for id, at := range st.holds {
		switch {
		case !now.Before(at):
			t.cancel(id, "")
		case st.lapses.IsZero() || at.Before(st.lapses):
			st.lapses = at
		}
	}
}

// cancel ends an appointment, with a reason if there is one.
func (t *tx) cancel(id, reason string) {
	resource := withStatus(t.appts[id].resource, "cancelled", "declined")
	t.putAppointment(id, t.srv.flavour.withReason(resource, reason), time.Time{})
}

// withStatus changes an appointment's status and that of all participants.
func withStatus(resource object, status, participation string) object {
	var people list
	for _, v := range resource.each("participant") {
		p, _ := v.(object)
		people = append(people, p.with("status", participation, ""))
	}
	resource = resource.with("status", status, "identifier")
	if len(people) == 0 {
		return resource
	}
	return resource.with("participant", people, "")
}

const extReason = "http://fhir.org/guides/argonaut-scheduling/StructureDefinition/extension-status-reason"

// withReason says why an appointment was cancelled, as each version does.
func (f flavour) withReason(resource object, reason string) object {
	switch {
	case reason == "":
		return resource
	case f.fhir == STU3:
		more := append(slices.Clone(resource.each("extension")), obj("url", extReason, "valueCodeableConcept", obj("text", reason)))
		return resource.with("extension", more, "id")
	}
	return resource.with("cancelationReason", obj("text", reason), "status")
}

// appointment writes a version of an appointment with its meta.
func (f flavour) appointment(a *appointment) object {
	o := a.resource.with("meta", withMeta(a.resource, f.metaOf(a.version, a.updated)), "id")
	if f.hideSlots {
		o = o.without("slot")
	}
	return o
}
