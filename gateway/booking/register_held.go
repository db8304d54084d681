package booking

import (
	"context"
	"strings"

	"slotgate/scheduling"
)

// RegisterAt makes a source know a person before anything is booked there
// (Argonaut Scheduling, registering after the hold). Whoever asks must hold an
// offer of the source: who holds nothing there has no business in its books.
// Whether the person was made or found is not told (law 13).
//
// Errors: those of Native; not-acceptable around ErrState without a hold.
func (r *Registrar) RegisterAt(ctx context.Context, principal string, source scheduling.SourceID, id string) error {
	holds, err := r.holdsAt(ctx, principal, source)
	switch {
	case err != nil:
		return err
	case !holds:
		return &scheduling.Error{
			Code: scheduling.NotAcceptable, Who: scheduling.Client, Param: "source", Source: source, Err: ErrState,
			Message: "hold an appointment of this source first; without one the patient is registered there when one is booked",
		}
	}
	_, err = r.Native(ctx, principal, source, id)
	return err
}

// holdsAt tells whether the principal holds an offer of the source.
func (r *Registrar) holdsAt(ctx context.Context, principal string, source scheduling.SourceID) (bool, error) {
	if r.Holds == nil || r.Books == nil {
		return false, nil
	}
	offers, err := r.Holds.Held(ctx, principal)
	if err != nil {
		return false, err
	}
	for _, offer := range offers {
		if !strings.HasPrefix(offer, scheduling.SourceTag(source)+"-") {
			continue
		}
		e, err := r.Books.Read(ctx, offer)
		switch {
		case is(err, scheduling.UnknownID):
		case err != nil:
			return false, err
		case e.State == scheduling.EntryHeld && e.Principal == principal && e.Source == source && e.Hold.Until.After(r.now()):
			return true, nil
		}
	}
	return false, nil
}
