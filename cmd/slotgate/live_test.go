package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/redistest"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// forbids is a clinic that forbids its slots to be kept.
func forbids(c clinic) clinic {
	bend := c.bend
	c.bend = func(o *upstream.Options) {
		o.Store = new(bool)
		if bend != nil {
			bend(o)
		}
	}
	return c
}

// liveHouse is a house whose finds have minutes, and its Redis.
func liveHouse(t *testing.T, clinics ...clinic) (*house, *redis.Client) {
	t.Helper()
	server := redistest.Start(t)
	h := &house{
		sims: map[string]*ehrsim.Server{}, bases: map[string]string{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 5 * time.Minute},
	}
	t.Cleanup(h.client.CloseIdleConnections)
	h.file = h.config(t, server.URL(), clinics)
	h.file.Gateway.RequestTimeout = 2 * time.Minute
	h.file.Live.Deadline, h.file.Live.Timeout = time.Minute, time.Minute
	h.open(t, role{gateway: true, prefetch: true})
	h.open(t, role{gateway: true})
	h.rebuilt(t)
	opts, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return h, c
}

// everything is all that Redis holds of a source and of none, as it can be read:
// the simulated EHRs have slots of the same ids.
func everything(t *testing.T, c *redis.Client, source string) string {
	t.Helper()
	var text strings.Builder
	for _, key := range c.Keys(t.Context(), "*").Val() {
		if strings.Contains(key, "{s:") && !strings.Contains(key, "{s:"+source+"}") {
			continue
		}
		_, _ = fmt.Fprintln(&text, key, valueOf(t, c, key))
	}
	return text.String()
}

// find asks a gateway and gives the answer with its outcome.
func (u user) find(t *testing.T, node int, query string) answer {
	t.Helper()
	return u.tell(t.Context(), node, http.MethodGet, "/fhir/r4/Appointment/$find?"+query, "")
}

// TestSlotsThatMayNotBeKeptAreFoundHeldBookedAndCancelledThroughAnyGateway goes
// the whole way at sources of each way of asking, beside one whose slots are
// kept.
func TestSlotsThatMayNotBeKeptAreFoundHeldBookedAndCancelledThroughAnyGateway(t *testing.T) {
	t.Parallel()
	small := func(id string, dialect ehrsim.Dialect, fhir ehrsim.FHIR) clinic {
		return clinic{id: id, sim: ehrsim.Options{Dialect: dialect, FHIR: fhir, Practitioners: 2, Days: 4, Zone: "UTC", StrictSlots: true}}
	}
	plain := forbids(small("plain", ehrsim.Slots, ehrsim.R4))
	argo := forbids(small("argo", ehrsim.Argonaut, ehrsim.STU3))
	epic := forbids(small("epic", ehrsim.Epic, ehrsim.STU3))
	h, store := liveHouse(t, plain, argo, epic, small("kept", ehrsim.Argonaut, ehrsim.R4))
	h.slots(t, "kept", 1)
	for _, source := range []string{"plain", "argo", "epic"} {
		t.Run(source, func(t *testing.T) { h.goesThrough(t, store, source) })
	}
	a := h.user(9).find(t, 1, "_count=0&strict=true")
	if a.code != http.StatusOK || a.header.Get("X-Slotgate-Complete") != "true" {
		t.Fatalf("all of them: %s %s", a, a.raw)
	}
	for _, row := range rowsOf(t, h.nodes[1].admin.url()) {
		kept := row.ID == "kept"
		if row.Store != kept || row.State != "ok" || kept != (row.Slots > 0) || kept != (row.Windows > 0) {
			t.Errorf("/api/sources: %+v", row)
		}
	}
}

type liveRow struct {
	ID, State      string
	Store          bool
	Slots, Windows int
}

func rowsOf(t *testing.T, admin string) (rows []liveRow) {
	t.Helper()
	getJSON(t, admin+"/api/sources", &rows)
	return rows
}

func (h *house) goesThrough(t *testing.T, store *redis.Client, source string) {
	slots := h.slots(t, source, 3)
	text := everything(t, store, source)
	if !strings.Contains(text, "lead:"+slots[0].offer) {
		t.Error("where the offer leads is not kept")
	}
	for _, free := range h.sims[source].Slots() {
		if strings.Contains(text, free.ID+"\"") || strings.Contains(text, free.ID+" ") || strings.Contains(text, free.Start.UTC().Format("2006-01-02T15:04")) {
			t.Fatalf("%s of %s stands in Redis", free.ID, source)
		}
	}
	if strings.Contains(text, "{s:"+source+"}:windows") || strings.Contains(text, "{s:"+source+"}:heads") {
		t.Error("windows stand in Redis")
	}
	first, byBoth, gone := slots[0], slots[1], slots[2]
	ann, bob := h.user(1), h.user(2)
	if a := bob.see(t.Context(), 0, first.offer); a.code != http.StatusOK || a.status != "proposed" {
		t.Fatalf("read as an offer: %s %s", a, a.raw)
	}
	if a := ann.hold(t.Context(), 1, first.offer); a.code != http.StatusOK {
		t.Fatalf("hold: %s %s", a, a.raw)
	}
	if a := bob.hold(t.Context(), 0, first.offer); a.code != http.StatusConflict || !a.has("slot-taken") {
		t.Fatalf("hold of what is held: %s %s", a, a.raw)
	}
	h.notOffered(t, first)
	if a := ann.book(t.Context(), 0, first.offer); a.code != http.StatusOK || a.status != "booked" {
		t.Fatalf("book: %s %s", a, a.raw)
	}
	h.notOffered(t, first)
	if source != "epic" { // which has no way to cancel
		if a := ann.cancel(t.Context(), 1, first.offer); a.code != http.StatusOK || a.status != "cancelled" {
			t.Fatalf("cancel: %s %s", a, a.raw)
		}
		h.offeredAnew(t, first)
		if a := ann.hold(t.Context(), 0, first.offer); a.code != http.StatusGone {
			t.Fatalf("a used id: %s %s", a, a.raw)
		}
	}
	h.booksByResource(t, bob, byBoth)
	// Taken at the EHR by somebody else, after it was found.
	if taken, err := h.rival(t.Context(), gone); err != nil || !taken {
		t.Fatal(taken, err)
	}
	if a := bob.book(t.Context(), 1, gone.offer); a.code != http.StatusConflict || !a.has("slot-taken") {
		t.Fatalf("book of what is gone: %s %s", a, a.raw)
	}
	unknown := gone.offer[:len(gone.offer)-4] + "aaaa"
	if a := bob.book(t.Context(), 1, unknown); a.code != http.StatusNotFound {
		t.Fatalf("an id that was never shown: %s %s", a, a.raw)
	}
	if a := bob.see(t.Context(), 1, gone.offer); a.code != http.StatusNotFound {
		t.Fatalf("read of what is gone: %s %s", a, a.raw)
	}
}

// booksByResource books what names its Slot, where the source has Slots, and
// else by id, at a gateway that did not show it.
func (h *house) booksByResource(t *testing.T, u user, at slot) {
	t.Helper()
	if at.source == "epic" {
		if a := u.book(t.Context(), 1, at.offer); a.code != http.StatusOK {
			t.Fatalf("book: %s %s", a, a.raw)
		}
		return
	}
	id := scheduling.ResourceID(scheduling.SourceID(at.source), scheduling.KindSlot, at.native)
	if a := u.tell(t.Context(), 1, http.MethodGet, "/fhir/r4/Slot/"+id, ""); a.code != http.StatusOK {
		t.Fatalf("the Slot: %s %s", a, a.raw)
	}
	body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueString":%q},
		{"name":"appt-resource","resource":{"resourceType":"Appointment","status":"proposed","comment":%q,"slot":[{"reference":"Slot/%s"}],
		"participant":[{"actor":{"reference":%q},"status":"accepted"}]}}]}`, u.patient, u.session, id, u.patient)
	if a := u.tell(t.Context(), 1, http.MethodPost, "/fhir/r4/Appointment/$book", body); a.code != http.StatusCreated || a.id != at.offer {
		t.Fatalf("by resource: %s %s", a, a.raw)
	}
	h.notOffered(t, at)
}

// TestLaw7ASourceThatDoesNotAnswerLiveIsTold asks one that hangs, beside one
// whose slots are kept.
func TestLaw7ASourceThatDoesNotAnswerLiveIsTold(t *testing.T) {
	t.Parallel()
	h, _ := liveHouse(t,
		forbids(clinic{id: "hangs", sim: ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 3, Zone: "UTC"}}),
		clinic{id: "kept", sim: ehrsim.Options{Dialect: ehrsim.Argonaut, Practitioners: 1, Days: 3, Zone: "UTC"}})
	h.slots(t, "kept", 1)
	slots := h.slots(t, "hangs", 1)
	h.file.Live.Deadline, h.file.Live.Timeout = time.Second, 2*time.Second
	h.open(t, role{gateway: true}) // one that does not wait for long
	u := h.user(1)
	eventually(t, func() error {
		if a := u.find(t, 2, "_count=0&strict=true"); a.code != http.StatusOK {
			return fmt.Errorf("the third gateway: %s", a)
		}
		return nil
	})
	if _, err := h.sims["hangs"].AddFaults(ehrsim.Fault{Kind: ehrsim.FaultHang, Path: "/Slot"}); err != nil {
		t.Fatal(err)
	}
	a := u.find(t, 2, "_count=1")
	if a.code != http.StatusOK || a.header.Get("X-Slotgate-Complete") != "false" || a.id == "" || !strings.Contains(a.raw, "it did not answer in time") {
		t.Fatalf("find: %s %s", a, a.raw)
	}
	if a := u.find(t, 2, "_count=1&strict=true"); a.code != http.StatusServiceUnavailable || !a.has("source-down") {
		t.Fatalf("strict: %s %s", a, a.raw)
	}
	if a := u.find(t, 2, "_count=1&source=kept&strict=true"); a.code != http.StatusOK {
		t.Fatalf("strict, of the others: %s %s", a, a.raw)
	}
	// Whether it can be held nobody knows: that is no "taken".
	if a := u.hold(t.Context(), 2, slots[0].offer); a.code != http.StatusGatewayTimeout && a.code != http.StatusServiceUnavailable {
		t.Fatalf("hold: %s %s", a, a.raw)
	}
	eventually(t, func() error {
		for _, row := range rowsOf(t, h.nodes[2].admin.url()) {
			if row.ID == "hangs" && row.State != "down" {
				return fmt.Errorf("/api/sources: %+v", row)
			}
		}
		return nil
	})
}
