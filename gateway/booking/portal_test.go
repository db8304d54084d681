package booking_test

import (
	"strings"
	"testing"

	"slotgate/scheduling"
)

// Who cannot book through us is told where to book.
func TestWhatIsBookedElsewhereIsRefusedWithTheWayOn(t *testing.T) {
	t.Parallel()
	for want, portal := range map[string]*scheduling.Portal{
		"source takes no holds or bookings":                    nil,
		"book at https://book.example/7":                       {URL: "https://book.example/7"},
		"book by phone: 555-0100":                              {Phone: "555-0100"},
		"book at https://book.example/7 or by phone: 555-0100": {URL: "https://book.example/7", Phone: "555-0100"},
	} {
		w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Bookable = false })
		w.slots[0].Portal = portal
		_, held := w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0))
		_, booked := w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1"))
		for _, err := range []error{held, booked} {
			if scheduling.CodeOf(err) != scheduling.NotSupported || !strings.HasSuffix(scheduling.AsError(err).Message, want) && portal != nil {
				t.Errorf("told %v, not %q", err, want)
			}
		}
	}
}
