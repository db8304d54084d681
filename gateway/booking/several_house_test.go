package booking_test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/config"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// house is a simulated EHR with its real client, and chains of adjacent slots.
type house struct {
	srv    *ehrsim.Server
	base   string
	now    func() time.Time
	bend   func(*upstream.Options)
	chains [][]scheduling.Slot
	offers map[string]scheduling.Offer
	lax    bool // its slots say nothing of its appointments
}

// severalWays are EHRs that take several slots each in their own way.
var severalWays = map[string]struct {
	simulate func(*ehrsim.Options)
	bend     func(*upstream.Options)
}{
	"argonaut": {nil, nil},
	"transaction": {
		func(o *ehrsim.Options) { o.Dialect = ehrsim.Slots },
		func(o *upstream.Options) { o.Dialect, o.Quirks.Book = upstream.Slots, upstream.BookTransaction },
	},
	"slot by slot": {
		func(o *ehrsim.Options) { o.Dialect, o.NoTransactions = ehrsim.Slots, true },
		func(o *upstream.Options) { o.Dialect, o.Quirks.Book = upstream.Slots, upstream.BookConditional },
	},
	"an EHR that books everything": {
		func(o *ehrsim.Options) { o.Dialect = ehrsim.Slots },
		func(o *upstream.Options) { o.Dialect, o.Quirks.Book = upstream.Slots, upstream.BookPlain },
	},
}

// newHouse starts one with chains of so many slots.
func newHouse(t *testing.T, way string, length int, now func() time.Time) *house {
	t.Helper()
	h := &house{now: now, bend: severalWays[way].bend, offers: map[string]scheduling.Offer{}}
	h.lax = way == "an EHR that books everything"
	o := ehrsim.Options{Seed: 7, Practitioners: 6, Days: 8, Now: now}
	if severalWays[way].simulate != nil {
		severalWays[way].simulate(&o)
	}
	var err error
	if h.srv, err = ehrsim.New(o); err != nil {
		t.Fatal(err)
	}
	if h.base, err = h.srv.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.srv.Close() })
	client := h.client(t, nil)
	client.Learn(t.Context())
	today := scheduling.DayOf(now(), time.UTC)
	got, err := client.Fetch(t.Context(), scheduling.Scope{Days: scheduling.Days{From: today + 1, To: today + 8}})
	if err != nil {
		t.Fatal(err)
	}
	dir, _, err := client.Directory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.fill(got, dir, length)
	if len(h.chains) < 30 {
		t.Fatalf("%d chains of %d", len(h.chains), length)
	}
	return h
}

// fill makes offers of all adjacent slots.
func (h *house) fill(got scheduling.Fetched, dir scheduling.Directory, length int) {
	resolver := scheduling.NewResolver(napa, dir, time.UTC)
	for key, slots := range got.Windows {
		setting, reason := resolver.Setting(key.Schedule)
		if reason != "" {
			continue
		}
		slices.SortFunc(slots, func(a, b scheduling.Slot) int { return a.Start.Compare(b.Start) })
		var chain []scheduling.Slot
		for _, slot := range slots {
			if len(chain) > 0 && !chain[len(chain)-1].End.Equal(slot.Start) {
				chain = nil
			}
			if chain = append(chain, slot); len(chain) == length {
				h.chains = append(h.chains, chain)
				for from := range chain {
					for to := from + 1; to <= length; to++ {
						part := chain[from:to]
						id := scheduling.OfferID(napa, 0, scheduling.OfferRecord{Slots: part}.SlotIDs()...)
						h.offers[id] = scheduling.Offer{ID: id, Slots: part, Setting: setting}
					}
				}
				chain = nil
			}
		}
	}
	slices.SortFunc(h.chains, func(a, b []scheduling.Slot) int { return a[0].Start.Compare(b[0].Start) })
}

// client is one of the house's EHR, by this transport.
func (h *house) client(t *testing.T, by http.RoundTripper) *upstream.Client {
	t.Helper()
	o := upstream.Options{ID: napa, Base: h.base, Dialect: upstream.Argonaut}
	o.Limits.Rate, o.Limits.Concurrency, o.Limits.BreakerFailures = 10_000, 8, 10_000
	o.Quirks.Search = "identifier"
	if h.bend != nil {
		h.bend(&o)
	}
	o.Booking.CallTimeout, o.Booking.ReadTimeout = config.Duration(60*time.Second), config.Duration(60*time.Second)
	o.Booking.Settle = config.Duration(2 * time.Minute)
	r, err := upstream.NewRegistry([]upstream.Options{o}, upstream.Deps{Now: h.now, Transport: by})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	c, ok := r.Get(napa)
	if !ok {
		t.Fatal("no client")
	}
	return c
}

func (h *house) desk(t *testing.T, store stores, clock booking.Clock, ehr booking.EHR) *booking.Desk {
	t.Helper()
	desk, err := booking.New(booking.Deps{
		Offers: h, Books: store, Holds: store, Keys: store, Leases: store, EHRs: oneEHR{ehr}, Refetch: h, Clock: clock,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Secret: []byte("0123456789abcdef0123456789abcdef"),
	}, booking.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

// part is the offer of some slots of a chain.
func (h *house) part(chain, from, to int) string {
	return scheduling.OfferID(napa, 0, scheduling.OfferRecord{Slots: h.chains[chain][from:to]}.SlotIDs()...)
}

// Offer is that of a replica whose feed lags behind: it shows what was taken.
func (h *house) Offer(id string) (scheduling.Hit, bool) {
	o, ok := h.offers[id]
	return scheduling.Hit{Offer: o}, ok
}

func (h *house) BySlots([]string) (scheduling.Hit, bool) { return scheduling.Hit{}, false }

func (h *house) Gone(string) bool { return false }

func (h *house) Left([]string) (string, bool) { return "", false }

func (h *house) Refetch(scheduling.SourceID, scheduling.Scope) {}

// standing are the appointments that have a slot.
func (h *house) standing(slot string) (list []ehrsim.Appointment) {
	for _, a := range h.srv.Appointments("booked", "pending") {
		if slices.Contains(a.Slots, slot) {
			list = append(list, a)
		}
	}
	return list
}

// whole fails unless every slot of the chain is free, or busy for one appointment
// that was told as booked and has all its slots.
func (h *house) whole(t *testing.T, chain int, entries []scheduling.Entry) {
	t.Helper()
	for i, slot := range h.chains[chain] {
		now, err := h.srv.Slot(slot.ID)
		if err != nil {
			t.Fatal(err)
		}
		stand := h.standing(slot.ID)
		switch {
		case now.Status == "free" && len(stand) == 0:
			continue
		case now.Status != "busy" && !h.lax || len(stand) != 1 || stand[0].Status != "booked":
			t.Errorf("slot %d is %s, with %+v on it", i, now.Status, stand)
			continue
		}
		at := slices.IndexFunc(entries, func(e scheduling.Entry) bool {
			return e.State == scheduling.EntryBooked && e.Native == stand[0].ID
		})
		if at < 0 || !slices.Equal(entries[at].Offer.SlotIDs(), stand[0].Slots) {
			t.Errorf("slot %d: nobody was told of %+v", i, stand[0])
		}
	}
}

// mortalRoad is a way to the EHR on which the desk may be killed: before a request
// is sent, or before its answer is read.
type mortalRoad struct {
	fuse *fuse
	next *http.Transport
}

func (m mortalRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := m.fuse.burn(false); err != nil {
		return nil, err
	}
	res, err := m.next.RoundTrip(req)
	if m.fuse.left.Load() == 0 && err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	_ = m.fuse.burn(false)
	return res, err
}
