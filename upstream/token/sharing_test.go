package token

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"
)

// heldStore is a Store whose every answer a test decides.
type heldStore struct {
	mu      sync.Mutex
	record  []byte
	onLease func(*heldStore) // happens when somebody wants the lease
	busy    bool             // another has the lease
	stuck   bool             // nothing is ever dropped
	late    bool             // one was dropped not long ago
	leases  int
}

// put is what another node saves.
func (s *heldStore) put(o Options, token string) {
	text, _ := json.Marshal(record{Token: token, Life: time.Hour.Milliseconds(), Login: newShared(o, Deps{Store: s}).login}) // never fails
	s.record = text
}

func (s *heldStore) Load(context.Context) ([]byte, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record, time.Hour, nil
}

func (s *heldStore) Save(_ context.Context, _ string, text []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stuck {
		s.record = text
	}
	return nil
}

func (s *heldStore) Refuse(context.Context, string, time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stuck && !s.late {
		s.record = nil
	}
	return !s.late, nil
}

func (s *heldStore) Lease(context.Context, time.Duration) (func(context.Context) error, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases++
	if s.onLease != nil {
		s.onLease(s)
	}
	return func(context.Context) error { return nil }, !s.busy, nil
}

func (s *heldStore) Pin(_ context.Context, _, origin string) (string, error) { return origin, nil }

// sharing is one node over a heldStore, at an endpoint.
func sharing(t *testing.T, now *time.Time) (*endpointServer, Options, *heldStore, Source) {
	t.Helper()
	e, store := newEndpointServer(t), &heldStore{}
	o := secretOptions(e)
	return e, o, store, newSource(t, o, Deps{Store: store, Now: func() time.Time { return *now }, Timeout: time.Second})
}

func wantToken(t *testing.T, s Source, want string) {
	t.Helper()
	if got, err := s.Token(t.Context()); got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestATokenThatCameBetweenLookAndLeaseIsTaken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e, o, store, s := sharing(t, &now)
	store.onLease = func(s *heldStore) { s.put(o, "theirs") }
	wantToken(t, s, "theirs")
	if e.count() != 0 {
		t.Errorf("asked %d times", e.count())
	}
}

func TestARefusedTokenIsNotTakenFromTheStoreAgain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	_, o, store, s := sharing(t, &now)
	store.put(o, "theirs")
	store.stuck = true // it could not be dropped there
	wantToken(t, s, "theirs")
	if !s.Refused(t.Context(), "theirs") {
		t.Error("not to be renewed")
	}
	wantToken(t, s, "t1")
}

func TestATokenOfAnotherNodeTakesThePlaceOfARefusedOneAtAnyTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e, o, store, s := sharing(t, &now)
	wantToken(t, s, "t1")
	if !s.Refused(t.Context(), "t1") {
		t.Error("the first refusal is not believed")
	}
	wantToken(t, s, "t2")
	store.put(o, "theirs") // at some EHRs each login ends the token before
	if !s.Refused(t.Context(), "t2") {
		t.Error("another node's token is not taken")
	}
	wantToken(t, s, "theirs")
	if e.count() != 2 {
		t.Errorf("asked %d times", e.count())
	}
}

func TestATokenThatAnotherNodeHadRenewedNotLongAgoStays(t *testing.T) {
	t.Parallel()
	now := time.Now()
	_, o, store, s := sharing(t, &now)
	store.put(o, "theirs")
	store.late = true
	wantToken(t, s, "theirs")
	if s.Refused(t.Context(), "theirs") {
		t.Error("renewed again")
	}
	wantToken(t, s, "theirs")
}

func TestARenewalThatNobodyWaitsForIsLeftToTheNodeThatIsAtIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e, _, store, s := sharing(t, &now)
	wantToken(t, s, "t1")
	store.mu.Lock()
	store.busy, store.leases = true, 0
	store.mu.Unlock()
	now = now.Add(270*time.Second - time.Millisecond) // just before it must be renewed
	wantToken(t, s, "t1")
	deadline := time.Now().Add(2 * time.Minute)
	for looked := 0; looked == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		store.mu.Lock()
		looked = store.leases
		store.mu.Unlock()
	}
	s.(*renewed).turn <- struct{}{} // its end
	if store.leases != 1 || e.count() != 1 {
		t.Errorf("looked %d times, asked %d times", store.leases, e.count())
	}
}
