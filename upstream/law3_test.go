package upstream

import (
	"slices"
	"sync"
	"testing"
	"time"

	"slotgate/config/testenv"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// ways are the ways to book at a plain FHIR server.
var ways = map[string]struct {
	simulate func(*ehrsim.Options)
	bend     func(*Options)
	held     bool
}{
	"transaction":                          {nil, nil, true},
	"conditional":                          {func(o *ehrsim.Options) { o.NoTransactions = true }, nil, true},
	"without If-None-Exist":                {func(o *ehrsim.Options) { o.NoTransactions, o.NoConditional = true, true }, nil, true},
	"empty answers":                        {func(o *ehrsim.Options) { o.NoTransactions, o.EmptyAnswers = true, true }, nil, true},
	"plain at an EHR that minds its slots": {func(o *ehrsim.Options) { o.StrictSlots = true }, func(o *Options) { o.Quirks.Book = BookPlain }, false},
	"plain at one that does not":           {nil, func(o *Options) { o.Quirks.Book, o.Quirks.Exclusive = BookPlain, "gateway" }, false},
}

// race books one offer by many at once, and counts who wins.
func race(t *testing.T, c *Client, n int, call func(i int) scheduling.BookCall) []scheduling.Appointment {
	t.Helper()
	var mu sync.Mutex
	var won []scheduling.Appointment
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			a, err := c.Book(t.Context(), call(i))
			if err != nil {
				wantCode(t, "a loser", err, scheduling.SlotTaken)
				return
			}
			mu.Lock()
			won = append(won, a)
			mu.Unlock()
		})
	}
	close(start)
	wg.Wait()
	return won
}

func rival(offer scheduling.OfferRecord, i int) scheduling.BookCall {
	call := bookCall(offer, nil)
	call.Identifier += string(rune('A' + i))
	return call
}

func TestLaw3OneSlotOneWinnerInEveryWayToBook(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, scheduling.R4, way.simulate, way.bend)
			offer := w.offer()
			won := race(t, w.Client, 20, func(i int) scheduling.BookCall { return rival(offer, i) })
			if len(won) != 1 {
				t.Fatalf("%d won: %+v", len(won), won)
			}
			stand := w.srv.Appointments("booked")
			if len(stand) != 1 || won[0].ID != "" && stand[0].ID != won[0].ID {
				t.Errorf("in the EHR's book: %+v; won %+v", stand, won)
			}
			if way.held {
				held := w.offer()
				hold := w.hold(t, held)
				call := bookCall(held, nil)
				call.Identifier = "another"
				_, err := w.Book(t.Context(), call)
				wantCode(t, "to book what another holds", err, scheduling.SlotTaken)
				w.book(t, held, hold)
			}
			if twice := w.srv.DoubleBooked(); len(twice) > 0 {
				t.Errorf("booked twice: %v", twice)
			}
		})
	}
}

// Through a server that nobody here wrote.
func TestLaw3FortyClientsAfterOneSlotAtMedplum(t *testing.T) {
	t.Parallel()
	base := testenv.StartNode(t, "medplum.mjs")
	load(t, base, 50)
	c := client(t, base, func(o *Options) { utc(o); o.Quirks.Search = "identifier"; o.Quirks.Cancel = "put" })
	offers := offersOf(t, c, scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2030, 1, 1), To: scheduling.Date(2030, 1, 2)}})
	won := race(t, c, 40, func(i int) scheduling.BookCall { return rival(offers[0], i) })
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	read, err := c.Read(t.Context(), won[0].ID, scheduling.ForBook)
	if err != nil {
		t.Fatal(err)
	}
	same(t, read, offers[0])
	hold, err := c.Hold(t.Context(), scheduling.HoldCall{Offer: offers[1], Identifier: "key-1", Length: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := c.Ours(t.Context())
	if err != nil || !slices.ContainsFunc(ours, func(a scheduling.Appointment) bool {
		return a.ID == "" && slices.Equal(a.Slots, offers[1].SlotIDs()) && a.HasIdentifier("key-1")
	}) {
		t.Errorf("%+v %v", ours, err)
	}
	_, err = c.Book(t.Context(), rival(offers[1], 1))
	wantCode(t, "to book what another holds", err, scheduling.SlotTaken)
	made, err := c.Book(t.Context(), bookCall(offers[1], &scheduling.Hold{By: scheduling.HeldByEHR, ETag: hold.ETag}))
	if err != nil {
		t.Fatal(err)
	}
	if err = c.Cancel(t.Context(), scheduling.CancelCall{Offer: offers[1], Native: made.ID, Reason: "pat"}); err != nil {
		t.Fatal(err)
	}
	states, err := c.SlotStates(t.Context(), []string{offers[0].Slots[0].ID, offers[1].Slots[0].ID, "gone"}, scheduling.ForBook)
	if err != nil || states[0].Status != scheduling.SlotBusy || states[1].Status != scheduling.SlotFree || states[1].Mark != "" || states[2].Status != "" {
		t.Errorf("%+v %v", states, err)
	}
	if again := offersOf(t, c, scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2030, 1, 1), To: scheduling.Date(2030, 1, 2)}}); len(again) != len(offers)-1 {
		t.Errorf("%d offers, want %d", len(again), len(offers)-1)
	}
}
