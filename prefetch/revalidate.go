package prefetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"slotgate/scheduling"
)

// Revalidator is a Fetcher that can be asked out of turn, for somebody who
// waits. It refuses at once where the source should not be asked now.
type Revalidator interface {
	Revalidate(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error)
}

// maxUrgent is how many scopes of a source are revalidated at once.
const maxUrgent = 8

// Why a scope was not revalidated. The loop looks at it, in its turn.
var (
	errCrowded = errors.New("prefetch: too many wait for this source")
	errUnclear = errors.New("prefetch: the answer is for the loop to judge")
)

// urgent is what is asked beside the loop, while the lease is ours.
type urgent struct {
	mu      sync.Mutex
	life    context.Context // of the lease; nil without one
	asking  []*asking
	running sync.WaitGroup
}

// asking is one scope under way, and whom it concerns.
type asking struct {
	scope scheduling.Scope
	ended []func(error)
}

// open lets scopes in until close.
func (u *urgent) open(life context.Context) {
	u.mu.Lock()
	u.life = life
	u.mu.Unlock()
}

// close waits for those under way, whose context has ended by now.
func (u *urgent) close() {
	u.mu.Lock()
	u.life = nil
	u.mu.Unlock()
	u.running.Wait()
}

// join adds a scope. again is true where one under way covers it: whoever asked
// for it is told when that has ended.
func (u *urgent) join(scope scheduling.Scope, ended func(error)) (own *asking, life context.Context, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.life == nil {
		return nil, nil, errLeaseLost
	}
	for _, one := range u.asking {
		if within(scope, one.scope) {
			one.ended = append(one.ended, ended)
			return nil, u.life, nil
		}
	}
	if len(u.asking) >= maxUrgent {
		return nil, u.life, errCrowded
	}
	own = &asking{scope: scope, ended: []func(error){ended}}
	u.asking = append(u.asking, own)
	u.running.Add(1)
	return own, u.life, nil
}

// leave tells everybody how it ended.
func (u *urgent) leave(own *asking, err error) {
	u.mu.Lock()
	for i, one := range u.asking {
		if one == own {
			u.asking = append(u.asking[:i:i], u.asking[i+1:]...)
			break
		}
	}
	ended := own.ended
	u.mu.Unlock()
	for _, tell := range ended {
		tell(err)
	}
	u.running.Done()
}

// Revalidate reads a scope at once, beside the loop: nobody waits for a look
// that takes long. ended is called once, with why it came to nothing, or with
// nil when what was read is in the store. It is false for a source that this
// manager does not work on now; ended is never called then.
func (m *Manager) Revalidate(source scheduling.SourceID, scope scheduling.Scope, ended func(error)) bool {
	m.mu.Lock()
	w := m.byID[source]
	m.mu.Unlock()
	return w != nil && !w.opts.Source.Live && w.revalidate(scope, ended)
}

func (s *source) revalidate(scope scheduling.Scope, ended func(error)) bool {
	own, life, err := s.urgent.join(scope, ended)
	switch {
	case life == nil:
		return false
	case err != nil:
		s.metrics.revalidated(s.id, err)
		ended(err)
	case own != nil:
		go func() {
			err := safely(func() error { return s.lookNow(life, scope) })
			s.metrics.revalidated(s.id, err)
			s.urgent.leave(own, err)
		}()
	}
	return true
}

// lookNow fetches the scope and puts what is beyond doubt in place. Whatever
// asks for judgement (law 8) is left to the loop, which has the whole in view.
func (s *source) lookNow(ctx context.Context, scope scheduling.Scope) error {
	fetcher, ok := s.fetcher.(Revalidator)
	if !ok {
		s.inbox.trigger(scope)
		return errUnclear
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.RevalidateTimeout)
	defer cancel()
	got, err := s.fetchNow(ctx, fetcher, scope)
	if err != nil {
		return err
	}
	clear, err := s.clear(ctx, got)
	if err != nil {
		return err
	}
	if !clear {
		s.inbox.trigger(scope)
		return errUnclear
	}
	return s.putNow(ctx, got)
}

// fetchNow asks apart from us: a call that does not end is abandoned.
func (s *source) fetchNow(ctx context.Context, fetcher Revalidator, scope scheduling.Scope) (answer, error) {
	got := answer{}
	err := s.store(ctx, func(ctx context.Context) (err error) {
		got.number, err = s.deps.Writer.Begin(ctx, s.id)
		return err
	})
	if err != nil {
		return got, err
	}
	gone := make(chan error, 1)
	var fetched scheduling.Fetched
	go func() {
		gone <- safely(func() (err error) {
			fetched, err = fetcher.Revalidate(ctx, scope)
			return err
		})
	}()
	if err = s.await(ctx, gone); err != nil {
		return got, err
	}
	got.Fetched, got.at = fetched, s.deps.Now()
	tidy(&got.Fetched, scope)
	if !got.AsOf.IsZero() && got.AsOf.Before(got.at) {
		got.at = got.AsOf
	}
	return got, nil
}

// await gives how the call ended, or gives it up at the end of grace.
func (s *source) await(ctx context.Context, gone <-chan error) error {
	select {
	case err := <-gone:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(s.opts.Grace)
	defer timer.Stop()
	select {
	case err := <-gone:
		return errors.Join(err, ctx.Err())
	case <-timer.C:
		return s.slow(errHangs)
	}
}

// clear tells whether nothing about the answer asks for judgement.
func (s *source) clear(ctx context.Context, got answer) (bool, error) {
	if !got.Complete || len(got.Doubtful)+got.Nameless > 0 {
		return false, nil
	}
	known := 0
	err := s.store(ctx, func(ctx context.Context) (err error) {
		known, err = s.deps.Writer.Known(ctx, s.id, got.Scope)
		return err
	})
	lost := float64(known - got.Slots())
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	empties := known >= s.opts.EmptiedFloor && lost > s.opts.EmptiedShare*float64(known)
	return !empties && lost <= s.opts.EmptiedShare*float64(max(held, known)), err
}

// putNow puts the answer in place, and leaves word of it for the loop.
func (s *source) putNow(ctx context.Context, got answer) error {
	var put scheduling.Replaced
	err := s.store(ctx, func(ctx context.Context) (err error) {
		if got.Found.Len() > 0 {
			if err = s.deps.Writer.MergeDirectory(ctx, s.id, got.Found); err != nil {
				return err
			}
		}
		put, err = s.deps.Writer.Replace(ctx, s.id, got.number, got.at, got.Fetched)
		return err
	})
	if err != nil {
		return err
	}
	s.metrics.replaced(s.id, put)
	s.inbox.looked(got.Found, got.at)
	return nil
}

// aside is what was read beside the loop.
type aside struct {
	found scheduling.Directory
	at    time.Time // of the latest
}

// takeAside takes in what was read beside the loop: it would be forgotten with
// the next directory otherwise.
func (s *source) takeAside(ctx context.Context) error {
	one := s.inbox.takeAside()
	if one == nil {
		return nil
	}
	if one.at.After(s.status.LastSync) {
		s.status.LastSync, s.dirty = one.at, true
	}
	return s.learn(ctx, one.found)
}
