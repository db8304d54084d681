package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"slotgate/config"
	"slotgate/config/testenv"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// benchSizes are practices whose open slots are about 100 thousand and a
// million. Those of a simulated EHR are made from a seed.
var benchSizes = []struct {
	name          string
	practitioners int
}{{"100k", 510}, {"1M", 5100}}

// BenchmarkFirstLoad is the way from an EHR's first page to the replica's first
// answer: fetch, decode, diff, Redis, feed, replica.
func BenchmarkFirstLoad(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				sim, base := benchEHR(b, size.practitioners)
				want := benchOpenSlots(sim)
				b.StartTimer()
				began := time.Now()
				n := benchNode(b, base)
				benchLoaded(b, n, want)
				b.ReportMetric(float64(want)/time.Since(began).Seconds(), "slots/s")
				b.StopTimer()
				n.stop()
				_ = sim.Close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkFindSideBySide asks the same questions of the gateway, of the EHR
// that it prefetched, and of a FHIR server of others (which holds 5,000 slots:
// it takes no more in good time). Rounds are interleaved; the figures are
// medians over rounds. The client shares the machine with the servers.
func BenchmarkFindSideBySide(b *testing.B) {
	foreign := benchForeign(b, 5000)
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			sim, base := benchEHR(b, size.practitioners)
			n := benchNode(b, base)
			benchLoaded(b, n, benchOpenSlots(sim))
			sides := []*side{
				{name: "gateway", ask: benchFind(n.public.url() + "/fhir/r4")},
				{name: "ehr", ask: benchFind(base)},
				{name: "medplum5k", ask: benchSearch(foreign)},
			}
			for b.Loop() {
				for _, s := range sides {
					s.round(b, 2*time.Second)
				}
			}
			report(b, sides)
			n.stop()
			_ = sim.Close()
		})
	}
}

func benchEHR(b *testing.B, practitioners int) (*ehrsim.Server, string) {
	b.Helper()
	sim, err := ehrsim.New(ehrsim.Options{Dialect: ehrsim.Argonaut, Practitioners: practitioners, Zone: "America/Chicago"})
	if err != nil {
		b.Fatal(err)
	}
	base, err := sim.Start(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return sim, base
}

// benchOpen is the number of slots that can be offered now.
func benchOpenSlots(sim *ehrsim.Server) int {
	open, now := 0, sim.Now()
	for _, slot := range sim.Slots("free") {
		if slot.Start.After(now) {
			open++
		}
	}
	return open
}

func benchNode(b *testing.B, base string) *node {
	b.Helper()
	o := upstream.Options{ID: "ehr", Base: base, Dialect: upstream.Argonaut, FHIR: scheduling.R4}
	o.Limits.Rate, o.Limits.Concurrency, o.Limits.MaxBody = 10_000, 8, 1<<30
	o.Limits.MaxSlots, o.Prefetch.Cron, o.Prefetch.Horizon = 2_000_000, "@every 1h", config.Duration(30*24*time.Hour)
	o.SetDefaults()
	f := newFile()
	f.Sources, f.Auth, f.trial = []upstream.Options{o}, auth.Demo(), true
	f.Gateway.Listen, f.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	f.Redis.Embedded = true
	n, err := startNode(b.Context(), f, role{gateway: true, prefetch: true}, newLogger(io.Discard))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// benchLoaded waits until nearly all is on offer: slots begin while we load.
func benchLoaded(b *testing.B, n *node, want int) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Minute); n.replica.Sources()[0].Slots < want*99/100; {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d open slots after ten minutes", n.replica.Sources()[0].Slots, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// benchForeign fills the FHIR server of others with slots of its shape.
func benchForeign(b *testing.B, count int) string {
	b.Helper()
	base := testenv.StartNode(b, "medplum.mjs")
	list := []any{map[string]any{
		"resourceType": "Schedule", "id": "s", "actor": []any{map[string]any{"display": "Dr Y"}},
	}}
	at := time.Now().Truncate(time.Minute)
	for i := range count {
		begin := at.Add(time.Duration(i) * 10 * time.Minute)
		list = append(list, map[string]any{
			"resourceType": "Slot", "id": fmt.Sprintf("s%d", i), "status": "free",
			"schedule": map[string]any{"reference": "Schedule/s"},
			"start":    begin.Format(time.RFC3339), "end": begin.Add(10 * time.Minute).Format(time.RFC3339),
		})
	}
	body, err := json.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, base+"/load", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b.Fatalf("the foreign server took no slots: %s", res.Status)
	}
	return base
}

// benchFind asks for 17 offers of one of four specialties on one of 20 days.
func benchFind(base string) func(i int) string {
	specialties := []string{"394582007", "394579002", "394584008", "394585009"}
	return func(i int) string {
		day := time.Now().AddDate(0, 0, 1+i%20).Format(time.DateOnly)
		return base + "/Appointment/$find?_count=17&specialty=" + specialties[i%len(specialties)] +
			"&start=" + day + "&end=" + day
	}
}

// benchSearch asks for 17 slots of one of 20 days.
func benchSearch(base string) func(i int) string {
	return func(i int) string {
		from := time.Now().AddDate(0, 0, 1+i%20)
		return base + "/Slot?status=free&_count=17&start=" + url.QueryEscape("ge"+from.Format(time.RFC3339)) +
			"&start=" + url.QueryEscape("lt"+from.AddDate(0, 0, 1).Format(time.RFC3339))
	}
}

// side is one of those that are asked.
type side struct {
	name   string
	ask    func(i int) string
	rate   []float64 // answers a second, by round
	median []float64 // microseconds, by round
	tail   []float64 // the 99th percentile
}

// round asks over eight connections for a while, each as fast as it is answered.
func (s *side) round(b *testing.B, length time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), length)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	hist := hdrhistogram.New(1, 60_000_000, 3)
	var mu sync.Mutex
	var asking sync.WaitGroup
	began := time.Now()
	for worker := range 8 {
		asking.Go(func() {
			for i := worker; ctx.Err() == nil; i += 8 {
				took, err := askOnce(ctx, client, s.ask(i))
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					b.Error(s.name, err)
					return
				}
				mu.Lock()
				_ = hist.RecordValue(max(1, took.Microseconds()))
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	s.rate = append(s.rate, float64(hist.TotalCount())/time.Since(began).Seconds())
	s.median = append(s.median, float64(hist.ValueAtQuantile(50)))
	s.tail = append(s.tail, float64(hist.ValueAtQuantile(99)))
}

func askOnce(ctx context.Context, client *http.Client, address string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/fhir+json")
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err = io.Copy(io.Discard, res.Body); err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %s", res.Status)
	}
	return time.Since(began), nil
}

func report(b *testing.B, sides []*side) {
	b.Helper()
	b.ReportMetric(0, "ns/op") // a round is as long as it is told to be
	ours := middle(sides[0].rate)
	for _, s := range sides {
		b.ReportMetric(middle(s.rate), s.name+"-req/s")
		b.ReportMetric(middle(s.median), s.name+"-p50-us")
		b.ReportMetric(middle(s.tail), s.name+"-p99-us")
		if s != sides[0] {
			b.ReportMetric(ours/max(middle(s.rate), 0.001), "x-"+s.name)
		}
	}
}

func middle[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
