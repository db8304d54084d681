package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking/bookingtest"
)

func TestTheTwinKeepsTheContractOfStores(t *testing.T) {
	t.Parallel()
	for _, c := range bookingtest.Contract() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			clock := bookingtest.NewClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
			store := bookingtest.NewStore(clock)
			c.Run(t, bookingtest.Fixture{
				Books: store, Holds: store, Keys: store, Leases: store, Source: "napa", Advance: clock.Advance,
				Lose: func() { store.Lose("napa") }, Recover: func() {},
			})
		})
	}
}
