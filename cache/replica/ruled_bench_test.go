package replica

import (
	"fmt"
	"testing"
	"time"

	"slotgate/scheduling"
)

// BenchmarkFindRuled is BenchmarkFind where every clinic has rules: an hour for
// new patients, a slot for known ones, two hours ahead.
func BenchmarkFindRuled(b *testing.B) {
	c := &city{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	for i := range 4 {
		c.sources = append(c.sources, scheduling.Source{
			ID: scheduling.SourceID(fmt.Sprintf("src%d", i)), Base: "https://ehr.example/fhir", Zone: zone(b, "America/New_York"), MaxAge: 24 * time.Hour,
			Rules: scheduling.Rules{
				{Minutes: 60, Lead: 2 * time.Hour, Patients: scheduling.NewPatients, Ages: scheduling.Ages{From: 18}},
				{Lead: 2 * time.Hour, Patients: scheduling.KnownPatients},
			},
		})
	}
	const slots = 100_000
	before := heapBytes()
	c.replica = New(Options{Sources: c.sources, Now: func() time.Time { return c.now }})
	began := time.Now()
	for i, source := range c.sources {
		c.replica.Load(source.ID, c.snapshot(i, slots/len(c.sources)/perSchedule))
	}
	b.Logf("loaded %d slots in %v, %.0f bytes a slot", slots, time.Since(began).Round(time.Millisecond), float64(heapBytes()-before)/slots)
	for _, name := range []string{"practitioner", "location+specialty", "specialty", "all"} {
		q := queries(c)[name]
		q.Count, q.Person = 20, scheduling.Person{Born: "1990-01-01", Standing: scheduling.Stranger}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.replica.Find(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("swap one window", func(b *testing.B) {
		versions := [][]scheduling.Window{c.windows(0, "schedule-7", 7, 2)[3:4], c.windows(0, "schedule-7", 7, 3)[3:4]}
		for n := 0; b.Loop(); n++ {
			w := versions[n%2]
			w[0].Fetch = uint64(n + 2)
			c.replica.Apply(c.sources[0].ID, scheduling.Change{Windows: w})
		}
	})
}
