package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// BenchmarkHoldAndBookSideBySide holds and books by the gateway and straight at
// the EHR, in turns in the same run: what the gateway adds is between the two.
// Beside it: bookings a second of eight callers at one gateway, and the time
// from asking one gateway for a hold to the offer's being gone at another one.
func BenchmarkHoldAndBookSideBySide(b *testing.B) {
	sim, base := benchEHR(b, 60)
	redis := redistest.Start(b).URL()
	one, two := benchBooker(b, base, redis, true), benchBooker(b, base, redis, false)
	benchLoaded(b, one, benchOpenSlots(sim))
	benchLoaded(b, two, benchOpenSlots(sim))
	ours, theirs := one.public.url()+"/fhir/r4", base
	offers := &benchOffers{b: b, gateway: ours}
	sides := map[string]*hdrhistogram.Histogram{}
	for _, name := range []string{"hold-ehr", "hold-gateway", "book-ehr", "book-gateway", "gone-elsewhere"} {
		sides[name] = hdrhistogram.New(1, 60_000_000, 3)
	}
	straight := sim.Slots("free") // from the last day on: the gateway begins with the first
	for benchTry(b, ours, "hold", offers.next()) != http.StatusOK {
		time.Sleep(50 * time.Millisecond) // the books of a new Redis are not open yet
	}
	rate := 0.0
	for b.Loop() {
		for range 100 {
			for _, what := range []string{"hold", "book"} {
				last := len(straight) - 1
				_ = sides[what+"-ehr"].RecordValue(benchWrite(b, theirs, what, "offer-"+straight[last].ID).Microseconds())
				straight = straight[:last]
				id := offers.next()
				took := benchWrite(b, ours, what, id)
				_ = sides[what+"-gateway"].RecordValue(took.Microseconds())
			}
			// By itself: who watches takes time from who is measured.
			_ = sides["gone-elsewhere"].RecordValue(max(1, benchGone(b, ours, two, offers.next()).Microseconds()))
		}
		rate = benchRate(b, ours, offers, 200)
	}
	b.ReportMetric(0, "ns/op")
	for name, hist := range sides {
		b.ReportMetric(float64(hist.ValueAtQuantile(50)), name+"-p50-us")
		b.ReportMetric(float64(hist.ValueAtQuantile(99)), name+"-p99-us")
	}
	for _, what := range []string{"hold", "book"} {
		b.ReportMetric(float64(sides[what+"-gateway"].ValueAtQuantile(50)-sides[what+"-ehr"].ValueAtQuantile(50)), what+"-added-p50-us")
	}
	b.ReportMetric(rate, "bookings/s")
	one.stop()
	two.stop()
	_ = sim.Close()
}

// benchBooker is a gateway over a Redis that others share. Which of them
// prefetches too must be told.
func benchBooker(b *testing.B, base, redis string, prefetch bool) *node {
	b.Helper()
	o := upstream.Options{ID: "ehr", Base: base, Dialect: upstream.Argonaut, FHIR: scheduling.R4}
	o.Limits.Rate, o.Limits.Concurrency = 10_000, 16
	o.Prefetch.Cron, o.Prefetch.Horizon = "@every 1m", config.Duration(30*24*time.Hour)
	o.SetDefaults()
	f := newFile()
	f.Sources, f.Auth = []upstream.Options{o}, auth.Demo()
	secret := config.NewSecret(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Vault.Keys = []vault.Key{{ID: "k", Key: secret}}
	f.Auth.Callers[0].Trusted, f.Auth.Callers[0].HoldsUnnamed = f.ids(), 100_000
	f.Booking.Secret = secret
	f.Gateway.Listen, f.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	f.Redis.URL = redis
	n, err := startNode(b.Context(), f, role{gateway: true, prefetch: prefetch}, newLogger(io.Discard))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// benchOffers gives each offer of a gateway once.
type benchOffers struct {
	b       *testing.B
	gateway string
	ids     []string
	day     int
}

func (o *benchOffers) next() string {
	for len(o.ids) == 0 {
		if o.day++; o.day > 25 {
			o.b.Fatal("no offers are left; ask for fewer rounds")
		}
		o.ids = benchIDs(o.b, o.gateway, o.day)
	}
	id := o.ids[len(o.ids)-1]
	o.ids = o.ids[:len(o.ids)-1]
	return id
}

// benchIDs are the ids that a base offers on a day.
func benchIDs(b *testing.B, base string, in int) []string {
	b.Helper()
	day := time.Now().AddDate(0, 0, in).Format(time.DateOnly)
	var found searchset
	res, err := http.Get(base + "/Appointment/$find?_count=1000&start=" + day + "&end=" + day)
	if err == nil {
		err = json.NewDecoder(res.Body).Decode(&found)
		_ = res.Body.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	var ids []string
	for _, entry := range found.Entry {
		if entry.Resource.ResourceType == "Appointment" {
			ids = append(ids, entry.Resource.ID)
		}
	}
	return ids
}

// benchTry holds or books for pat-1, and gives the status.
func benchTry(b *testing.B, base, what, id string) int {
	b.Helper()
	body := `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"pat-1"}]}`
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, base+"/Appointment/"+id+"/$"+what, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Authorization", "Bearer demo")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// benchWrite is how long one hold or booking takes that succeeds.
func benchWrite(b *testing.B, base, what, id string) time.Duration {
	b.Helper()
	began := time.Now()
	if status := benchTry(b, base, what, id); status >= http.StatusMultipleChoices {
		b.Fatalf("%s of %s: %d", what, base, status)
	}
	return time.Since(began)
}

// benchGone is how long after a hold was asked for at one gateway another one no
// longer offers it: the claim, its feed entry, and its being applied.
func benchGone(b *testing.B, base string, n *node, id string) time.Duration {
	b.Helper()
	gone := make(chan time.Time, 1)
	go func() {
		for {
			if _, open := n.replica.Offer(id); !open || b.Context().Err() != nil {
				gone <- time.Now()
				return
			}
			time.Sleep(50 * time.Microsecond)
		}
	}()
	began := time.Now()
	benchWrite(b, base, "hold", id)
	select {
	case at := <-gone:
		return at.Sub(began)
	case <-time.After(10 * time.Second):
		b.Fatal("a claim is not seen at another gateway")
		return 0
	}
}

// benchRate is the bookings a second of eight callers.
func benchRate(b *testing.B, base string, offers *benchOffers, count int) float64 {
	b.Helper()
	var ids []string
	for range count {
		ids = append(ids, offers.next())
	}
	var booking sync.WaitGroup
	began := time.Now()
	for worker := range 8 {
		booking.Go(func() {
			for i := worker; i < count; i += 8 {
				if status := benchTry(b, base, "book", ids[i]); status != http.StatusOK {
					b.Errorf("book: %d", status)
				}
			}
		})
	}
	booking.Wait()
	return float64(count) / time.Since(began).Seconds()
}
