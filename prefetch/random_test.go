package prefetch

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

// TestWhateverASourceDoesNothingIsLostAndEveryDayIsAsked plays random outcomes
// of fetches. The source's slots never change, so whatever it does, a window
// that was loaded once must stay.
func TestWhateverASourceDoesNothingIsLostAndEveryDayIsAsked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]string{
			"complete", "complete", "complete", "cut", "error", "throttled", "hang", "deaf", "panic",
		}), 1, 20).Draw(rt, "outcomes")
		// A bubble has its own goroutine, where rapid must not be told of a failure.
		var err error
		synctest.Test(t, func(t *testing.T) { err = playOutcomes(t, outcomes) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func playOutcomes(t *testing.T, outcomes []string) error {
	store, e := newMemory(), newEHR(30, "s1", "s2", "s3")
	turn := 0
	e.act = func(got *scheduling.Fetched) error {
		outcome := "complete"
		if turn < len(outcomes) {
			outcome = outcomes[turn]
		}
		turn++
		switch outcome {
		case "cut":
			got.Complete = false
			clear(got.Windows)
		case "error":
			return errors.New("broken")
		case "throttled":
			return &scheduling.Error{Code: scheduling.Throttled, RetryAfter: 20 * time.Second}
		case "hang":
			time.Sleep(121 * time.Second) // until after our timeout
			return errors.New("gave up")
		case "deaf":
			time.Sleep(200 * time.Second)
		case "panic":
			panic(fmt.Sprint("outcome ", turn))
		}
		return nil
	}
	o := options("a")
	o.Retry.Young, o.LeaseTTL = 24*time.Hour, time.Hour
	_, stop := startWith(t, Deps{Writer: store, Leaser: store, EpochEvery: time.Hour}, Job{o, e})
	defer stop()
	most := 0
	for range 40 {
		after(time.Minute)
		now := store.open("a")
		if now < most {
			return fmt.Errorf("%d slots were known, now %d", most, now)
		}
		most = now
	}
	// Long after the last bad outcome everything is there.
	after(80 * time.Minute)
	if got := store.open("a"); got != 28*3 {
		return fmt.Errorf("%d slots are known in the end, want %d", got, 28*3)
	}
	if e.most != 1 {
		return fmt.Errorf("%d calls at once", e.most)
	}
	if st := store.status("a"); st.Failures != 0 || st.Incomplete || st.Emptied || st.Loaded.IsZero() {
		return fmt.Errorf("status %+v", st)
	}
	for i, call := range e.calls[1:] {
		if gap := call.at.Sub(e.calls[i].at); gap > 10*time.Minute {
			return fmt.Errorf("nothing was asked for %v", gap)
		}
	}
	return nil
}
