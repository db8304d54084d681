package booking

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"time"

	"slotgate/scheduling"
)

// sending is the sending of one coverage to one source.
type sending struct {
	*Registrar
	principal string
	source    scheduling.SourceID
	coverage  scheduling.Coverage
	at        Insurer
	how       scheduling.Covering
	link      scheduling.CoverageLink
	natives   map[string]string // the source's ids of whom it names, by ours
	lock      scheduling.Lease  // nil: it never had it
}

// SendCoverage has the source take a coverage as it stands by then, under a lock.
// Whoever sent last has seen the latest version: one that came meanwhile goes
// too, whoever brought it.
func (r *Registrar) SendCoverage(ctx context.Context, principal string, source scheduling.SourceID, id string) error {
	at, how := r.insurer(source)
	if how.Way == scheduling.CoverNone {
		return &scheduling.Error{Code: scheduling.NotSupported, Who: scheduling.AtEHR, Param: "coverage", Source: source, Message: "this source takes no coverage from us"}
	}
	for range maxRaces {
		s := &sending{Registrar: r, principal: principal, source: source, at: at, how: how}
		err := s.underLock(ctx, id)
		if err == errOvertaken {
			continue // another version names other people
		}
		if s.lock == nil || err != nil && !refusedCoverage(err) {
			return err
		}
		switch now, lost := r.coverage(ctx, principal, id); {
		case is(lost, scheduling.UnknownID), lost == nil && now.Version <= s.coverage.Version:
			return err
		case lost != nil:
			return lost
		}
	}
	return busy(source)
}

// underLock sends it once nobody else is at it: what was read before may be old
// by then.
func (s *sending) underLock(ctx context.Context, id string) error {
	var err error
	if s.coverage, err = s.Registrar.coverage(ctx, s.principal, id); err != nil {
		return err
	}
	if err = s.identify(ctx); err != nil {
		return err
	}
	length := s.how.CallTimeout + 3*s.how.ReadTimeout
	if s.lock, err = s.locked(ctx, s.source, s.name(), length+s.opts.Margin); err != nil {
		return err
	}
	defer s.unlock(ctx, s.source, s.lock)
	within, cancel := atMost(ctx, length)
	defer cancel()
	if s.coverage, err = s.Registrar.coverage(within, s.principal, id); err != nil {
		return err
	}
	if named, err := patientsIn(s.coverage); err != nil || !s.knows(named) {
		return cmp.Or(err, errOvertaken)
	}
	return s.run(within)
}

func (s *sending) knows(people []string) bool {
	return !slices.ContainsFunc(people, func(id string) bool { return s.natives[id] == "" })
}

// identify finds the source's ids of everyone whom the coverage names. A
// subscriber whom it does not know yet is registered there too: else it would be
// told of a Patient that does not exist.
func (s *sending) identify(ctx context.Context) error {
	ids, err := patientsIn(s.coverage)
	if err != nil {
		return err
	}
	s.natives = make(map[string]string, len(ids))
	for _, id := range ids {
		if s.natives[id], err = s.Native(ctx, s.principal, s.source, id); err != nil {
			return err
		}
	}
	return nil
}

// name is what the lock is about: the coverage, as if it were a person.
func (s *sending) name() scheduling.Registration {
	return scheduling.Registration{Identifiers: []scheduling.PersonIdentifier{{System: scheduling.CoverageIdentifierSystem, Value: s.principal + "/" + s.coverage.ID}}}
}

func (s *sending) run(ctx context.Context) error {
	links, err := s.Coverages.CoverageLinks(ctx, s.principal, s.coverage.ID)
	if err != nil {
		return err
	}
	s.link = links[s.source]
	switch newer := s.link.Version > s.coverage.Version; {
	case has(s.link, s.coverage), newer && s.link.State == scheduling.LinkKnown:
		return nil
	case newer:
		return s.unsettled() // an older version never follows a newer one
	}
	if s.link.State == scheduling.LinkSending {
		done, err := s.settle(ctx)
		if err != nil || done && has(s.link, s.coverage) {
			s.told(ctx, "matched", err)
			return err
		}
	}
	if s.lookedFor() && s.taken(ctx, 0) && has(s.link, s.coverage) {
		return nil
	}
	if !s.replacing() && dead(s.coverage, s.now()) {
		return scheduling.Refuse(scheduling.NotAcceptable, "coverage", "the coverage is not in force any more")
	}
	err = s.put(ctx)
	s.told(ctx, "taken", err)
	return err
}

// lookedFor: a call of ours was answered with 503, which says that nothing was
// done, and may have been done all the same.
func (s *sending) lookedFor() bool {
	return !s.replacing() && s.link.State == scheduling.LinkNone && s.link.Identifier != ""
}

// replacing: it is a new version of what the source has, sent to its id. That
// may be sent again as it is: the outcome is the same.
func (s *sending) replacing() bool { return s.link.Native != "" }

// settle finds out what became of a call whose answer is not known. done: the
// source has what was sent; not done, and no error: it may be sent again.
func (s *sending) settle(ctx context.Context) (done bool, err error) {
	past := s.now().Sub(s.link.SentAt) >= s.how.Settle+s.how.Lag
	if s.replacing() {
		// That it is there does not say which version.
		if past || s.link.Version == s.coverage.Version {
			return false, nil
		}
		return false, s.unsettled()
	}
	native, found, err := s.at.FindCoverage(ctx, s.link.Identifier)
	if err == nil && !found && past && !s.how.Conditional {
		native, found, err = s.at.FindCoverage(ctx, s.link.Identifier) // two reads must find nothing (law 5)
	}
	switch {
	case err == nil && found:
		return true, s.keep(ctx, native, s.link.Version)
	case s.how.Conditional && (err == nil || is(err, scheduling.NotSupported)):
		return false, nil
	case err == nil && past:
		return false, nil
	case is(err, scheduling.NotSupported):
		return false, s.unseen(ctx)
	case err == nil, is(err, scheduling.SourceSlow, scheduling.SourceNonsense, scheduling.SourceDown):
		return false, s.unsettled()
	default:
		return false, err
	}
}

// put sends it: once, and a second time only where the first had no effect for
// certain, or may be repeated.
func (s *sending) put(ctx context.Context) error {
	err := s.call(ctx)
	if !is(err, scheduling.InDoubt) {
		return err
	}
	// One more look at once: most lost answers were only the answer.
	if s.replacing() {
		return s.unsettled()
	}
	if done, err := s.settle(ctx); done || err != nil {
		return err
	}
	if err = s.call(ctx); is(err, scheduling.InDoubt) {
		return s.unsettled()
	}
	return err
}

// call asks the source once. The intent is kept before it is sent.
func (s *sending) call(ctx context.Context) error {
	before := s.link
	if s.link.Identifier == "" {
		s.link.Identifier = rand.Text()
	}
	s.link.State, s.link.SentAt, s.link.Version = scheduling.LinkSending, s.now(), s.coverage.Version
	if err := s.saveLink(ctx); err != nil {
		return err
	}
	s.reach("coverage.intent")
	native, err := s.at.PutCoverage(ctx, scheduling.CoverageCall{
		Coverage: s.coverage, Natives: s.natives, Identifier: s.link.Identifier, Native: s.link.Native, Conditional: s.how.Conditional,
	})
	s.reach("coverage.answered")
	if is(err, scheduling.SourceRefused, scheduling.SourceNonsense, scheduling.SourceSlow) && s.taken(ctx, s.coverage.Version) {
		return nil // an answer that is in no table: it is there all the same
	}
	switch {
	case is(err, scheduling.InDoubt, scheduling.Internal), err == nil && native.ID == "" && s.link.Native == "":
		return scheduling.Blame(scheduling.InDoubt, s.source, err, "it is not known whether the source took the coverage")
	case err == nil:
		return s.keep(ctx, native, s.coverage.Version)
	}
	s.restore(ctx, before, err)
	return err
}

// taken looks for what was refused in an unknown way. version is that which it is
// then; 0: nobody knows, and it is replaced.
func (s *sending) taken(ctx context.Context, version uint64) bool {
	if s.replacing() {
		return false
	}
	native, found, err := s.at.FindCoverage(ctx, s.link.Identifier)
	return err == nil && found && s.keep(ctx, native, version) == nil
}

// restore forgets a call that changed nothing. An earlier one may still be in
// doubt.
func (s *sending) restore(ctx context.Context, before scheduling.CoverageLink, cause error) {
	identifier := s.link.Identifier
	s.link = before
	switch {
	case refusedCoverage(cause):
		s.link.Refused = s.coverage.Version
	case is(cause, scheduling.SourceDown):
		s.link.Identifier = identifier // the next one is the same: looked for first, or conditional
	}
	if err := s.saveLink(ctx); err != nil {
		s.Log.WarnContext(ctx, "a refused coverage is looked for again", "source", s.source, "coverage", s.coverage.ID, "error", err)
	}
}

// refusedCoverage tells whether the source judged the coverage, and said no.
func refusedCoverage(err error) bool {
	return is(err, scheduling.NotAcceptable, scheduling.MissingData, scheduling.NeedsClinic, scheduling.NotSupported, scheduling.SourceRefused)
}

func (s *sending) keep(ctx context.Context, native scheduling.NativeCoverage, version uint64) error {
	s.link.State, s.link.Version, s.link.Refused = scheduling.LinkKnown, version, 0
	if native.ID != "" {
		s.link.Native = native.ID
	}
	if s.link.Created.IsZero() {
		s.link.Created = s.now()
	}
	if err := s.saveLink(ctx); err != nil {
		return err
	}
	return errors.Join(s.subscribed(ctx), s.settled(ctx, s.source, s.coverage.ID, s.link))
}

// subscribed: whoever else the coverage names is there for its sake, and needs no
// appointment.
func (s *sending) subscribed(ctx context.Context) error {
	var others []string
	for id, native := range s.natives {
		if id != s.coverage.Patient {
			others = append(others, native)
		}
	}
	if s.OrphanStore == nil || len(others) == 0 {
		return nil
	}
	return s.OrphanStore.DropOrphansOf(context.WithoutCancel(ctx), s.source, others)
}

func (s *sending) saveLink(ctx context.Context) error {
	return s.Coverages.SaveCoverageLink(context.WithoutCancel(ctx), s.principal, s.source, s.coverage.ID, s.link)
}

// unsettled: whether the source has it is found out later.
func (s *sending) unsettled() error {
	wait := min(max(s.link.SentAt.Add(s.how.Settle+s.how.Lag).Sub(s.now()), time.Second), 10*time.Second)
	return &scheduling.Error{
		Code: scheduling.InDoubt, Who: scheduling.AtEHR, Source: s.source, RetryAfter: wait,
		Message: "it is not known yet whether the source took the coverage",
	}
}

// unseen is unsettled where the source cannot be asked: only a person can find
// out.
func (s *sending) unseen(ctx context.Context) error {
	if err := s.forPerson(ctx, s.principal, s.source, s.coverage, s.link); err != nil {
		return err
	}
	return s.unsettled()
}

// told counts how it ended, and says it to the operator: by words, not by ids.
func (s *sending) told(ctx context.Context, end string, err error) {
	if err != nil {
		end = string(scheduling.CodeOf(err))
	}
	s.covers.WithLabelValues(string(s.source), end).Inc()
	s.Log.LogAttrs(ctx, slog.LevelInfo, "a coverage was sent to a source", slog.String("source", string(s.source)), slog.String("end", end))
}

// locked waits for those who are at the same at the source.
func (r *Registrar) locked(ctx context.Context, source scheduling.SourceID, who scheduling.Registration, ttl time.Duration) (scheduling.Lease, error) {
	deadline := time.NewTimer(r.opts.Wait)
	defer deadline.Stop()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		lock, ok, err := r.People.Lock(ctx, source, who, ttl)
		if err != nil || ok {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, busy(source)
		case <-deadline.C:
			return nil, busy(source)
		case <-time.After(pause):
		}
	}
}

func (r *Registrar) unlock(ctx context.Context, source scheduling.SourceID, lock scheduling.Lease) {
	if err := lock.Release(context.WithoutCancel(ctx)); err != nil {
		r.Log.WarnContext(ctx, "a lock at a source runs out by itself", "source", source, "error", err)
	}
}

// atMost bounds what is done under a lock: once it may be another's, nothing is
// sent any more. A caller who hangs up does not stop what was begun, but its
// time is not overdrawn.
func atMost(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(length)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}
