package booking

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// Deps is what the desk works with. Patients may be nil: nobody is registered.
type Deps struct {
	Offers Offers
	// Live may be nil: the slots of every source are kept.
	Live     Live
	Books    Books
	Holds    Holds
	Keys     Keys
	Patients Patients
	// Insurance may be nil: no coverage is sent.
	Insurance Insurance
	// Keeping may be nil: nobody is kept for longer because an entry names them.
	Keeping Keeping
	EHRs    EHRs
	Refetch Refetch
	// Learned may be nil: nobody learns how long offers last.
	Learned Learned
	Leases  Leases
	// Elsewhere may be nil: what was not made through us is not shown.
	Elsewhere Elsewhere
	Clock     Clock
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	// Secret keys our identifiers: 32 random bytes, the same in every gateway.
	Secret []byte
}

// Desk holds, books and cancels. It keeps no state of its own: any number of
// desks may share one store. It is safe for concurrent use.
type Desk struct {
	Deps
	opts    Options
	metrics *metrics
	proofs  *proofs // what may be forgotten at any time
	// absences too.
	absences *absences
}

// New joins the desk's parts.
func New(deps Deps, opts Options) (*Desk, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if len(deps.Secret) < 16 {
		return nil, errors.New("booking: the secret of our identifiers is too short")
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	return &Desk{Deps: deps, opts: opts, metrics: m, proofs: &proofs{}, absences: newAbsences()}, nil
}

// maxRaces bounds how often one change is tried again because another one came
// first: everyone who comes first has made progress.
const maxRaces = 20

// errOvertaken: another one has taken the entry over, and its state is the
// answer.
var errOvertaken = errors.New("booking: another one has taken the entry over")

func (d *Desk) now() time.Time { return d.Clock.Now().UTC() }

// reach names a point at which a test may kill us.
func (d *Desk) reach(point string) {
	if d.opts.Checkpoint != nil {
		d.opts.Checkpoint(point)
	}
}

// step changes an entry by compare-and-set. do is asked again with what is
// there whenever another one came first; false gives up with errOvertaken.
func (d *Desk) step(ctx context.Context, e scheduling.Entry, do func(*scheduling.Entry, *scheduling.EntryChange) bool) (scheduling.Entry, error) {
	for range maxRaces {
		next := e.Clone()
		change := scheduling.EntryChange{Claims: scheduling.ClaimsKeep}
		if !do(&next, &change) {
			return e, errOvertaken
		}
		if !e.State.MayBecome(next.State) {
			return e, scheduling.Fault(scheduling.Internal, nil, "no step from "+string(e.State)+" to "+string(next.State))
		}
		next.Updated = d.now()
		change.Entry = next
		if change.Claims == scheduling.ClaimsFence {
			change.Lag = d.lag(next.Source)
		}
		saved, err := d.Books.Save(ctx, change)
		if err == nil {
			d.metrics.states.WithLabelValues(string(saved.Source), string(saved.State)).Inc()
			return saved, nil
		}
		if !lost(err) {
			return e, err
		}
		now, err := d.Books.Read(ctx, e.ID)
		if err != nil {
			return e, err
		}
		e = now
	}
	return e, busy(e.Source)
}

// busy is the answer to those who lose every race.
func busy(source scheduling.SourceID) error {
	return &scheduling.Error{Code: scheduling.Shedding, Who: scheduling.Gateway, Source: source, Message: "too much is going on about this appointment; try again", RetryAfter: time.Second}
}

// busyUntil is busy where it is known how long.
func busyUntil(source scheduling.SourceID, wait time.Duration) error {
	err := *scheduling.AsError(busy(source))
	err.RetryAfter = wait
	return &err
}

// sameCall tells whether the entry is still about this very call.
func sameCall(e scheduling.Entry, intent *scheduling.Intent) bool {
	return e.Intent != nil && e.Intent.Kind == intent.Kind && e.Intent.Attempt == intent.Attempt && e.Intent.SentAt.Equal(intent.SentAt)
}

// ehr finds the source's EHR.
func (d *Desk) ehr(source scheduling.SourceID) (EHR, scheduling.Abilities, error) {
	e, ok := d.EHRs.EHR(source)
	if !ok {
		return nil, scheduling.Abilities{}, scheduling.Fault(scheduling.UnknownID, nil, "this source is no longer configured")
	}
	return e, e.Can(), nil
}

// lag is how far the source's searches are behind its writes.
func (d *Desk) lag(source scheduling.SourceID) time.Duration {
	e, ok := d.EHRs.EHR(source)
	if !ok {
		return 0
	}
	return e.Can().Lag
}

// pausedFor is how soon a paused source is worth another try.
const pausedFor = time.Minute

// writable refuses what the source cannot do, or must not.
func writable(can scheduling.Abilities) error {
	switch {
	case can.Readonly:
		return &scheduling.Error{Code: scheduling.Forbidden, Who: scheduling.Gateway, Source: can.Source, Message: "this source is only for finding"}
	case can.Paused:
		e := scheduling.Blame(scheduling.SourceDown, can.Source, nil, "this source is paused by its operator")
		e.RetryAfter = pausedFor
		return e
	case !can.Bookable:
		return &scheduling.Error{Code: scheduling.NotSupported, Who: scheduling.AtEHR, Source: can.Source, Message: "this source takes no holds or bookings"}
	default:
		return nil
	}
}

// writeCtx is for a call that changes an EHR: the caller hanging up does not
// stop it, and nothing is sent once the call's time, counted from its intent, is
// over.
func (d *Desk) writeCtx(ctx context.Context, can scheduling.Abilities, intent *scheduling.Intent) (context.Context, context.CancelFunc) {
	left := can.CallTimeout - d.now().Sub(intent.SentAt)
	return context.WithTimeout(context.WithoutCancel(ctx), left)
}

func (d *Desk) readCtx(ctx context.Context, can scheduling.Abilities) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), can.ReadTimeout)
}

// takeover is when another may take over what is in flight: the call is over by
// then, and so are the reads that follow it.
func (d *Desk) takeover(can scheduling.Abilities) time.Duration {
	return can.CallTimeout + 3*can.ReadTimeout + d.opts.Margin
}

// intend writes down the call that follows.
func (d *Desk) intend(e *scheduling.Entry, kind scheduling.CallKind) {
	attempt := 1
	if e.Intent != nil && e.Intent.Kind == kind {
		attempt = e.Intent.Attempt + 1
	}
	e.Intent = &scheduling.Intent{Kind: kind, SentAt: d.now(), Attempt: attempt}
}

// refetch has the windows of these slots read again.
func (d *Desk) refetch(e scheduling.Entry) {
	zone := e.Offer.Location()
	from, to := scheduling.DayOf(e.Offer.Start(), zone), scheduling.DayOf(e.Offer.End().Add(-time.Nanosecond), zone)
	scope := scheduling.Scope{Days: scheduling.Days{From: from, To: to + 1}}
	if e.Offer.Schedule != "" {
		scope.Schedules = []string{e.Offer.Schedule}
	}
	d.Refetch.Refetch(e.Source, scope)
}

// slotsFree tells whether the EHR shows every slot free; known is false when it
// cannot tell.
func (d *Desk) slotsFree(ctx context.Context, ehr EHR, can scheduling.Abilities, e scheduling.Entry, purpose scheduling.Purpose) (free, known bool) {
	if !can.Slots || e.Offer.Slots[0].Virtual {
		return false, false
	}
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	states, err := ehr.SlotStates(rctx, e.Offer.SlotIDs(), purpose)
	if err != nil || len(states) != len(e.Offer.Slots) {
		return false, false
	}
	for _, s := range states {
		if s.Status != scheduling.SlotFree {
			return false, true
		}
	}
	return true, true
}

// alarm tells the operator, by ids only, of what must never happen.
func (d *Desk) alarm(ctx context.Context, kind string, e scheduling.Entry) {
	d.metrics.alarms.WithLabelValues(string(e.Source), kind).Inc()
	d.Log.ErrorContext(ctx, "booking alarm", "kind", kind, "entry", e)
}
