package booking

import (
	"context"
	"sync"
	"time"

	"slotgate/scheduling"
)

// pin keeps those whom an entry names while it is open, or until then.
func (d *Desk) pin(ctx context.Context, principal string, patients []scheduling.PatientRef, until time.Time) error {
	if d.Keeping == nil || len(patients) == 0 {
		return nil
	}
	ids := make([]string, 0, len(patients))
	for _, p := range patients {
		ids = append(ids, p.Asked)
	}
	return d.Keeping.Pin(ctx, principal, ids, until)
}

// pinUnsettled keeps those whom a call that is looked for names, until it is
// looked for again and longer.
func (d *Desk) pinUnsettled(ctx context.Context, e scheduling.Entry) {
	open := e.State.Claims() && e.State != scheduling.EntryBooked || e.State == scheduling.EntryNotBooked && e.Doubt != nil || covering(e)
	if !open {
		return
	}
	if err := d.pin(ctx, e.Principal, e.Private.Patients, d.now().Add(d.opts.LookFor+d.opts.LookMax)); err != nil {
		d.Log.WarnContext(ctx, "those whom an appointment names may be forgotten before it is settled", "entry", e, "error", err)
	}
}

// placed tells that the patients of an entry have an appointment.
func (d *Desk) placed(ctx context.Context, e scheduling.Entry) {
	if d.Keeping == nil || len(e.Private.Patients) == 0 {
		return
	}
	end := e.Offer.End()
	if e.SeenEnd.After(end) {
		end = e.SeenEnd
	}
	if err := d.Keeping.Placed(ctx, e.Principal, e.Source, e.Private.Patients, end); err != nil {
		d.Log.WarnContext(ctx, "it is written down later that patients have an appointment", "entry", e, "error", err)
	}
}

// sweepOrphans has those looked at who were made at the source.
func (d *Desk) sweepOrphans(ctx context.Context, source scheduling.SourceID) {
	if d.Keeping == nil {
		return
	}
	if err := d.Keeping.SweepOrphans(ctx, source); err != nil && ctx.Err() == nil {
		d.Log.WarnContext(ctx, "orphans are looked at later", "source", string(source), "error", err)
	}
}

// sweeps remembers when the orphans of a source were looked at, and which sources
// have shown an identifier of ours on a Patient that we made.
type sweeps struct {
	mu    sync.Mutex
	last  map[scheduling.SourceID]time.Time
	shows map[scheduling.SourceID]bool
}

func (s *sweeps) show(source scheduling.SourceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shows == nil {
		s.shows = map[scheduling.SourceID]bool{}
	}
	s.shows[source] = true
}

func (s *sweeps) shown(source scheduling.SourceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shows[source]
}

// sweepEvery is how often.
const sweepEvery = time.Minute

func (s *sweeps) due(source scheduling.SourceID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[source]; ok && now.Sub(last) < sweepEvery {
		return false
	}
	if s.last == nil {
		s.last = map[scheduling.SourceID]time.Time{}
	}
	s.last[source] = now
	return true
}
