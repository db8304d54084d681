package bookingtest

import (
	"context"
	"errors"
	"time"

	"slotgate/scheduling"
)

type keyRecord struct {
	digest, offer string
	until         time.Time // of the lease
	done          bool
	answer        []byte
}

// Begin asks whether a request was seen.
func (s *Store) Begin(_ context.Context, principal, key, digest, offer string, ttl time.Duration) (scheduling.KeyRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return scheduling.KeyRecord{}, err
	}
	now, name := s.clock.Now(), principal+" "+key
	r, ok := s.keys[name]
	switch {
	case ok && r.digest != digest:
		return scheduling.KeyRecord{State: scheduling.KeyOther}, nil
	case ok && r.done:
		return scheduling.KeyRecord{State: scheduling.KeyDone, Offer: r.offer, Answer: r.answer}, nil
	case ok && r.until.After(now):
		return scheduling.KeyRecord{State: scheduling.KeyRunning, Offer: r.offer}, nil
	}
	s.keys[name] = keyRecord{digest: digest, offer: offer, until: now.Add(ttl)}
	return scheduling.KeyRecord{State: scheduling.KeyFresh, Offer: offer}, nil
}

// Renew prolongs the lease of a request that runs.
func (s *Store) Renew(_ context.Context, principal, key, digest string, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.keys[principal+" "+key]; ok && r.digest == digest && !r.done {
		r.until = s.clock.Now().Add(ttl)
		s.keys[principal+" "+key] = r
	}
	return s.open()
}

// Finish keeps an answer.
func (s *Store) Finish(_ context.Context, principal, key, digest string, answer []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.keys[principal+" "+key]; ok && r.digest == digest {
		r.done, r.answer = true, answer
		s.keys[principal+" "+key] = r
	}
	return s.open()
}

// Abandon forgets a request.
func (s *Store) Abandon(_ context.Context, principal, key, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.keys[principal+" "+key]; ok && r.digest == digest && !r.done {
		delete(s.keys, principal+" "+key)
	}
	return s.open()
}

type lease struct {
	store  *Store
	source scheduling.SourceID
	until  time.Time
	ttl    time.Duration
}

var errLeaseLost = errors.New("bookingtest: the lease is lost")

// Settling gives the settling of a source to one.
func (s *Store) Settling(_ context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return nil, false, err
	}
	if l := s.leases[source]; l != nil && l.until.After(s.clock.Now()) {
		return nil, false, nil
	}
	l := &lease{s, source, s.clock.Now().Add(ttl), ttl}
	s.leases[source] = l
	return l, true, nil
}

// Renew prolongs it.
func (l *lease) Renew(context.Context) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.leases[l.source] != l || !l.until.After(l.store.clock.Now()) {
		return errLeaseLost
	}
	l.until = l.store.clock.Now().Add(l.ttl)
	return nil
}

// Release gives it back.
func (l *lease) Release(context.Context) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.leases[l.source] == l {
		delete(l.store.leases, l.source)
	}
	return nil
}
