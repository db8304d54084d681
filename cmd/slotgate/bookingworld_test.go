package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// clinic is one simulated EHR of a house, and how the gateways are told of it.
type clinic struct {
	id   string
	sim  ehrsim.Options
	bend func(*upstream.Options) // nil: as it is
}

// house is two gateways over one Redis, the first of which fetches too, and the
// EHRs that they book at. Settling takes seconds where it usually takes minutes.
type house struct {
	file   *file
	sims   map[string]*ehrsim.Server
	bases  map[string]string // where the EHRs speak FHIR
	nodes  []*node
	client *http.Client
}

func newHouse(t *testing.T, clinics ...clinic) *house {
	t.Helper()
	return newHouseOn(t, redistest.Start(t).URL(), clinics...)
}

// newHouseOn is a house whose Redis is there.
func newHouseOn(t *testing.T, redis string, clinics ...clinic) *house {
	t.Helper()
	h := &house{
		sims: map[string]*ehrsim.Server{}, bases: map[string]string{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 4 * time.Minute},
	}
	t.Cleanup(h.client.CloseIdleConnections)
	h.file = h.config(t, redis, clinics)
	h.open(t, role{gateway: true, prefetch: true})
	h.open(t, role{gateway: true})
	h.rebuilt(t)
	return h
}

// rebuilt waits until the books of every source take changes: an empty Redis is
// taken for one that lost them.
func (h *house) rebuilt(t *testing.T) {
	t.Helper()
	for _, id := range h.file.ids() {
		eventually(t, func() error {
			ready, err := h.nodes[0].keeper.books.Ready(t.Context(), id)
			if err == nil && !ready {
				err = fmt.Errorf("the books of %s are being rebuilt", id)
			}
			return err
		})
	}
}

func (h *house) config(t *testing.T, redis string, clinics []clinic) *file {
	t.Helper()
	f := newFile()
	f.Gateway.Listen, f.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	// A loaded machine is slow; what is tested is not that.
	f.Gateway.RequestTimeout, f.Gateway.BookingTimeout, f.Gateway.WriteTimeout = 2*time.Minute, 2*time.Minute, 3*time.Minute
	f.Redis.DialTimeout, f.Redis.ReadTimeout, f.Redis.WriteTimeout = 30*time.Second, 30*time.Second, 30*time.Second
	f.Redis.URL, f.Redis.PutBack = redis, time.Second
	f.Vault.Keys = []vault.Key{{ID: "test", Key: config.NewSecret(strings.Repeat("A", 43) + "=")}}
	f.Booking.Secret = config.NewSecret("0123456789abcdef")
	f.Booking.SettleEvery, f.Booking.LookEvery, f.Booking.LookMax = 300*time.Millisecond, 200*time.Millisecond, time.Second
	f.Booking.Margin, f.Booking.SettleLease = 500*time.Millisecond, 3*time.Second
	for _, c := range clinics {
		sim, base := simulate(t, c.sim)
		h.sims[c.id], h.bases[c.id] = sim, base
		f.Sources = append(f.Sources, c.source(base))
	}
	f.Auth = auth.Demo()
	f.Auth.Callers[0].Trusted = f.ids()
	for _, err := range []error{f.Gateway.Validate(), f.Booking.Validate(), f.Vault.Validate(), f.Redis.Validate(), f.Validate()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (c clinic) source(base string) upstream.Options {
	o := upstream.Options{
		ID: scheduling.SourceID(c.id), Base: base, Dialect: string(c.sim.Dialect), FHIR: scheduling.Release(c.sim.FHIR),
	}
	o.Limits.Rate, o.Limits.Concurrency, o.Limits.BreakerFailures = 10_000, 16, 10_000
	o.Prefetch.Cron, o.Prefetch.Horizon = "@every 5s", config.Duration(7*24*time.Hour)
	if c.bend != nil {
		c.bend(&o)
	}
	o.SetDefaults()
	return o
}

// open adds one more node, which ends with the test.
func (h *house) open(t *testing.T, r role) *node {
	t.Helper()
	n, err := startNode(t.Context(), h.file, r, newLogger(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	if n.keeper == nil {
		t.Fatalf("no bookings are taken: %v", n.noKeeper)
	}
	h.nodes = append(h.nodes, n)
	return n
}

// slot is one that both the EHR and the gateways know.
type slot struct {
	source string
	native string // its id at the EHR
	offer  string // the id of its offer
	start  time.Time
}

// slots gives so many open slots of a source, the first of those that do not
// begin soon, once every gateway offers them.
func (h *house) slots(t *testing.T, source string, count int) []slot {
	t.Helper()
	var list []slot
	for _, free := range h.sims[source].Slots("free") {
		if len(list) < count && free.Start.After(time.Now().Add(6*time.Hour)) {
			list = append(list, slot{source: source, native: free.ID, start: free.Start})
		}
	}
	if len(list) < count {
		t.Fatalf("%s has %d open slots, want %d", source, len(list), count)
	}
	for i := range h.nodes {
		eventually(t, func() error {
			offers := h.offers(t, i, source)
			for k := range list {
				offer, ok := offers[list[k].native]
				if !ok {
					return fmt.Errorf("node %d does not offer %s of %s: it has %d", i, list[k].native, source, len(offers))
				}
				list[k].offer = offer
			}
			return nil
		})
	}
	return list
}

// offers are the ids of offers by the ids that their slots have at the EHR.
func (h *house) offers(t *testing.T, node int, source string) map[string]string {
	t.Helper()
	natives := map[string]string{}
	for _, s := range h.sims[source].Slots() {
		natives["Slot/"+scheduling.ResourceID(scheduling.SourceID(source), scheduling.KindSlot, s.ID)] = s.ID
		// Where the EHR names no slots: by who and when.
		who := "prac-" + strings.Split(s.Schedule+"--", "-")[1]
		natives["Practitioner/"+scheduling.ResourceID(scheduling.SourceID(source), scheduling.KindPractitioner, who)+s.Start.UTC().String()] = s.ID
	}
	var page struct {
		Entry []struct {
			Resource struct {
				ID          string
				Start       time.Time
				Slot        []struct{ Reference string }
				Participant []struct{ Actor struct{ Reference string } }
			}
		}
	}
	getJSON(t, h.nodes[node].public.url()+"/fhir/r4/Appointment/$find?_count=1000&source="+source, &page)
	offers := map[string]string{}
	for _, entry := range page.Entry {
		for _, p := range entry.Resource.Participant {
			if i := strings.LastIndex(p.Actor.Reference, "Practitioner/"); i >= 0 && len(entry.Resource.Slot) == 0 {
				offers[natives[p.Actor.Reference[i:]+entry.Resource.Start.UTC().String()]] = entry.Resource.ID
			}
		}
		for _, s := range entry.Resource.Slot {
			ref := s.Reference
			if i := strings.LastIndex(ref, "Slot/"); i > 0 {
				ref = ref[i:]
			}
			offers[natives[ref]] = entry.Resource.ID
		}
	}
	return offers
}

// unsettled are the ids that the admin listener of a node tells as in doubt.
func (h *house) unsettled(ctx context.Context, node int) (ids []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.nodes[node].admin.url()+"/api/in-doubt", nil)
	if err != nil {
		return nil, err
	}
	res, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("what is in doubt: %s", res.Status)
	}
	return ids, json.NewDecoder(res.Body).Decode(&ids)
}

// soon tries until there is no error, a while. It may be called
// beside the test.
func soon(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := try()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// tried is one try to book a slot, and what its user was told.
type tried struct {
	user   user
	slot   slot
	answer answer
}

// rival takes a slot straight at the EHR, past all gateways.
func (h *house) rival(ctx context.Context, s slot) (taken bool, err error) {
	body, err := json.Marshal(map[string]string{"slot": s.native})
	if err != nil {
		return false, err
	}
	address := strings.TrimSuffix(h.bases[s.source], ehrsim.BasePath) + "/_control/appointments"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	res, err := h.client.Do(req)
	if err != nil {
		return false, err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusConflict {
		return false, fmt.Errorf("the rival was answered %s", res.Status)
	}
	return res.StatusCode == http.StatusOK, nil
}

// settled wants no gateway to have anything of the source in doubt.
func (h *house) settled(ctx context.Context, source string) error {
	tag := scheduling.SourceTag(scheduling.SourceID(source)) + "-"
	for i := range h.nodes {
		ids, err := h.unsettled(ctx, i)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if strings.HasPrefix(id, tag) {
				e, _ := h.nodes[0].keeper.books.Read(ctx, id)
				return fmt.Errorf("node %d: in doubt at %s: %s is %s, %+v %+v", i, source, id, e.State, e.Doubt, e.Intent)
			}
		}
	}
	return nil
}

// agrees holds what everybody was told against the EHR's own book, line by line,
// once nothing is in doubt. What is undone takes a moment: it tries until it is
// right.
func (h *house) agrees(ctx context.Context, source string, tries []tried) error {
	if err := soon(ctx, func() error { return h.settled(ctx, source) }); err != nil {
		return err
	}
	if err := soon(ctx, func() error { return h.compare(ctx, source, tries) }); err != nil {
		return err
	}
	if twice := h.sims[source].DoubleBooked(); len(twice) > 0 {
		return fmt.Errorf("%s: booked twice: %v", source, twice)
	}
	return nil
}

func (h *house) compare(ctx context.Context, source string, tries []tried) error {
	var told []string
	var heard strings.Builder
	for i, try := range tries {
		now := try.user.see(ctx, i%len(h.nodes), try.slot.offer)
		_, _ = fmt.Fprintf(&heard, "\n\t%s %s: %s, now %s", try.slot.native, try.user.session, try.answer, now)
		switch {
		case now.doubt || now.code >= 500:
			return fmt.Errorf("%s of %s is still %s: %s", try.slot.offer, try.user.session, now, now.raw)
		case now.status == "booked":
			told = append(told, try.slot.native+" for "+try.user.patient+" of "+try.user.session)
		case try.answer.status == "booked" && try.answer.code < 300 && !try.answer.doubt && now.status != "cancelled":
			return fmt.Errorf("%s of %s was told as booked, and is %s", try.slot.offer, try.user.session, now)
		}
	}
	var book []string
	for _, line := range h.sims[source].Book() {
		a, err := h.sims[source].Appointment(line.Appointment)
		switch {
		case err != nil:
			return err
		case a.Status == "pending", a.History[0].By == "rival":
		default:
			book = append(book, line.Slot+" for "+strings.Join(line.Patients, ",")+" of "+a.Comment)
		}
	}
	slices.Sort(told)
	slices.Sort(book)
	if told = slices.Compact(told); !slices.Equal(told, book) {
		return fmt.Errorf("%s\ntold:\n\t%s\nthe EHR's book:\n\t%s\nheard:%s", source, strings.Join(told, "\n\t"), strings.Join(book, "\n\t"), heard.String())
	}
	return nil
}
