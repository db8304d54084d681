package gateway

import (
	"context"
	"time"

	"slotgate/fhir"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// Desk holds, books and cancels. It must be safe for concurrent use, and goes
// on with what it has begun when ctx ends.
//
// Errors are *scheduling.Error, some around booking.ErrState (409) or
// booking.ErrVersion (412).
type Desk interface {
	// Hold holds an offer, or renews the caller's hold.
	Hold(ctx context.Context, c booking.Caller, req booking.HoldRequest) (booking.View, error)
	// Book books an offer, held or not.
	Book(ctx context.Context, c booking.Caller, req booking.BookRequest) (booking.View, error)
	// Cancel cancels an appointment or releases a hold.
	Cancel(ctx context.Context, c booking.Caller, req booking.CancelRequest) (booking.View, error)
	// Read gives one appointment of the caller's.
	Read(ctx context.Context, c booking.Caller, id string) (booking.View, error)
	// List gives a patient's appointments.
	List(ctx context.Context, c booking.Caller, req booking.ListRequest) (booking.List, error)
}

// Holds is how many offers may be held at once: by an end user whom its caller
// names, and by a key that names none.
type Holds struct{ Named, Unnamed int }

// DefaultHolds are the contract's.
func DefaultHolds() Holds { return Holds{Named: 3, Unnamed: 30} }

// bookingCaller is who asks, as the desk needs to know it. What the caller calls
// its end user never goes further than this.
func (x *exchange) bookingCaller() booking.Caller {
	p := x.principal()
	return booking.Caller{
		Principal: p.Digest(x.s.deps.PrincipalKey),
		Holds:     p.Holds(x.s.deps.Holds.Named, x.s.deps.Holds.Unnamed),
		Trusted:   p.Trusted(),
		User:      x.user,
	}
}

// bookingCtx gives a booking the time it needs, which is more than other
// requests have: an EHR takes its time, and to give up early leaves a doubt.
func (x *exchange) bookingCtx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.ctx), x.s.opts.BookingTimeout)
}

// headerKey makes a repeat safe
// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
const headerKey = "Idempotency-Key"

// maxKey is the longest Idempotency-Key, in characters.
const maxKey = 255

// idempotencyKey is the caller's, "" for none.
func (x *exchange) idempotencyKey() (string, error) {
	if len(x.c.Request().Header.PeekAll(headerKey)) == 0 {
		return "", nil
	}
	key := x.header(headerKey)
	ok := len(key) >= 1 && len(key) <= maxKey
	for i := 0; ok && i < len(key); i++ {
		ok = key[i] > ' ' && key[i] <= '~'
	}
	if !ok {
		return "", scheduling.Refuse(scheduling.BadRequest, headerKey, "an Idempotency-Key is 1 to %d visible ASCII characters", maxKey)
	}
	return key, nil
}

// notices are what the desk says beside the appointment, in the words of the
// contract.
func notices(v booking.View) []fhir.Notice {
	list := make([]fhir.Notice, 0, len(v.Notices))
	for _, n := range v.Notices {
		list = append(list, fhir.Notice{Code: noticeCode(n), Text: noticeText(n, v)})
	}
	return list
}

func noticeCode(n booking.Notice) string {
	switch n {
	case booking.HeldByGatewayOnly:
		return "held-by-gateway"
	case booking.ReleasedUnverified:
		return "released-unverified"
	case booking.NotProved:
		return "not-proved"
	case booking.CancelWanted:
		return "cancel-wanted"
	case booking.ChangedByClinic:
		return "changed-by-clinic"
	case booking.OldStillBooked:
		return "replaced-not-cancelled"
	case booking.OldKept:
		return "replaced-kept"
	case booking.NotShown:
		return "not-shown"
	case booking.NotReached:
		return "source-not-reached"
	case booking.CoverageRefused:
		return "coverage-refused"
	case booking.CoverageNotSent:
		return "coverage-not-sent"
	case booking.CoverageUnsettled:
		return "coverage-unsettled"
	default:
		return "other"
	}
}

// standing is an appointment of the desk as FHIR writes it.
func standing(v booking.View) fhir.Standing {
	return fhir.Standing{
		Entry: v.Entry, Status: v.Status, Start: v.Start, End: v.End, InDoubt: v.InDoubt, Notices: notices(v),
	}
}

// expires is when a hold ends by the clock that the header Date is read from.
// The desk has a clock of its own, which other gateways share: what remains of
// the hold counts, and callers are told Expires minus Date.
//
// An answer that is given again has the Now of the first time: our own clock
// keeps it from promising more than is left.
func (s *Server) expires(v booking.View) time.Time {
	remains := min(v.Expires.Sub(v.Now), v.Expires.Sub(s.deps.Now()))
	remains = max(0, remains).Truncate(time.Second)
	return time.Now().UTC().Truncate(time.Second).Add(remains)
}
