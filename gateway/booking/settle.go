package booking

import (
	"context"
	"errors"
	"sync"
	"time"

	"slotgate/scheduling"
)

// Run sweeps and settles every source until ctx ends, under one lease a source:
// any gateway may take over what another left.
func (d *Desk) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, source := range d.EHRs.Sources() {
		wg.Go(func() { d.runSource(ctx, source) })
	}
	wg.Wait()
	return nil
}

func (d *Desk) runSource(ctx context.Context, source scheduling.SourceID) {
	tick := time.NewTicker(d.opts.SettleEvery)
	defer tick.Stop()
	var lease scheduling.Lease
	defer func() { d.giveUpLease(ctx, lease) }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lease = d.keepLease(ctx, source, lease)
		if lease == nil {
			continue
		}
		if _, err := d.Sweep(ctx, source); err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "settling goes on later", "source", string(source), "error", err)
		}
	}
}

// keepLease renews the lease, or tries to get it.
func (d *Desk) keepLease(ctx context.Context, source scheduling.SourceID, lease scheduling.Lease) scheduling.Lease {
	if lease != nil && lease.Renew(ctx) == nil {
		return lease
	}
	lease, ok, err := d.Leases.Settling(ctx, source, d.opts.SettleLease)
	if err != nil || !ok {
		return nil
	}
	return lease
}

func (d *Desk) giveUpLease(ctx context.Context, lease scheduling.Lease) {
	if lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		d.Log.DebugContext(ctx, "the lease runs out by itself", "error", err)
	}
}

// settlersAtOnce bounds the entries of one source that are settled together.
const settlersAtOnce = 4

// Sweep looks once at everything of the source that is due, and tells how much
// there was. Whoever calls it should have the source's lease; without it nothing
// breaks, but work is done twice.
func (d *Desk) Sweep(ctx context.Context, source scheduling.SourceID) (int, error) {
	if err := d.rebuild(ctx, source); err != nil {
		return 0, err
	}
	due, err := d.Books.Due(ctx, source, d.opts.SettleBatch)
	if err != nil {
		return 0, err
	}
	gate := make(chan struct{}, settlersAtOnce)
	errs := make([]error, len(due))
	var wg sync.WaitGroup
	for i, e := range due {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			errs[i] = d.Settle(ctx, e)
		})
	}
	wg.Wait()
	if unsettled, err := d.Books.Unsettled(ctx, source); err == nil {
		d.metrics.doubt.WithLabelValues(string(source)).Set(float64(len(unsettled)))
	}
	d.sweepOrphans(ctx, source)
	return len(due), errors.Join(errs...)
}

// Settle does what an entry whose wake has passed is waiting for. It never sends
// again what may have been sent, save a release, which is conditional.
func (d *Desk) Settle(ctx context.Context, e scheduling.Entry) error {
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	d.reach("settle." + string(e.State))
	d.pinUnsettled(ctx, e)
	switch e.State {
	case scheduling.EntryHolding:
		return d.settleHolding(ctx, e, ehr, can)
	case scheduling.EntryHeld:
		_, err = d.release(ctx, e, string(scheduling.HoldExpired), e.Version)
		return settling(err)
	case scheduling.EntryReleasing:
		_, err = d.callRelease(ctx, e, ehr, can, scheduling.ForSettle)
		return settling(err)
	case scheduling.EntryBooking:
		return d.settleBooking(ctx, e, ehr, can)
	case scheduling.EntryDoubt:
		return d.settleDoubt(ctx, e, ehr, can)
	case scheduling.EntryNotBooked:
		return d.watchLate(ctx, e, ehr, can)
	case scheduling.EntryBooked:
		return d.settleBooked(ctx, e)
	case scheduling.EntryCancelling:
		return d.settleCancel(ctx, e, ehr, can)
	case scheduling.EntryCancelled:
		if e.Reserve {
			_, err = d.resolveOld(ctx, e)
			return settling(err)
		}
		if e.Absent != nil {
			return d.settleGone(ctx, e, ehr, can)
		}
	}
	return d.sleep(ctx, e, 0)
}

// settleHolding: whoever asked for the hold is gone. A first hold is released if
// there is one; one that was to be renewed stands as it was.
func (d *Desk) settleHolding(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	if e.Hold != nil {
		_, err := d.unrenewed(ctx, e)
		return settling(err)
	}
	e, err := d.doubtHold(ctx, e, nil)
	if err != nil {
		return settling(err)
	}
	_, err = d.callRelease(ctx, e, ehr, can, scheduling.ForSettle)
	return settling(err)
}

// settleBooking: whoever booked is gone.
func (d *Desk) settleBooking(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	if e.Intent.Attempt == 0 {
		return d.resume(ctx, e, ehr, can)
	}
	e, err := d.toDoubt(ctx, e, "", ehr, can)
	d.countSettled(e)
	return settling(err)
}

func (d *Desk) settleBooked(ctx context.Context, e scheduling.Entry) error {
	if e.Wanted != nil || e.Replaces != "" && !e.OldDone {
		version := e.Version
		e, err := d.stillStands(ctx, e)
		if err != nil {
			return d.sleep(ctx, e, d.pause(e.Intent.SentAt))
		}
		if e.State != scheduling.EntryBooked || e.Version != version {
			return nil // it has changed: its next wake goes on
		}
		e, err = d.afterBooked(ctx, e)
		if err != nil || e.Version != version {
			return settling(err)
		}
		return d.sleep(ctx, e, d.pause(e.Intent.SentAt)) // nothing came of it this time
	}
	if covering(e) {
		_, err := d.coverAfter(ctx, e)
		return settling(err)
	}
	d.placed(ctx, e)
	return d.recheck(ctx, e)
}

// stillStands reads the new one before the old one is cancelled for it: what the
// clinic has taken back replaces nothing.
func (d *Desk) stillStands(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	if e.Wanted != nil {
		return e, nil // its own cancel looks first
	}
	e, err := d.refreshed(ctx, e, true)
	if err == nil && e.State == scheduling.EntryBooked && !e.Status().Stands() {
		err = scheduling.Blame(scheduling.SourceRefused, e.Source, nil, "the new appointment is not booked yet")
	}
	if err == nil && e.State == scheduling.EntryBooked && e.Absent != nil {
		err = scheduling.Blame(scheduling.SourceNonsense, e.Source, nil, "the new appointment is not shown")
	}
	return e, err
}
