package booking_test

import (
	"context"
	"sync/atomic"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// killed is what a desk dies of.
type killed struct{}

// fuse kills the desk at a call of one of its ports: before the call is made, or
// after it was, so that its answer is lost.
type fuse struct {
	left atomic.Int64 // half calls until it burns; less than 0: never
	// away: the store goes away for so many half calls instead.
	away atomic.Int64
}

func newFuse() *fuse {
	f := &fuse{}
	f.left.Store(-1)
	return f
}

// burn is called before and after each call. An error says that the store is
// away: the call was not made, or nobody knows that it was.
func (f *fuse) burn(store bool) error {
	left := f.left.Load()
	if left < 0 {
		return nil
	}
	if left > 0 {
		f.left.Add(-1)
		return nil
	}
	if f.away.Load() <= 0 {
		f.left.Store(-1)
		panic(killed{})
	}
	if f.away.Add(-1) == 0 {
		f.left.Store(-1)
	}
	if !store {
		return nil
	}
	return &scheduling.Error{Code: scheduling.Shedding, Who: scheduling.Gateway, Message: "the store is away"}
}

// dying runs a journey that may be killed.
func dying(do func()) (died bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			died = true
		}
	}()
	do()
	return false
}

func through[V any](f *fuse, store bool, call func() (V, error)) (v V, err error) {
	if err := f.burn(store); err != nil {
		return v, err
	}
	v, err = call()
	if lost := f.burn(store); lost != nil {
		var none V
		return none, lost
	}
	return v, err
}

func throughErr(f *fuse, store bool, call func() error) error {
	_, err := through(f, store, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// mortalStore is a store with a fuse.
type mortalStore struct {
	stores
	fuse *fuse
}

func (m mortalStore) Read(ctx context.Context, id string) (scheduling.Entry, error) {
	return through(m.fuse, true, func() (scheduling.Entry, error) { return m.stores.Read(ctx, id) })
}

func (m mortalStore) Save(ctx context.Context, c scheduling.EntryChange) (scheduling.Entry, error) {
	return through(m.fuse, true, func() (scheduling.Entry, error) { return m.stores.Save(ctx, c) })
}

func (m mortalStore) Take(ctx context.Context, principal, offer string, limit int, ttl time.Duration) error {
	return throughErr(m.fuse, true, func() error { return m.stores.Take(ctx, principal, offer, limit, ttl) })
}

func (m mortalStore) Drop(ctx context.Context, principal, offer string) error {
	return throughErr(m.fuse, true, func() error { return m.stores.Drop(ctx, principal, offer) })
}

func (m mortalStore) Finish(ctx context.Context, principal, key, digest string, answer []byte) error {
	return throughErr(m.fuse, true, func() error { return m.stores.Finish(ctx, principal, key, digest, answer) })
}

// mortalEHR is an EHR with a fuse.
type mortalEHR struct {
	booking.EHR
	fuse *fuse
}

func (m mortalEHR) Hold(ctx context.Context, c scheduling.HoldCall) (scheduling.HoldAnswer, error) {
	return through(m.fuse, false, func() (scheduling.HoldAnswer, error) { return m.EHR.Hold(ctx, c) })
}

func (m mortalEHR) Release(ctx context.Context, c scheduling.ReleaseCall) error {
	return throughErr(m.fuse, false, func() error { return m.EHR.Release(ctx, c) })
}

func (m mortalEHR) Book(ctx context.Context, c scheduling.BookCall) (scheduling.Appointment, error) {
	return through(m.fuse, false, func() (scheduling.Appointment, error) { return m.EHR.Book(ctx, c) })
}

func (m mortalEHR) Cancel(ctx context.Context, c scheduling.CancelCall) error {
	return throughErr(m.fuse, false, func() error { return m.EHR.Cancel(ctx, c) })
}

func (m mortalEHR) Vacate(ctx context.Context, c scheduling.VacateCall) error {
	return throughErr(m.fuse, false, func() error { return m.EHR.Vacate(ctx, c) })
}

func (m mortalEHR) Read(ctx context.Context, native string, p scheduling.Purpose) (scheduling.Appointment, error) {
	return through(m.fuse, false, func() (scheduling.Appointment, error) { return m.EHR.Read(ctx, native, p) })
}

func (m mortalEHR) Find(ctx context.Context, c scheduling.FindCall) ([]scheduling.Appointment, error) {
	return through(m.fuse, false, func() ([]scheduling.Appointment, error) { return m.EHR.Find(ctx, c) })
}

func (m mortalEHR) SlotStates(ctx context.Context, ids []string, p scheduling.Purpose) ([]scheduling.SlotState, error) {
	return through(m.fuse, false, func() ([]scheduling.SlotState, error) { return m.EHR.SlotStates(ctx, ids, p) })
}
