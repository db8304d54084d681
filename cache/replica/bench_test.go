package replica

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"slotgate/scheduling"
)

// city is a generated country of clinics: 25 schedules a place, 400 slots a
// schedule over 20 days, in four sources. It is built once for a size.
type city struct {
	replica *Replica
	now     time.Time
	sources []scheduling.Source
	bytes   float64 // a slot
}

var cities = struct {
	sync.Mutex
	bySize map[int]*city
}{bySize: map[int]*city{}}

const (
	perSchedule = 400
	perDay      = 20
)

func builtCity(b *testing.B, slots int) *city {
	b.Helper()
	cities.Lock()
	defer cities.Unlock()
	if c := cities.bySize[slots]; c != nil {
		return c
	}
	c := &city{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	for i := range 4 {
		c.sources = append(c.sources, scheduling.Source{
			ID: scheduling.SourceID(fmt.Sprintf("src%d", i)), Base: "https://ehr.example/fhir",
			Zone: zone(b, "America/New_York"), MaxAge: 24 * time.Hour, StaleAfter: time.Hour, Horizon: 60,
		})
	}
	before := heapBytes()
	c.replica = New(Options{Sources: c.sources, Now: func() time.Time { return c.now }})
	for i, source := range c.sources {
		began := time.Now()
		c.replica.Load(source.ID, c.snapshot(i, slots/len(c.sources)/perSchedule))
		b.Logf("loaded %d slots in %v", slots/len(c.sources), time.Since(began).Round(time.Millisecond))
	}
	c.bytes = float64(heapBytes()-before) / float64(slots)
	cities.bySize[slots] = c
	return c
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (c *city) snapshot(source, schedules int) scheduling.Snapshot {
	snap := scheduling.Snapshot{Loaded: true, Directory: scheduling.NewDirectory(), Status: fine(c.sources[source].ID, c.now)}
	for n := range schedules {
		place := fmt.Sprintf("place-%d", n/25)
		snap.Directory.Locations[place] = &scheduling.Location{
			ID: place, Name: "Clinic " + place, Address: scheduling.Address{City: fmt.Sprintf("City %d", n/100)},
			Position: &scheduling.Position{Latitude: 30 + float64(n%997)/50, Longitude: -120 + float64(n%991)/20},
		}
		who := fmt.Sprintf("who-%d", n)
		snap.Directory.Practitioners[who] = &scheduling.Practitioner{ID: who, Name: scheduling.HumanName{Family: who}}
		id := fmt.Sprintf("schedule-%d", n)
		snap.Directory.Schedules[id] = &scheduling.Schedule{
			ID: id, Specialty: code("http://snomed.info/sct", fmt.Sprint(n%40)), ServiceType: code("type", fmt.Sprint(n%7)),
			Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: who}, {Kind: scheduling.KindLocation, ID: place}},
		}
		snap.Windows = append(snap.Windows, c.windows(source, id, n, 1)...)
	}
	return snap
}

// windows are those of one schedule; another version has other slot ids.
func (c *city) windows(source int, id string, n, version int) []scheduling.Window {
	var windows []scheduling.Window
	zone := c.sources[source].Zone
	today := scheduling.DayOf(c.now, zone)
	for day := range perSchedule / perDay {
		key := scheduling.WindowKey{Schedule: id, Day: today + 1 + scheduling.Day(day)}
		w := scheduling.Window{Key: key, Fetch: uint64(version), Checked: c.now}
		for i := range perDay {
			at := key.Day.Start(zone).Add(8*time.Hour + time.Duration(i*20+n%4*5)*time.Minute)
			w.Slots = append(w.Slots, scheduling.Slot{
				ID: fmt.Sprintf("%08x-%04x-4000-8000-%012d", n, day, version*100+i), Schedule: id,
				Status: scheduling.SlotFree, Start: at, End: at.Add(20 * time.Minute),
			})
		}
		windows = append(windows, w)
	}
	return windows
}

func queries(c *city) map[string]scheduling.Query {
	specialty := []scheduling.Token{{System: "http://snomed.info/sct", Code: "7", Scoped: true}}
	source, day := c.sources[2].ID, scheduling.DayOf(c.now, time.UTC)
	return map[string]scheduling.Query{
		"practitioner":       {Practitioners: []scheduling.Ref{{Kind: scheduling.KindPractitioner, ID: scheduling.ResourceID(source, scheduling.KindPractitioner, "who-33")}}},
		"location+specialty": {Locations: []scheduling.Ref{{ID: scheduling.ResourceID(source, scheduling.KindLocation, "place-1")}}, Specialty: []scheduling.Token{{Code: "30"}}},
		"near+specialty":     {Near: &scheduling.Near{Position: scheduling.Position{Latitude: 31, Longitude: -118}, Metres: 100_000}, Specialty: specialty},
		"specialty":          {Specialty: specialty},
		"text":               {LocationText: []string{"city 1"}},
		"period":             {Start: scheduling.InstantBound(c.now.Add(100 * time.Hour)), End: scheduling.InstantBound(c.now.Add(200 * time.Hour))},
		"days":               {Start: scheduling.DayBound(day + 5), End: scheduling.DayBound(day + 8)},
		"all":                {},
	}
}

func BenchmarkFind(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		c := builtCity(b, size)
		for _, name := range []string{"practitioner", "location+specialty", "near+specialty", "specialty", "text", "period", "days", "all"} {
			q := queries(c)[name]
			q.Count = 20
			b.Run(fmt.Sprintf("%s/slots=%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				total := 0
				for b.Loop() {
					found, err := c.replica.Find(q)
					if err != nil {
						b.Fatal(err)
					}
					total = found.Total
				}
				b.ReportMetric(float64(total), "matches")
			})
		}
	}
}

// BenchmarkFindMarked finds in a city of which one slot in a hundred is claimed.
func BenchmarkFindMarked(b *testing.B) {
	c := builtCity(b, 1_000_000)
	var marks, lifted []scheduling.Mark
	for n := range 1_000_000 / len(c.sources) / perSchedule {
		for day := range perSchedule / perDay / 5 {
			slot := fmt.Sprintf("%08x-%04x-4000-8000-%012d", n, day*5, 100+n%perDay)
			marks = append(marks, scheduling.Mark{Slot: slot, Claimed: true})
			lifted = append(lifted, scheduling.Mark{Slot: slot})
		}
	}
	began := time.Now()
	for _, source := range c.sources {
		c.replica.Apply(source.ID, scheduling.Change{Marks: marks})
	}
	b.Logf("%d marks in %v", len(marks)*len(c.sources), time.Since(began).Round(time.Millisecond))
	for _, name := range []string{"practitioner", "specialty", "period", "all"} {
		q := queries(c)[name]
		q.Count = 20
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			total := 0
			for b.Loop() {
				found, err := c.replica.Find(q)
				if err != nil {
					b.Fatal(err)
				}
				total = found.Total
			}
			b.ReportMetric(float64(total), "matches")
		})
	}
	b.Run("check-of-all", func(b *testing.B) {
		today := scheduling.DayOf(c.now, time.UTC)
		check := scheduling.Check{Scope: scheduling.Scope{Days: scheduling.Days{From: today, To: today + 30}}, Fetch: 2, At: c.now}
		for b.Loop() {
			c.replica.Apply(c.sources[1].ID, scheduling.Change{Check: &check})
		}
	})
	benchmarkMarks(b, c, "marked")
	for _, source := range c.sources {
		c.replica.Apply(source.ID, scheduling.Change{Marks: lifted})
	}
}

// BenchmarkMark applies marks, each in a step of its own.
func BenchmarkMark(b *testing.B) {
	benchmarkMarks(b, builtCity(b, 1_000_000), "unmarked")
}

func benchmarkMarks(b *testing.B, c *city, name string) {
	slot := fmt.Sprintf("%08x-%04x-4000-8000-%012d", 7, 3, 105)
	claim := scheduling.Change{Marks: []scheduling.Mark{{Slot: slot, Claimed: true}}}
	lift := scheduling.Change{Marks: []scheduling.Mark{{Slot: slot}}}
	b.Run(name+"/claim-and-lift", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() { // two steps
			c.replica.Apply(c.sources[1].ID, claim)
			c.replica.Apply(c.sources[1].ID, lift)
		}
	})
	b.Run(name+"/unseen", func(b *testing.B) {
		for b.Loop() {
			c.replica.Apply(c.sources[1].ID, scheduling.Change{Marks: []scheduling.Mark{{Slot: "unseen", Claimed: true}}})
		}
	})
	c.replica.Apply(c.sources[1].ID, scheduling.Change{Marks: []scheduling.Mark{{Slot: "unseen"}}})
}

func BenchmarkGone(b *testing.B) {
	g := newGone(DefaultGoneFor, DefaultGoneMost)
	hashes := make([]uint64, DefaultGoneMost)
	for i := range hashes {
		hashes[i] = g.hash(fmt.Sprint(i))
	}
	b.Run("add-20-when-full", func(b *testing.B) {
		g.add(hashes, time.Now())
		for i := 0; b.Loop(); i++ {
			at := i % (len(hashes) - 20)
			g.add(hashes[at:at+20], time.Now())
		}
	})
	b.Run("has", func(b *testing.B) {
		for b.Loop() {
			g.has("99", time.Now())
		}
	})
	b.Run("bytes", func(b *testing.B) {
		before := heapBytes()
		full := newGone(DefaultGoneFor, DefaultGoneMost)
		full.add(hashes, time.Now())
		for b.Loop() {
		}
		b.ReportMetric(float64(heapBytes()-before)/float64(len(hashes)), "B/id")
		full.has("0", time.Now())
	})
}

func BenchmarkSwapOneSchedule(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		c := builtCity(b, size)
		for name, ids := range map[string]int{"same-ids": 0, "new-ids": 1} {
			b.Run(fmt.Sprintf("%s/slots=%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				changes := [2]scheduling.Change{
					{Windows: c.windows(1, "schedule-5", 5, 2)},
					{Windows: c.windows(1, "schedule-5", 5, 2+ids)},
				}
				for _, change := range changes {
					for i := range change.Windows {
						change.Windows[i].Fetch = 2
					}
				}
				for i := 0; b.Loop(); i++ {
					c.replica.Apply(c.sources[1].ID, changes[i%2])
				}
			})
		}
		b.Run(fmt.Sprintf("one-window/slots=%d", size), func(b *testing.B) {
			change := scheduling.Change{Windows: c.windows(1, "schedule-5", 5, 2)[:1]}
			for b.Loop() {
				c.replica.Apply(c.sources[1].ID, change)
			}
		})
	}
}

func BenchmarkOffer(b *testing.B) {
	c := builtCity(b, 1_000_000)
	id := scheduling.OfferID(c.sources[3].ID, 0, "00000003-0004-4000-8000-000000000105")
	if _, ok := c.replica.Offer(id); !ok {
		b.Fatal("the offer is not there")
	}
	for b.Loop() {
		c.replica.Offer(id)
	}
}

// BenchmarkBytes tells what a slot takes, all in.
func BenchmarkBytes(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("slots=%d", size), func(b *testing.B) {
			c := builtCity(b, size)
			for b.Loop() {
			}
			b.ReportMetric(c.bytes, "B/slot")
		})
	}
}
