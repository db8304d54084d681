package cache_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// BenchmarkSave is the journey of a booking in the books, three saves: intent,
// booked, cancelled.
func BenchmarkSave(b *testing.B) {
	s := open(b, redistest.Start(b).URL())
	books := newBooks(b, s, vault.Ephemeral())
	var next atomic.Int64
	journey := func() error {
		e := entryOf(scheduling.EntryBooking, "p1", 0, fmt.Sprint("slot", next.Add(1)))
		e.Private = scheduling.Private{Patients: []scheduling.PatientRef{{Asked: "ours-7", Native: "7"}}, Comment: "a comment"}
		e, err := books.Save(b.Context(), taking(e))
		if err != nil {
			return err
		}
		e.State, e.Used, e.Native = scheduling.EntryBooked, true, "a1"
		if e, err = books.Save(b.Context(), scheduling.EntryChange{Entry: e, Wake: 24 * time.Hour}); err != nil {
			return err
		}
		e.State = scheduling.EntryCancelled
		_, err = books.Save(b.Context(), scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
		return err
	}
	b.Run("one after another", func(b *testing.B) {
		for b.Loop() {
			must(b, journey())
		}
		b.ReportMetric(3*float64(b.N)/b.Elapsed().Seconds(), "saves/s")
	})
	b.Run("sixteen at once", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := journey(); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(3*float64(b.N)/b.Elapsed().Seconds(), "saves/s")
	})
}

// BenchmarkClaimUntilGone is the time from a gateway's claim until another one's
// follower has told its replica.
func BenchmarkClaimUntilGone(b *testing.B) {
	url := redistest.Start(b).URL()
	one, other := open(b, url), open(b, url)
	books := newBooks(b, one, vault.Ephemeral())
	m := &markSink{told: make(chan scheduling.Mark, 64), loaded: make(chan bool, 1)}
	followSink(b, other, m)
	<-m.loaded
	n := 0
	for b.Loop() {
		n++
		slot := fmt.Sprint("slot", n)
		save(b, books, taking(entryOf(scheduling.EntryHolding, "p1", 0, slot)))
		for mark := range m.told {
			if mark.Slot == slot && mark.Claimed {
				break
			}
		}
	}
}
