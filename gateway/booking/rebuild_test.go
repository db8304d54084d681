package booking_test

import (
	"context"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// partly is an EHR that cannot be searched for all of ours.
type partly struct{ booking.EHR }

func (p partly) Ours(ctx context.Context) ([]scheduling.Appointment, error) {
	list, err := p.EHR.Ours(ctx)
	if err != nil {
		return nil, err
	}
	return list, &scheduling.Error{Code: scheduling.NotSupported}
}

func TestWhatIsFoundIsRestoredWhereNotEverythingCanBeSearched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann, booked := caller("ann"), w.offer(0)
	must(w.desk.Book(t.Context(), ann, bookFor(booked, "p1")))(t)
	desk := w.newDesk(t, w.store, partly{w.ehr})
	w.store.Lose(napa)
	must(desk.Sweep(t.Context(), napa))(t)
	wantStatus(t, must(desk.Read(t.Context(), ann, booked))(t), scheduling.ApptBooked)
}
