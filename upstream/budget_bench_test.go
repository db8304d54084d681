package upstream

import (
	"sync"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/config"
)

// What the admission of a call costs: of one process by itself, and of one that
// shares the budget through Redis, with the questions that takes.
func BenchmarkAdmission(b *testing.B) {
	limits := Limits{Rate: 1e6, Concurrency: 8, RetryWait: config.Duration(time.Second)}
	for _, bm := range []struct {
		name   string
		shared bool
		lane   lane
		stay   time.Duration // of a call
		calls  int           // at once
	}{
		{"own", false, laneRead, 0, 1},
		{"shared, somebody waits", true, laneRead, 0, 1},
		{"shared, prefetch", true, lanePrefetch, 0, 1},
		{"shared, prefetch, calls of 20 ms", true, lanePrefetch, 20 * time.Millisecond, 1},
		{"shared, prefetch, 4 calls of 20 ms at once", true, lanePrefetch, 20 * time.Millisecond, 4},
	} {
		b.Run(bm.name, func(b *testing.B) {
			budget := newBudget("src", limits, time.Now)
			with := &flaky{}
			if bm.shared {
				with.SharedBudget = store(b, redistest.Start(b).URL()).Budget(b.Context(), "src")
				budget.joint = newJoint(with, 0)
			}
			b.ResetTimer()
			var waited time.Duration
			var mu sync.Mutex
			var wg sync.WaitGroup
			for n := range bm.calls {
				wg.Go(func() {
					for range (b.N + n) / bm.calls {
						began := time.Now()
						if err := budget.enter(b.Context(), bm.lane); err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						waited += time.Since(began)
						mu.Unlock()
						if bm.stay > 0 {
							time.Sleep(bm.stay)
						}
						budget.leave(bm.lane)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(waited.Nanoseconds())/float64(b.N), "ns/admission")
			b.ReportMetric(float64(with.asks.Load())/float64(b.N), "questions/call")
			b.ReportMetric(0, "ns/op")
		})
	}
}
