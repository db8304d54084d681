package booking

import (
	"slices"
	"time"

	"slotgate/scheduling"
)

// Caller is who asks, as the desk needs to know it.
type Caller struct {
	// Principal is the keyed digest of caller and subject: [a-z0-9]{1,64}.
	Principal string
	// Holds is how many offers it may hold at once.
	Holds int
	// Trusted are the sources whose own patient ids it may use.
	Trusted []scheduling.SourceID
	// User is the token that the end user brought for the one source that the
	// request is about; none for most.
	User scheduling.UserToken
}

func (c Caller) trusts(source scheduling.SourceID) bool { return slices.Contains(c.Trusted, source) }

// Target names what is to be held, booked or moved: an id, or what a caller
// sent as a resource.
type Target struct {
	// ID is the offer's id; "" where the caller sent a resource without one.
	ID string
	// Slots are our Slot ids, Start and End the times in the resource that was
	// sent: where given they must be the offer's (422).
	Slots      []string
	Start, End time.Time
	// ByResource: answered with 201 and a Location.
	ByResource bool
}

// HoldRequest asks to hold an offer.
type HoldRequest struct {
	Target
	Key      string   // Idempotency-Key; "" for none
	Patients []string // Patient ids, without "Patient/"; may be empty

	// journey is what a booking holds the offer for; nil for a hold that was
	// asked for.
	journey *scheduling.Private
}

// BookRequest asks to book one.
type BookRequest struct {
	Target
	Key      string
	Patients []string // at least one, as for HoldRequest
	Comment  string
	// Coverages are our ids of the coverage that goes with it; none: all that are
	// kept for the patients.
	Coverages []string
	// Replaces is the id of the appointment that this one takes the place of
	// (cancelled-appt-id); it may be cancelled already.
	Replaces string
	// Reschedule overrides the source's way where a caller asked for a move
	// (IHE: appointment-resource.status booked); "" for the source's.
	Reschedule scheduling.RescheduleWay
	// Sent stands for the resources that came with the request: under one key a
	// repeat must bring the same.
	Sent []byte

	renewed *bool // the hold was renewed for this booking
}

// CancelRequest asks to cancel an appointment or to release a hold.
type CancelRequest struct {
	ID     string
	Key    string
	Reason string // code of the reason; "" for none
	// IfMatch is the version that the caller saw; 0: none was sent.
	IfMatch uint64
	// Status is what the patch's tests expect it to be; "" for none.
	Status scheduling.AppointmentStatus
	// Sent is the patch as it was sent: under one Idempotency-Key another one is
	// another request. It is kept as a digest alone.
	Sent string
	// Check, if set, is asked with the view before anything is done: the tests
	// of a patch. Its error is the answer.
	Check func(View) error
}

// Notice is something that an outcome must tell beside the appointment.
type Notice string

// The notices.
const (
	// HeldByGatewayOnly: the EHR does not know of this hold.
	HeldByGatewayOnly Notice = "held by the gateway only"
	// ReleasedUnverified: after a cancel or a release the EHR still shows the
	// slot taken.
	ReleasedUnverified Notice = "released: unverified"
	// NotProved: the EHR did not return some elements; View.NotProved names them.
	NotProved Notice = "not proved"
	// CancelWanted: a cancel is kept, and done once the booking is settled.
	CancelWanted Notice = "cancel kept until settled"
	// ChangedByClinic: the EHR shows other times or another status than booked.
	ChangedByClinic Notice = "changed by the clinic"
	// OldStillBooked: the new one is booked, the cancel of the old one goes on.
	OldStillBooked Notice = "replaced appointment not cancelled yet"
	// NotReached: the source could not be asked just now; what is shown is what
	// we knew last.
	NotReached Notice = "source not reached"
	// OldKept: it stands, since the one that was to take its place does not.
	OldKept Notice = "stands: the one that was to replace it was cancelled"
	// NotShown: the source does not show it any more, and never showed it as
	// cancelled. What is shown is what we knew last.
	NotShown Notice = "not shown by the source"
	// CoverageRefused: it is booked, and the source did not take the coverage;
	// View.Refusals says why.
	CoverageRefused Notice = "coverage refused"
	// CoverageNotSent: it is booked, and the source was not told of the coverage.
	CoverageNotSent Notice = "coverage not sent"
	// CoverageUnsettled: it is booked, and whether the source has the coverage is
	// not known yet.
	CoverageUnsettled Notice = "coverage not settled yet"
)

// View is what a caller sees of an entry.
type View struct {
	Entry  scheduling.Entry             // with Private: it is the caller's own
	Status scheduling.AppointmentStatus // see Entry.Status
	// Start and End as the EHR shows them now (UTC).
	Start, End time.Time
	// Expires is the end of a hold; zero without one.
	Expires time.Time
	// Now is the desk's clock at the answer: the Date that Expires belongs to.
	Now time.Time
	// Created: answer 201 with a Location (asked by resource).
	Created bool
	// InDoubt: answer a write with 202, a Location and Retry-After, a read with
	// 200 and the tag in-doubt.
	InDoubt    bool
	RetryAfter time.Duration
	Notices    []Notice
	NotProved  []string
	// Refusals are the source's reasons, cleaned of its internals.
	Refusals []string
}

// Has tells whether the view carries the notice.
func (v View) Has(n Notice) bool { return slices.Contains(v.Notices, n) }

// ListRequest asks for a patient's appointments.
type ListRequest struct {
	Patient string // required
	// Source is the one to list from; "" for all. With it Patient may be its own.
	Source scheduling.SourceID
	// Each is OR within, AND between; empty: any.
	Status        []scheduling.AppointmentStatus
	Practitioners []scheduling.Ref
	// Dates must all hold: the appointment's start against each (prefixes ge,
	// gt, le, lt, eq and a bare value; days in the zone of its place).
	Dates   []DateRange
	Updated []DateRange // _lastUpdated; instants, days in UTC
}

// DateRange is one date parameter: From included, To not; either may be unset.
// A bound that is a day means that day in each place's zone: From at its start,
// To at its end.
type DateRange struct{ From, To scheduling.Bound }

// List is the answer.
type List struct {
	Views []View // in order of start, then id
	// Unreached are sources that could not be asked: what is shown of them is
	// what we knew last.
	Unreached []*scheduling.Error
}

// Decision is what a person decides about an unresolved entry.
type Decision struct {
	ID     string
	Booked bool
	// Native is the Appointment's id at the source, where Booked. It may be ""
	// where reading has found the appointment already.
	Native string
	By     string
	Reason string
}

// view shows an entry as its principal may see it.
func (d *Desk) view(e scheduling.Entry) View {
	v := View{Entry: e, Status: e.Status(), Now: d.now(), NotProved: e.NotProved}
	if len(e.Offer.Slots) > 0 {
		v.Start, v.End = e.Offer.Start(), e.Offer.End()
	}
	if !e.SeenStart.IsZero() && e.SeenEnd.After(e.SeenStart) {
		v.Start, v.End = e.SeenStart, e.SeenEnd
	}
	switch e.State {
	case scheduling.EntryHeld:
		v.Expires = e.Hold.Until
		if !v.Expires.After(v.Now) {
			v.Status, v.Expires = scheduling.ApptProposed, time.Time{}
		}
	case scheduling.EntryDoubt, scheduling.EntryBooking, scheduling.EntryHolding:
		v.InDoubt, v.RetryAfter = true, retryAfter(e, v.Now)
	case scheduling.EntryCancelling:
		v.InDoubt, v.RetryAfter = !e.Undo, retryAfter(e, v.Now)
		if e.Undo {
			v.Status = scheduling.ApptCancelled // it was never told as booked
		}
	}
	v.Notices = notices(e)
	for _, step := range e.Private.Coverages {
		if step.State == scheduling.CoverRefused && v.Has(CoverageRefused) && step.Reason != "" {
			v.Refusals = append(v.Refusals, step.Reason)
		}
	}
	return v
}

// retryAfter is when the next read may have told more: 1 s to 5 min.
func retryAfter(e scheduling.Entry, now time.Time) time.Duration {
	wait := 2 * time.Second
	if e.Doubt != nil && e.Doubt.Next.After(now) {
		wait = e.Doubt.Next.Sub(now)
	}
	return min(max(wait, time.Second), 5*time.Minute)
}

// oldStands tells that the one it replaces is not known to have ended; of a new
// one that was cancelled, that only it is left.
func oldStands(e scheduling.Entry) bool {
	if e.Replaces == "" || e.OldDone {
		return false
	}
	return e.State == scheduling.EntryBooked || e.State == scheduling.EntryCancelled && e.Way == scheduling.BookFirst
}

func notices(e scheduling.Entry) []Notice {
	var list []Notice
	add := func(is bool, n Notice) {
		if is {
			list = append(list, n)
		}
	}
	ended := e.State == scheduling.EntryFree || e.State == scheduling.EntryCancelled || e.State == scheduling.EntryNotBooked
	add(e.Hold != nil && e.Hold.By == scheduling.HeldByGateway && e.State == scheduling.EntryHeld, HeldByGatewayOnly)
	add(ended && e.Unproved || e.State == scheduling.EntryReleasing, ReleasedUnverified)
	add(e.State == scheduling.EntryBooked && len(e.NotProved) > 0, NotProved)
	add(e.Wanted != nil, CancelWanted)
	add(!e.SeenStart.IsZero() || e.State == scheduling.EntryCancelled && e.Reason == byClinic, ChangedByClinic)
	booked := e.State == scheduling.EntryBooked
	add(oldStands(e), OldStillBooked)
	add(booked && e.Reason == keptOld, OldKept)
	add(e.Absent != nil && !e.Absent.Given, NotShown)
	add(booked && e.Private.Covers(scheduling.CoverRefused), CoverageRefused)
	add(booked && e.Private.Covers(scheduling.CoverNotSent), CoverageNotSent)
	add(booked && e.Private.Covers(scheduling.CoverAsked, scheduling.CoverLater), CoverageUnsettled)
	return list
}
