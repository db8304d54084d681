package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/cache/replica"
	"slotgate/config"
	"slotgate/fhir"
	"slotgate/gateway"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// zoneNow is when the test plays: before all weeks below.
var zoneNow = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// changesOfClocks are days of 23, 25, 23.5 and 24.5 hours, some of which have no
// midnight, or two.
var changesOfClocks = []struct{ zone, day string }{
	{"America/New_York", "2026-03-08"},
	{"America/New_York", "2026-11-01"},
	{"Europe/Berlin", "2026-03-29"},
	{"Europe/Berlin", "2026-10-25"},
	{"Australia/Lord_Howe", "2026-04-05"},
	{"Australia/Lord_Howe", "2026-10-04"},
	{"America/Santiago", "2026-04-05"},
	{"America/Santiago", "2026-09-06"},
	{"Asia/Beirut", "2026-03-29"},
	{"Asia/Beirut", "2026-10-25"},
}

// zoned is an EHR in a week in which the clocks change.
type zoned struct {
	id     string
	sim    *ehrsim.Server
	zone   *time.Location
	day    scheduling.Day // on which they do
	source scheduling.Source
	client *upstream.Client
}

func (z *zoned) days() scheduling.Days { return scheduling.Days{From: z.day - 3, To: z.day + 4} }

// book are the slots that should be found: those that begin on these days.
func (z *zoned) book(from, to time.Time) []string {
	out := []string{}
	for _, s := range z.sim.Slots("free") {
		if !s.Start.Before(from) && s.Start.Before(to) && z.days().Has(scheduling.DayOf(s.Start, z.zone)) {
			out = append(out, z.written(s.Start)+" "+z.written(s.End)+" "+s.Practitioner)
		}
	}
	slices.Sort(out)
	return out
}

// written is an instant as a place's own clock shows it.
func (z *zoned) written(at time.Time) string {
	return at.In(z.zone).Format("2006-01-02T15:04:05-07:00")
}

// night adds slots of these lengths from the evening before the clocks change to
// the second morning after, one after the other, over both midnights.
func (z *zoned) night(t *testing.T, lengths ...time.Duration) {
	t.Helper()
	schedule := z.sim.Slots()[0].Schedule
	from, to := (z.day - 1).Start(z.zone).Add(18*time.Hour), (z.day + 1).Start(z.zone).Add(6*time.Hour)
	for _, length := range lengths {
		for at := from; at.Before(to); at = at.Add(length) {
			if _, err := z.sim.AddSlot(ehrsim.Slot{Schedule: schedule, Start: at, End: at.Add(length)}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// openZones starts an EHR for every change of clocks and every way of writing
// times, the dialects by turns.
func openZones(t *testing.T) []*zoned {
	t.Helper()
	dialects := []ehrsim.Options{
		{Dialect: ehrsim.Slots, FHIR: ehrsim.R4},
		{Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4},
		{Dialect: ehrsim.IHE, FHIR: ehrsim.R4},
		{Dialect: ehrsim.Epic, FHIR: ehrsim.STU3},
		{Dialect: ehrsim.Slots, FHIR: ehrsim.STU3},
		{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3},
		{Dialect: ehrsim.Links, FHIR: ehrsim.R4},
		{Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4, NoPrefetch: true},
	}
	var all []*zoned
	var sources []upstream.Options
	for i, week := range changesOfClocks {
		location, err := time.LoadLocation(week.zone)
		if err != nil {
			t.Fatal(err)
		}
		for k, times := range []ehrsim.Times{ehrsim.UTCTimes, ehrsim.OffsetTimes, ehrsim.LocalTimes} {
			o := dialects[(3*i+k)%len(dialects)]
			o.Zone, o.Times, o.Practitioners, o.Days, o.Seed = week.zone, times, 1, 8, uint64(3*i+k)
			at, err := time.ParseInLocation(time.DateOnly, week.day, location)
			if err != nil {
				t.Fatal(err)
			}
			z := &zoned{id: fmt.Sprintf("%s.%s.%s.%s", strings.ReplaceAll(strings.ToLower(week.zone), "/", "-"), week.day, times, o.Dialect), zone: location, day: scheduling.DayOf(at.Add(12*time.Hour), location)}
			z.id = strings.ReplaceAll(z.id, "_", "-")
			before := (z.day - 3).Start(location)
			o.Now = func() time.Time { return before }
			sim, base := simulate(t, o)
			z.sim = sim
			switch { // without offsets only neighbours tell what is meant by a time that occurs twice
			case times != ehrsim.LocalTimes:
				z.night(t, 30*time.Minute, 45*time.Minute)
			case i%4 == 1:
				z.night(t, 45*time.Minute)
			default:
				z.night(t, 30*time.Minute)
			}
			source := upstream.Options{ID: scheduling.SourceID(z.id), Base: base, Dialect: string(o.Dialect), FHIR: scheduling.Release(o.FHIR)}
			source.Limits.Rate, source.Limits.Concurrency = 10_000, 8
			source.Prefetch.Horizon, source.Prefetch.MaxAge = config.Duration(400*24*time.Hour), config.Duration(24*time.Hour)
			source.SetDefaults()
			sources = append(sources, source)
			all = append(all, z)
		}
	}
	registry, err := upstream.NewRegistry(sources, upstream.Deps{Now: func() time.Time { return zoneNow }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	for i, z := range all {
		z.client, _ = registry.Get(scheduling.SourceID(z.id))
		z.source = sources[i].Source()
	}
	return all
}

// fill reads a source day by day, as prefetch would, each day into its windows.
func (z *zoned) fill(ctx context.Context, store *cache.Store) error {
	for day := z.days().From; day < z.days().To; day++ {
		number, err := store.Begin(ctx, z.source.ID)
		if err != nil {
			return err
		}
		got, err := z.client.Fetch(ctx, scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}})
		if err == nil && (!got.Complete || got.Unusable.Total() > 0) {
			err = fmt.Errorf("%s: complete %v (%s), unusable %v", z.id, got.Complete, got.Cut, got.Unusable)
		}
		if err != nil {
			return err
		}
		if err = store.MergeDirectory(ctx, z.source.ID, got.Found); err == nil {
			_, err = store.Replace(ctx, z.source.ID, number, zoneNow, got)
		}
		if err != nil {
			return err
		}
	}
	return store.PutStatus(ctx, scheduling.Status{Source: z.source.ID, Tried: zoneNow, LastSync: zoneNow, Loaded: zoneNow})
}

// gatewayAt is a gateway over a Redis at a moment that is told.
func gatewayAt(t *testing.T, store *cache.Store, sources []scheduling.Source, now func() time.Time) string {
	t.Helper()
	log, metrics := newLogger(io.Discard), prometheus.NewRegistry()
	index := replica.New(replica.Options{Sources: sources, Now: now, Render: fhir.NewRenderer(nil).Render, Logger: log})
	callers, err := auth.New(auth.Options{Anonymous: []auth.Right{auth.Find, auth.Directory}})
	if err != nil {
		t.Fatal(err)
	}
	server, err := gateway.New(gateway.DefaultOptions(), gateway.Deps{
		Finder: index, Auth: callers, Sources: sources, Secret: []byte("0123456789abcdef"), Logger: log, Registerer: metrics, Version: "test", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = index.Run(ctx, store) })
	running.Go(func() { _ = server.Listen(listener) })
	t.Cleanup(func() {
		cancel()
		if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	return "http://" + listener.Addr().String()
}

// found is what $find shows, in the order of time.
func (z *zoned) found(gateway, base, query string) ([]string, error) {
	var page struct {
		Entry []struct {
			Resource struct {
				ResourceType, Start, End string
				Participant              []struct{ Actor struct{ Reference string } }
			}
		}
	}
	if err := readJSON(gateway+"/fhir/"+base+"/Appointment/$find?_count=1000&source="+z.id+query, &page); err != nil {
		return nil, err
	}
	out := []string{}
	for _, e := range page.Entry {
		if e.Resource.ResourceType == "Appointment" {
			out = append(out, e.Resource.Start+" "+e.Resource.End+" "+z.whoOf(e.Resource.Participant[0].Actor.Reference))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (z *zoned) whoOf(reference string) string {
	if strings.HasSuffix(reference, scheduling.ResourceID(z.source.ID, scheduling.KindPractitioner, "prac-301")) {
		return "Practitioner/prac-301"
	}
	return reference
}

// In weeks in which the clocks change, at places of five zones, with nights that
// are worked through, $find shows every slot of the EHR once and at its time,
// however the EHR writes times: in all, by the place's day, and by instants
// around the change.
func TestLaw9WeeksInWhichTheClocksChangeAreWholeAtFind(t *testing.T) {
	t.Parallel()
	all := openZones(t)
	store, err := cache.Open(t.Context(), cache.Options{URL: redistest.Start(t).URL()}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	var sources []scheduling.Source
	for _, z := range all {
		sources = append(sources, z.source)
		if err := z.fill(t.Context(), store); err != nil {
			t.Fatal(err)
		}
	}
	gateway := gatewayAt(t, store, sources, func() time.Time { return zoneNow })
	for _, z := range all {
		t.Run(z.id, func(t *testing.T) {
			from, to := z.days().From.Start(z.zone), z.days().To.Start(z.zone)
			if n := len(z.book(from, to)); n < 70 {
				t.Fatalf("the EHR has %d slots", n)
			}
			eventually(t, func() error {
				got, err := z.found(gateway, "r4", "")
				if want := z.book(from, to); err == nil && len(got) != len(want) {
					err = fmt.Errorf("%d offers, want %d: too many %v, missing %v", len(got), len(want), less(got, want), less(want, got))
				}
				return err
			})
			shows := func(what, query string, from, to time.Time) {
				t.Helper()
				for _, base := range []string{"r4", "stu3"} {
					got, err := z.found(gateway, base, query)
					if want := z.book(from, to); err != nil || !slices.Equal(got, want) {
						t.Errorf("%s at %s: %v; too many %v, missing %v", what, base, err, less(got, want), less(want, got))
					}
				}
			}
			shows("all", "", from, to)
			for day := z.days().From; day < z.days().To; day++ {
				shows(day.String(), "&start="+day.String()+"&end="+day.String(), day.Start(z.zone), (day + 1).Start(z.zone))
			}
			for at := z.day.Start(z.zone).Add(-3 * time.Hour); at.Before((z.day + 1).Start(z.zone).Add(2 * time.Hour)); at = at.Add(90 * time.Minute) {
				end := at.Add(90 * time.Minute)
				shows(z.written(at), "&start="+at.UTC().Format(time.RFC3339)+"&end="+strings.ReplaceAll(z.written(end), "+", "%2B"), at, end)
			}
		})
	}
}
