package prefetch

import (
	"testing"
	"time"
)

func TestTicksComeAtTheCronsOwnPaceWhateverTheOffset(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"@every 1m", "* * * * *"} {
		for _, offset := range []time.Duration{0, 370 * time.Millisecond, 9 * time.Second, 29*time.Second + 900*time.Millisecond} {
			schedule, err := ParseCron(spec)
			if err != nil {
				t.Fatal(err)
			}
			s := &source{schedule: schedule, offset: offset, plan: &plan{}}
			now := time.Date(2026, 3, 1, 8, 0, 17, 123e6, time.UTC)
			s.advance(now)
			if s.plan.tick != 0 {
				t.Errorf("%s and %v: a tick before any time passed", spec, offset)
			}
			for range 600 { // an hour and 40 minutes, looked at every ten seconds
				now = now.Add(10 * time.Second)
				s.advance(now)
			}
			if s.plan.tick < 99 || s.plan.tick > 100 {
				t.Errorf("%s and %v: %d ticks in 100 minutes", spec, offset, s.plan.tick)
			}
		}
	}
}
