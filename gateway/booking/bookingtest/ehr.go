package bookingtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// Fault is one way to misbehave.
type Fault string

// The faults. Each is used up by one call, save those of State.
const (
	RefuseTaken    Fault = "refuse: taken"
	RefuseRules    Fault = "refuse: not acceptable"
	RefuseStrange  Fault = "refuse: in no table"
	RefuseLogin    Fault = "refuse: login"
	RefuseBusy     Fault = "refuse: throttled"
	NotSent        Fault = "down: certainly not sent"
	LostBefore     Fault = "answer lost, nothing done"
	LostAfter      Fault = "answer lost, done"
	LateCommit     Fault = "answer lost, done later" // see EHR.LateBy
	OtherPatient   Fault = "another patient"
	OtherTime      Fault = "another time"
	Nobody         Fault = "no patient"
	AnswersOther   Fault = "says yes, and names what stood there before"
	Empty          Fault = "an empty answer, done"
	SaysOnly       Fault = "says yes, does nothing"
	KeepsSlot      Fault = "cancels, and keeps the slot"
	LeavesSlot     Fault = "answer lost, cancelled, and the slot is left to us"
	LosesHold      Fault = "drops the hold at once"
	ReadFails      Fault = "the next read fails"
	HidesIDs       Fault = "state: shows no identifiers"
	Sparse         Fault = "state: shows neither slots nor actors"
	Lax            Fault = "state: books without looking at the slot"
	SearchIsBehind Fault = "state: search shows nothing"
)

// EHR is a model of one: slots and appointments, and a list of faults. Its book
// is what tests hold the desk's words against.
type EHR struct {
	mu     sync.Mutex
	clock  *Clock
	can    scheduling.Abilities
	slots  map[string]*slot
	appts  map[string]*scheduling.Appointment
	next   map[scheduling.CallKind][]Fault
	reads  int
	state  map[Fault]bool
	late   []commit
	serial int
	folk   folk

	// Fast is how far the EHR's clock is before ours; less than 0: behind.
	Fast time.Duration
	// LateBy is how long LateCommit takes.
	LateBy time.Duration
	// Writes counts the calls that change something, by kind.
	Writes map[scheduling.CallKind]int
}

type slot struct {
	start, end time.Time
	status     scheduling.SlotStatus
	mark       string // of a hold on the slot itself
	appt       string // who has it
	stuck      bool   // stays as it is, whoever wants it free
}

type commit struct {
	at time.Time
	do func()
}

// NewEHR is an EHR with these free slots.
func NewEHR(clock *Clock, can scheduling.Abilities, slots ...scheduling.Slot) *EHR {
	h := &EHR{
		clock: clock, can: can, slots: map[string]*slot{}, appts: map[string]*scheduling.Appointment{},
		folk: newFolk(),
		next: map[scheduling.CallKind][]Fault{}, state: map[Fault]bool{}, Writes: map[scheduling.CallKind]int{}, LateBy: 30 * time.Second,
	}
	h.AddSlots(slots...)
	return h
}

// AddSlots opens more slots. Whether they overlap is nothing to this EHR.
func (h *EHR) AddSlots(slots ...scheduling.Slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range slots {
		h.slots[s.ID] = &slot{start: s.Start, end: s.End, status: scheduling.SlotFree}
	}
}

// Abilities are those of a good EHR of this name.
func Abilities(source scheduling.SourceID) scheduling.Abilities {
	return scheduling.Abilities{
		Source: source, Bookable: true, Hold: scheduling.HoldEHR, GatewayHolds: true, Exclusive: true, Search: true, Slots: true,
		Reschedule: scheduling.BookFirst, CallTimeout: 10 * time.Second, ReadTimeout: 5 * time.Second,
		Settle: 2 * time.Minute, HoldDefault: 5 * time.Minute, HoldMax: 20 * time.Minute,
	}
}

// Set changes what it can do.
func (h *EHR) Set(change func(*scheduling.Abilities)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.can)
}

// Fail puts faults in line for calls of this kind.
func (h *EHR) Fail(kind scheduling.CallKind, faults ...Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next[kind] = append(h.next[kind], faults...)
}

// FailReads makes the next n reads fail; less than 0: all, until 0 is set.
func (h *EHR) FailReads(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads = n
}

// Be sets a lasting fault, or ends it.
func (h *EHR) Be(state Fault, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state[state] = on
}

// Heal ends all faults. What is under way still commits.
func (h *EHR) Heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next, h.state, h.reads = map[scheduling.CallKind][]Fault{}, map[Fault]bool{Lax: h.state[Lax]}, 0
}

// Appointments gives every appointment, in order of id.
func (h *EHR) Appointments() []scheduling.Appointment {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tick()
	var list []scheduling.Appointment
	for _, a := range h.appts {
		list = append(list, copyOf(a))
	}
	slices.SortFunc(list, func(a, b scheduling.Appointment) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Slot gives the state of one slot.
func (h *EHR) Slot(id string) scheduling.SlotStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tick()
	return h.slots[id].status
}

// Clinic changes an appointment behind our back.
func (h *EHR) Clinic(native string, change func(*scheduling.Appointment)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.appts[native]
	change(a)
	h.touch(a)
	if a.Status.Void() {
		h.leave(a)
	}
}

// Stranger books a slot straight at the EHR, if it is free.
func (h *EHR) Stranger(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.slots[id]
	if s.status != scheduling.SlotFree {
		return false
	}
	a := h.create(scheduling.ApptBooked, []string{id}, []string{"stranger"}, "")
	s.status, s.appt = scheduling.SlotBusy, a.ID
	return true
}

// tick commits what has been on its way long enough.
func (h *EHR) tick() {
	now := h.clock.Now()
	for i := 0; i < len(h.late); i++ {
		if c := h.late[i]; !c.at.After(now) {
			h.late = slices.Delete(h.late, i, i+1)
			c.do()
			i = -1 // it may have put others in line
		}
	}
}

// take uses up the next fault of the kind.
func (h *EHR) take(kind scheduling.CallKind) Fault {
	h.tick()
	h.Writes[kind]++
	line := h.next[kind]
	if len(line) == 0 {
		return ""
	}
	h.next[kind] = line[1:]
	return line[0]
}

func (h *EHR) create(status scheduling.AppointmentStatus, slotIDs, patients []string, identifier string) *scheduling.Appointment {
	h.serial++
	first, last := h.slots[slotIDs[0]], h.slots[slotIDs[len(slotIDs)-1]]
	a := &scheduling.Appointment{
		ID: fmt.Sprintf("a%d", h.serial), Status: status, Start: first.start, End: last.end, Slots: slices.Clone(slotIDs),
		Actors:  []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "dr"}, {Kind: scheduling.KindLocation, ID: "place"}},
		Patient: slices.Clone(patients), Created: h.clock.Now(),
	}
	if identifier != "" {
		a.Identifiers = []string{identifier}
	}
	h.appts[a.ID] = a
	h.touch(a)
	return a
}

func (h *EHR) touch(a *scheduling.Appointment) {
	h.serial++
	a.ETag, a.Updated = fmt.Sprintf(`W/"%d"`, h.serial), h.clock.Now()
}

// leave frees the slots that the appointment has.
func (h *EHR) leave(a *scheduling.Appointment) {
	for _, s := range h.slots {
		if s.appt == a.ID {
			s.status, s.appt, s.mark = scheduling.SlotFree, "", ""
		}
	}
}

// copyOf is an appointment that the caller may keep.
func copyOf(a *scheduling.Appointment) scheduling.Appointment {
	c := *a
	c.Slots, c.Patient, c.Actors, c.Identifiers = slices.Clone(a.Slots), slices.Clone(a.Patient), slices.Clone(a.Actors), slices.Clone(a.Identifiers)
	return c
}

// shown is a copy as a read shows it.
func (h *EHR) shown(a *scheduling.Appointment) scheduling.Appointment {
	c := copyOf(a)
	c.Shown = h.clock.Now().Add(h.Fast).Truncate(time.Second)
	c.Created, c.Updated = c.Created.Add(h.Fast).Truncate(time.Second), c.Updated.Add(h.Fast)
	if h.state[HidesIDs] {
		c.Identifiers = nil
	}
	if h.state[Sparse] {
		c.Slots, c.Actors, c.End = nil, nil, time.Time{}
	}
	return c
}

// Can tells what it can do.
func (h *EHR) Can() scheduling.Abilities {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.can
}

func (h *EHR) blame(code scheduling.Code) error {
	return scheduling.Blame(code, h.can.Source, nil, "the model EHR says so")
}

// mayRead fails a read that is to fail.
func (h *EHR) mayRead(ctx context.Context) error {
	h.tick()
	if ctx.Err() != nil || h.reads != 0 {
		h.reads -= min(1, max(h.reads, 0))
		return h.blame(scheduling.SourceSlow)
	}
	return nil
}

// refusal is the error of a fault before anything is done; "" is none.
func (h *EHR) refusal(f Fault) error {
	switch f {
	case RefuseTaken:
		return h.blame(scheduling.SlotTaken)
	case RefuseRules:
		return h.blame(scheduling.NotAcceptable)
	case RefuseStrange:
		return h.blame(scheduling.SourceRefused)
	case RefuseLogin:
		return h.blame(scheduling.SourceLogin)
	case RefuseBusy:
		return h.blame(scheduling.Throttled)
	case NotSent:
		return h.blame(scheduling.SourceDown)
	case LostBefore:
		return h.blame(scheduling.InDoubt)
	}
	return nil
}

// Read gives one appointment.
func (h *EHR) Read(ctx context.Context, native string, _ scheduling.Purpose) (scheduling.Appointment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.mayRead(ctx); err != nil {
		return scheduling.Appointment{}, err
	}
	a, ok := h.appts[native]
	if !ok {
		return scheduling.Appointment{}, h.blame(scheduling.UnknownID)
	}
	return h.shown(a), nil
}

// Find gives those that match the identifier or a patient; like many an EHR it
// forgets about identifiers that it does not show.
func (h *EHR) Find(ctx context.Context, call scheduling.FindCall) ([]scheduling.Appointment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.can.Search {
		return nil, h.blame(scheduling.NotSupported)
	}
	if err := h.mayRead(ctx); err != nil {
		return nil, err
	}
	var list []scheduling.Appointment
	for _, a := range h.appts {
		in := !a.Start.Before(call.From) && a.Start.Before(call.To)
		named := slices.ContainsFunc(a.Patient, func(p string) bool { return slices.Contains(call.Patients, p) })
		if in && !h.state[SearchIsBehind] && (named || !h.state[HidesIDs] && a.HasIdentifier(call.Identifier)) {
			list = append(list, h.shown(a))
		}
	}
	slices.SortFunc(list, func(a, b scheduling.Appointment) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// SlotStates gives the state of slots.
func (h *EHR) SlotStates(ctx context.Context, ids []string, _ scheduling.Purpose) ([]scheduling.SlotState, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.can.Slots {
		return nil, h.blame(scheduling.NotSupported)
	}
	if err := h.mayRead(ctx); err != nil {
		return nil, err
	}
	list := make([]scheduling.SlotState, len(ids))
	for i, id := range ids {
		list[i].ID = id
		if s := h.slots[id]; s != nil {
			list[i].Status, list[i].Mark = s.status, s.mark
		}
	}
	return list, nil
}

// Ours gives everything that carries an identifier.
func (h *EHR) Ours(ctx context.Context) ([]scheduling.Appointment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.mayRead(ctx); err != nil {
		return nil, err
	}
	var list []scheduling.Appointment
	for _, a := range h.appts {
		if len(a.Identifiers) > 0 {
			list = append(list, h.shown(a))
		}
	}
	return list, nil
}
