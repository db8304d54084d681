package booking_test

import (
	"context"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// lags notes the lag of every fence that a desk asks for.
type lags struct {
	stores
	seen *[]time.Duration
}

func (l lags) Save(ctx context.Context, change scheduling.EntryChange) (scheduling.Entry, error) {
	if change.Claims == scheduling.ClaimsFence {
		*l.seen = append(*l.seen, change.Lag)
	}
	return l.stores.Save(ctx, change)
}

func TestLaw4AFenceHoldsForAsLongAsTheSourcesSearchesAreBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Lag = time.Minute })
	var seen []time.Duration
	desk := w.newDesk(t, lags{w.store, &seen}, w.ehr)
	id := w.offer(0)
	must(desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
	must(desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
	w.settle(t, desk, time.Hour)
	if len(seen) == 0 || seen[0] != time.Minute {
		t.Errorf("fenced for %v more", seen)
	}
}
