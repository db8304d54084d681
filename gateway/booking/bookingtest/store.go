package bookingtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"slotgate/scheduling"
)

// Store is the books, holds, keys and leases of the desk in memory: what the
// cache does in Redis, done plainly under one lock.
type Store struct {
	mu      sync.Mutex
	clock   *Clock
	entries map[string]record
	claims  map[place]string // slot -> the entry that has it
	spans   map[place]scheduling.Span
	fences  map[place]bool
	raised  map[place]uint32 // generations
	held    map[string]map[string]time.Time
	keys    map[string]keyRecord
	leases  map[scheduling.SourceID]*lease
	lost    map[scheduling.SourceID]bool
	away    bool
}

type record struct {
	entry scheduling.Entry
	wake  time.Time
}

type place struct {
	source scheduling.SourceID
	slot   string
}

// NewStore is an empty store.
func NewStore(clock *Clock) *Store {
	return &Store{
		clock: clock, entries: map[string]record{}, claims: map[place]string{}, spans: map[place]scheduling.Span{}, fences: map[place]bool{}, raised: map[place]uint32{},
		held: map[string]map[string]time.Time{}, keys: map[string]keyRecord{},
		leases: map[scheduling.SourceID]*lease{}, lost: map[scheduling.SourceID]bool{},
	}
}

// Away makes every call fail with shedding, or ends that.
func (s *Store) Away(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// Lose forgets everything of a source, as a Redis that comes back empty.
func (s *Store) Lose(source scheduling.SourceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[source] = true
	for id, r := range s.entries {
		if r.entry.Source == source {
			delete(s.entries, id)
		}
	}
	for p := range s.claims {
		if p.source == source {
			delete(s.claims, p)
		}
	}
	for p := range s.raised {
		if p.source == source {
			delete(s.raised, p)
		}
	}
}

// Claimed tells which entry has a slot.
func (s *Store) Claimed(source scheduling.SourceID, slot string) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok = s.claims[place{source, slot}]
	return id, ok
}

// BySlot gives the entry that has this Slot of ours.
func (s *Store) BySlot(_ context.Context, slot string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return "", err
	}
	for p, id := range s.claims {
		if scheduling.ResourceID(p.source, scheduling.KindSlot, p.slot) == slot {
			return id, nil
		}
	}
	return "", scheduling.Refuse(scheduling.UnknownID, "slot", "nobody has it")
}

// Fenced tells whether a slot's latest claim ended with a fence.
func (s *Store) Fenced(source scheduling.SourceID, slot string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fences[place{source, slot}]
}

// Generation is how often offers of a slot were used up.
func (s *Store) Generation(source scheduling.SourceID, slot string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raised[place{source, slot}]
}

// Entries gives all there are, in order of id.
func (s *Store) Entries() []scheduling.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []scheduling.Entry
	for _, r := range s.entries {
		list = append(list, r.entry.Clone())
	}
	slices.SortFunc(list, func(a, b scheduling.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func (s *Store) open() error {
	if s.away {
		return &scheduling.Error{Code: scheduling.Shedding, Who: scheduling.Gateway, Message: "the store is away", RetryAfter: time.Second}
	}
	return nil
}

func beingRebuilt(source scheduling.SourceID) error {
	return &scheduling.Error{
		Code: scheduling.Shedding, Who: scheduling.Gateway, Source: source, Message: "the books are being rebuilt", RetryAfter: time.Second,
	}
}

// Read gives an entry.
func (s *Store) Read(_ context.Context, id string) (scheduling.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return scheduling.Entry{}, err
	}
	if r, ok := s.entries[id]; ok {
		return r.entry.Clone(), nil
	}
	for source := range s.lost {
		if strings.HasPrefix(id, scheduling.SourceTag(source)+"-") {
			return scheduling.Entry{}, beingRebuilt(source)
		}
	}
	return scheduling.Entry{}, scheduling.Refuse(scheduling.UnknownID, "id", "there is no such entry")
}

// Save does one change, or nothing.
func (s *Store) Save(_ context.Context, c scheduling.EntryChange) (scheduling.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admits(c); err != nil {
		return scheduling.Entry{}, err
	}
	e, before := c.Entry.Clone(), s.entries[c.Entry.ID].entry
	if err := s.claim(e, c.Claims, c.Restore); err != nil {
		return scheduling.Entry{}, err
	}
	if e.Used && !before.Used {
		for _, slot := range e.Offer.SlotIDs() {
			s.raised[place{e.Source, slot}]++
		}
	}
	e.Version++
	r := record{entry: e}
	if c.Wake > 0 {
		r.wake = s.clock.Now().Add(c.Wake)
	}
	s.entries[e.ID] = r
	return e.Clone(), nil
}

// admits checks everything that does not concern slots.
func (s *Store) admits(c scheduling.EntryChange) error {
	if err := s.open(); err != nil {
		return err
	}
	if s.lost[c.Entry.Source] && !c.Restore {
		return beingRebuilt(c.Entry.Source)
	}
	r, ok := s.entries[c.Entry.ID]
	switch {
	case !ok && c.Entry.Version != 0, ok && r.entry.Version != c.Entry.Version:
		return fmt.Errorf("entry %s: %w", c.Entry.ID, scheduling.ErrStaleEntry)
	case c.Unexpired && !r.wake.After(s.clock.Now()):
		return scheduling.Refuse(scheduling.HoldExpired, "id", "the hold has run out")
	default:
		return nil
	}
}

func (s *Store) claim(e scheduling.Entry, do scheduling.SlotClaims, restored bool) error {
	for _, slot := range e.Offer.Slots {
		holder, ok := s.claims[place{e.Source, slot.ID}]
		if do == scheduling.ClaimsTake && (ok && holder != e.ID || !ok && !restored && s.overlapped(e, slot)) {
			return scheduling.Refuse(scheduling.SlotTaken, "", "the slot is taken")
		}
	}
	for _, slot := range e.Offer.Slots {
		p := place{e.Source, slot.ID}
		switch mine := s.claims[p] == e.ID; {
		case do == scheduling.ClaimsTake:
			s.claims[p], s.spans[p] = e.ID, e.Offer.Span(slot)
		case mine && (do == scheduling.ClaimsDrop || do == scheduling.ClaimsFence):
			delete(s.claims, p)
			s.fences[p] = do == scheduling.ClaimsFence
		}
	}
	return nil
}

// overlapped tells whether another entry's claim keeps the slot's time free.
func (s *Store) overlapped(e scheduling.Entry, slot scheduling.Slot) bool {
	for p, holder := range s.claims {
		if p.source == e.Source && holder != e.ID && s.spans[p].Overlaps(e.Offer.Span(slot)) {
			return true
		}
	}
	return false
}

// Kept tells whether somebody's claim keeps this time of a schedule free.
func (s *Store) Kept(source scheduling.SourceID, span scheduling.Span) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.claims {
		if p.source == source && s.spans[p].Overlaps(span) {
			return true
		}
	}
	return false
}

// Due gives what is due, the longest overdue first.
func (s *Store) Due(_ context.Context, source scheduling.SourceID, limit int) ([]scheduling.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return nil, err
	}
	var due []record
	for _, r := range s.entries {
		if r.entry.Source == source && !r.wake.IsZero() && !r.wake.After(s.clock.Now()) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b record) int {
		return cmp.Or(a.wake.Compare(b.wake), cmp.Compare(a.entry.ID, b.entry.ID))
	})
	list := make([]scheduling.Entry, 0, min(limit, len(due)))
	for _, r := range due[:min(limit, len(due))] {
		list = append(list, r.entry.Clone())
	}
	return list, nil
}

// NextWake is the earliest wake there is; zero without one.
func (s *Store) NextWake() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for _, r := range s.entries {
		if !r.wake.IsZero() && (next.IsZero() || r.wake.Before(next)) {
			next = r.wake
		}
	}
	return next
}

// ByPatient gives a principal's entries that name a patient.
func (s *Store) ByPatient(_ context.Context, source scheduling.SourceID, principal, patient string) ([]scheduling.Entry, error) {
	s.mu.Lock()
	isLost, err := s.lost[source], s.open()
	s.mu.Unlock()
	if err == nil && isLost {
		err = beingRebuilt(source)
	}
	if err != nil {
		return nil, err
	}
	return s.pick(func(e scheduling.Entry) bool {
		return e.Source == source && e.Principal == principal && e.State != scheduling.EntryFree &&
			slices.ContainsFunc(e.Private.Patients, func(p scheduling.PatientRef) bool { return p.Asked == patient || p.Native == patient })
	})
}

// Unsettled gives what is in doubt.
func (s *Store) Unsettled(_ context.Context, source scheduling.SourceID) ([]scheduling.Entry, error) {
	return s.pick(func(e scheduling.Entry) bool {
		return e.Source == source && (e.State == scheduling.EntryDoubt || e.Doubt != nil && (e.State.InFlight() || e.State == scheduling.EntryNotBooked && e.Doubt.Unresolved))
	})
}

func (s *Store) pick(want func(scheduling.Entry) bool) ([]scheduling.Entry, error) {
	s.mu.Lock()
	err := s.open()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(s.Entries(), func(e scheduling.Entry) bool { return !want(e) }), nil
}

// Lost tells whether a source's books are lost.
func (s *Store) Lost(_ context.Context, source scheduling.SourceID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[source], s.open()
}

// Rebuilt ends that.
func (s *Store) Rebuilt(_ context.Context, source scheduling.SourceID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return err
	}
	delete(s.lost, source)
	return nil
}

// Held are the offers that are counted.
func (s *Store) Held(_ context.Context, principal string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(s.held[principal])), nil
}

// Take counts a hold.
func (s *Store) Take(_ context.Context, principal, offer string, limit int, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return err
	}
	now, held := s.clock.Now(), s.held[principal]
	if held == nil {
		held = map[string]time.Time{}
		s.held[principal] = held
	}
	others := 0
	for id, until := range held {
		if id != offer && until.After(now) {
			others++
		}
	}
	if others >= limit {
		return scheduling.Refuse(scheduling.HoldLimit, "", "too many holds at once")
	}
	held[offer] = now.Add(ttl)
	return nil
}

// Drop stops counting one.
func (s *Store) Drop(_ context.Context, principal, offer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held[principal], offer)
	return s.open()
}

// Dump is everything in the store as text, Private apart: for tests that look
// for a patient in it.
func (s *Store) Dump() string {
	var b strings.Builder
	for _, e := range s.Entries() {
		e.Private = scheduling.Private{}
		fmt.Fprintf(&b, "%+v\n", e)
	}
	return b.String()
}
