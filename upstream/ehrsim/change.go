package ehrsim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Slot is one entry of the book, as tests and the control API see it.
type Slot struct {
	ID       string    `json:"id"`
	Schedule string    `json:"schedule"` // "Schedule/x"
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Status   string    `json:"status"` // free, busy, busy-unavailable, busy-tentative, entered-in-error
	Version  int       `json:"version"`

	Type         string `json:"type,omitempty"`         // code of the visit type of a generated slot
	Practitioner string `json:"practitioner,omitempty"` // whom its schedule binds now: "Practitioner/x"
	Location     string `json:"location,omitempty"`     // and where
}

// Errors of the methods that change the book.
var (
	ErrNoSlot     = errors.New("ehrsim: no such slot")
	ErrNoSchedule = errors.New("ehrsim: no such schedule")
	ErrBadStatus  = errors.New("ehrsim: not a slot status")
	ErrNoType     = errors.New("ehrsim: not a visit type of the schedule")
)

var statuses = words("free busy busy-unavailable busy-tentative entered-in-error")

// public shows a slot. The caller holds the lock.
func (st *store) public(s *slot) Slot {
	out := Slot{ID: s.id, Schedule: s.schedule, Start: s.start, End: s.end, Status: s.status, Version: s.version}
	if s.cal != nil && len(s.cal.visits) > 0 {
		out.Type, _ = firstText(object{{"type", s.cal.visits[s.visit]}}.find("type.coding.code"))
	}
	if r := st.reach[localRef(s.schedule)]; r != nil {
		out.Practitioner, out.Location = localRef(r.practitioner.str("reference")), localRef(r.location.str("reference"))
	}
	return out
}

func firstText(values []any) (text string, ok bool) {
	if len(values) > 0 {
		text, ok = values[0].(string)
	}
	return text, ok
}

// Slots lists the book by start, then id; with statuses only those.
func (s *Server) Slots(status ...string) []Slot {
	out := []Slot{}
	st := s.data()
	found := st.between(time.Time{}, time.Time{}, func(sl *slot) bool {
		return len(status) == 0 || slices.Contains(status, sl.status)
	})
	st.mu.RLock()
	defer st.mu.RUnlock()
	for _, sl := range found {
		out = append(out, st.public(sl))
	}
	return out
}

// Slot gives one slot; ErrNoSlot.
func (s *Server) Slot(id string) (Slot, error) {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	sl := st.slots[id]
	if sl == nil {
		return Slot{}, fmt.Errorf("%w: %s", ErrNoSlot, id)
	}
	return st.public(sl), nil
}

// SetSlotStatus changes a slot's status; ErrNoSlot, ErrBadStatus.
func (s *Server) SetSlotStatus(id, status string) error {
	if !slices.Contains(statuses, status) {
		return fmt.Errorf("%w: %q", ErrBadStatus, status)
	}
	return s.edit(id, func(sl *slot) { sl.status = status })
}

// MoveSlot gives a slot other times and keeps its id; ErrNoSlot. The end may
// be before the start: the simulator does not mind.
func (s *Server) MoveSlot(id string, start, end time.Time) error {
	return s.edit(id, func(sl *slot) { sl.start, sl.end = start.UTC(), end.UTC() })
}

// SetSlotType gives a slot of a generated practice another of its schedule's
// visit types: the one with this code, or, by "", the next; ErrNoSlot.
func (s *Server) SetSlotType(id, code string) error {
	known := true
	err := s.edit(id, func(sl *slot) { known = sl.retype(code) })
	if err == nil && !known {
		err = fmt.Errorf("%w: %q", ErrNoType, code)
	}
	return err
}

// retype says whether the schedule has the visit type.
func (sl *slot) retype(code string) bool {
	if sl.cal == nil || len(sl.cal.visits) == 0 {
		return false
	}
	at := (sl.visit + 1) % len(sl.cal.visits)
	if code != "" {
		at = slices.IndexFunc(sl.cal.visits, func(visit list) bool {
			codes := object{{"type", visit}}.find("type.coding.code")
			return slices.Contains(codes, any(code))
		})
	}
	if at >= 0 {
		sl.visit = at
	}
	return at >= 0
}

// SetSchedulePractitioner gives a schedule ("x") to somebody else ("prac-302").
// Its slots stay as they are; ErrNoSchedule, also where the schedule has nobody
// to replace or there is no such person.
func (s *Server) SetSchedulePractitioner(schedule, practitioner string) error {
	ref := bareRefs(schedule, "Schedule")[0]
	id := ref[len("Schedule/"):]
	st := s.data()
	st.mu.Lock()
	defer st.mu.Unlock()
	old, who := st.get("Schedule", id), st.get("Practitioner", practitioner)
	var actors list
	replaced := false
	for _, v := range old.each("actor") {
		actor, _ := v.(object)
		if strings.HasPrefix(localRef(actor.str("reference")), "Practitioner/") && who != nil {
			v, replaced = reference("Practitioner/"+practitioner, displayOf(who)), true
		}
		actors = append(actors, v)
	}
	if !replaced {
		return fmt.Errorf("%w: %s", ErrNoSchedule, schedule)
	}
	version, _ := strconv.Atoi(old.obj("meta").str("versionId"))
	next := old.with("actor", actors, "").with("meta", s.flavour.metaOf(version+1, s.clock.now()), "id")
	st.add(next)
	for _, c := range st.calendars {
		if c.id == id {
			c.schedule = next
		}
	}
	st.link()
	now := s.clock.now()
	st.changed(ref, now, now.AddDate(0, 0, s.opts.Days))
	return nil
}

func displayOf(person object) string {
	family, given := nameOf(person)
	return strings.TrimSpace(given + " " + family)
}

func (s *Server) edit(id string, change func(*slot)) error {
	if !s.data().change(id, s.clock.now(), change) {
		return fmt.Errorf("%w: %s", ErrNoSlot, id)
	}
	return nil
}

// DeleteSlot takes a slot away without a trace, as EHRs do; ErrNoSlot.
func (s *Server) DeleteSlot(id string) error {
	if s.opts.MarkDeleted {
		return s.SetSlotStatus(id, "entered-in-error")
	}
	st := s.data()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.remove(id) {
		return fmt.Errorf("%w: %s", ErrNoSlot, id)
	}
	return nil
}

// DeleteSlots takes all slots away, of one schedule or of all (""), without a
// trace, and says which they were: AddSlot brings them back.
func (s *Server) DeleteSlots(schedule string) []Slot {
	var gone []Slot
	st := s.data()
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, sl := range slices.Clone(st.book) {
		if schedule == "" || localRef(sl.schedule) == bareRefs(schedule, "Schedule")[0] {
			gone = append(gone, st.public(sl))
			st.remove(sl.id)
		}
	}
	return gone
}

// AddSlot puts a slot into the book of a schedule ("Schedule/x" or "x") and
// returns it with its id. Empty status: free; ErrNoSchedule, ErrBadStatus,
// ErrNoType.
func (s *Server) AddSlot(n Slot) (Slot, error) {
	setDefault(&n.Status, "free")
	if !slices.Contains(statuses, n.Status) {
		return n, fmt.Errorf("%w: %q", ErrBadStatus, n.Status)
	}
	ref := bareRefs(n.Schedule, "Schedule")[0]
	st := s.data()
	st.mu.Lock()
	defer st.mu.Unlock()
	schedule := st.get("Schedule", ref[len("Schedule/"):])
	if schedule == nil {
		return n, fmt.Errorf("%w: %s", ErrNoSchedule, n.Schedule)
	}
	setDefault(&n.ID, st.freshID())
	sl := &slot{id: n.ID, schedule: ref, start: n.Start.UTC(), end: n.End.UTC(), status: n.Status, version: 1, updated: s.clock.now()}
	for _, c := range st.calendars {
		if "Schedule/"+c.id == ref {
			sl.cal = c
		}
	}
	if sl.cal == nil {
		sl.raw = s.flavour.freshSlot(sl, schedule)
	}
	if n.Type != "" && !sl.retype(n.Type) {
		return n, fmt.Errorf("%w: %q", ErrNoType, n.Type)
	}
	st.insert(sl)
	return st.public(sl), nil
}

// freshSlot writes the resource of a slot added to a loaded schedule.
func (f flavour) freshSlot(sl *slot, schedule object) object {
	return obj("resourceType", "Slot", "id", sl.id,
		"specialty", schedule.each("specialty"),
		"schedule", obj("reference", sl.schedule), "status", sl.status,
		"start", f.instant(sl.start, f.zone), "end", f.instant(sl.end, f.zone))
}

// FillDay makes every free slot of one local day ("2026-11-24", in each place's
// own zone) busy, of one schedule or of all (""), and says how many.
func (s *Server) FillDay(schedule, date string) int {
	st := s.data()
	open := st.between(time.Time{}, time.Time{}, func(sl *slot) bool {
		zone := s.zone
		if sl.cal != nil {
			zone = sl.cal.zone
		}
		return sl.status == "free" && civilOf(sl.start.In(zone)).String() == date &&
			(schedule == "" || localRef(sl.schedule) == bareRefs(schedule, "Schedule")[0])
	})
	n := 0
	for _, sl := range open {
		if st.change(sl.id, s.clock.now(), func(sl *slot) { sl.status = "busy" }) {
			n++
		}
	}
	return n
}

// SetFaults puts these faults in place of all others and returns them with
// their ids. A fault that is not valid changes nothing.
func (s *Server) SetFaults(faults ...Fault) ([]Fault, error) {
	if err := validateAll(faults); err != nil {
		return nil, err
	}
	return s.faults.set(faults), nil
}

// AddFaults adds faults; one whose id is there already replaces that one.
func (s *Server) AddFaults(faults ...Fault) ([]Fault, error) {
	if err := validateAll(faults); err != nil {
		return nil, err
	}
	return s.faults.put(faults), nil
}

func validateAll(faults []Fault) error {
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.validate())
	}
	return errors.Join(errs...)
}

// RemoveFault takes one fault away and says whether it was there.
func (s *Server) RemoveFault(id string) bool { return s.faults.remove(id) }

// Faults lists those that are set.
func (s *Server) Faults() []Fault { return s.faults.list() }

// Requests lists the FHIR requests with a number above since, oldest first;
// the last 5,000 are kept.
func (s *Server) Requests(since int) []Request { return s.log.list(since) }

// Counters sums up all FHIR requests.
func (s *Server) Counters() Counters { return s.log.counters() }

// ClearRequests forgets the history and begins to count anew.
func (s *Server) ClearRequests() { s.log.clear() }

// Reset goes back to the beginning: first faults, data made anew for the
// present day of the clock (which runs on), no history, no page tokens.
func (s *Server) Reset() error {
	st, err := s.build()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.store = st
	s.mu.Unlock()
	s.faults.set(s.faults.first)
	s.pages.clear()
	s.stale.clear()
	s.tags.clear()
	s.log.clear()
	s.login.reset()
	s.notices.clear()
	return nil
}
