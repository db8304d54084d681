package upstream

import (
	"context"
	"errors"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"slotgate/config"
	"slotgate/scheduling"
)

func failed(code scheduling.Code, status int, hurt bool) error {
	return scheduling.Blame(code, "src", &fault{status: status, hurt: hurt}, "failed")
}

func TestWhatIsPressureAndWhatIsNot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		sign bool
	}{
		"an answer":                           {nil, false},
		"429":                                 {failed(scheduling.Throttled, http.StatusTooManyRequests, false), true},
		"our own pause":                       {scheduling.Blame(scheduling.Throttled, "src", &fault{cause: errPaused}, "paused"), false},
		"503":                                 {failed(scheduling.SourceDown, http.StatusServiceUnavailable, true), true},
		"500":                                 {failed(scheduling.SourceDown, http.StatusInternalServerError, true), false},
		"no connection":                       {failed(scheduling.SourceDown, 0, true), false},
		"no answer in time":                   {failed(scheduling.SourceSlow, 0, true), true},
		"504":                                 {failed(scheduling.SourceSlow, http.StatusGatewayTimeout, true), true},
		"a caller's own deadline":             {scheduling.Blame(scheduling.SourceSlow, "src", &fault{cause: context.DeadlineExceeded}, "late"), false},
		"a caller who went away":              {context.Canceled, false},
		"a refusal":                           {failed(scheduling.SourceRefused, http.StatusUnprocessableEntity, false), false},
		"a login that is not accepted":        {failed(scheduling.SourceLogin, http.StatusUnauthorized, false), false},
		"an answer that makes no sense":       {failed(scheduling.SourceNonsense, http.StatusOK, true), false},
		"something that is no error of ours":  {errors.New("other"), false},
		"503 with a wait, as throttlers send": {failed(scheduling.SourceDown, http.StatusServiceUnavailable, false), true},
	} {
		if overloaded(tc.err) != tc.sign {
			t.Errorf("%s: pressure is %v", name, !tc.sign)
		}
	}
}

// Pressure cuts the share; signs that come together count once; it grows back in
// the time that was set, and no farther than the limits.
func TestAShareIsCutAtOnceAndGrowsBackSlowly(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	p := newPressure(time.Minute, start)
	busy := failed(scheduling.Throttled, http.StatusTooManyRequests, false)
	for range 10 { // of calls that were under way together
		p.feel("read", time.Millisecond, busy, start.Add(time.Second))
	}
	if got := p.at(start.Add(time.Second)); got != cutTo {
		t.Fatalf("after one sign the share is %v, not %v", got, cutTo)
	}
	at := start.Add(time.Second)
	for range 100 {
		at = at.Add(cutEvery)
		p.feel("read", time.Millisecond, busy, at)
	}
	low := p.at(at)
	if low < leastShare || low > leastShare+0.1 {
		t.Fatalf("after a hundred signs the share is %v", low)
	}
	for _, after := range []time.Duration{30 * time.Second, time.Minute, time.Hour} {
		got := p.at(at.Add(after))
		want := math.Min(1, low+(1-leastShare)*after.Minutes())
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%v later the share is %v, not %v", after, got, want)
		}
	}
}

func TestASourceThatBecomesMuchSlowerIsAskedForLess(t *testing.T) {
	t.Parallel()
	at := time.Unix(0, 0)
	p := newPressure(time.Minute, at)
	step := func(op string, took time.Duration, n int) (cuts int) {
		for range n {
			at = at.Add(cutEvery)
			if p.feel(op, took, nil, at) {
				cuts++
			}
		}
		return cuts
	}
	if n := step("search", 100*time.Millisecond, 50); n != 0 {
		t.Fatalf("%d cuts while nothing changed", n)
	}
	if n := step("search", 2*time.Second, 1); n != 0 {
		t.Errorf("one slow answer is a sign")
	}
	step("search", 100*time.Millisecond, 50)
	if n := step("directory", 5*time.Second, 50); n != 0 {
		t.Errorf("another kind of call, slow as ever, is a sign")
	}
	if n := step("search", 2*time.Second, 10); n == 0 {
		t.Errorf("twenty times slower is no sign")
	}
	if n := step("search", 2*time.Second, 2000); n > 200 {
		t.Errorf("what has become usual was a sign %d times", n)
	}
	quick := newPressure(time.Minute, at)
	for i := range 60 {
		took := time.Millisecond
		if i > 30 {
			took = 100 * time.Millisecond
		}
		if quick.feel("read", took, nil, at.Add(time.Duration(i)*cutEvery)) {
			t.Fatal("a hundred times slower, and fast all the same, is a sign")
		}
	}
}

func TestLaw6TheShareStaysWithinItsBoundsWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Unix(0, 0)
		p := newPressure(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "recovery"))*time.Second, at)
		for range rapid.IntRange(1, 60).Draw(rt, "calls") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "pause")))
			before := p.at(at)
			var err error
			if rapid.Bool().Draw(rt, "throttled") {
				err = failed(scheduling.Throttled, http.StatusTooManyRequests, false)
			}
			cut := p.feel("read", time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "took")), err, at)
			share := p.at(at)
			if share < leastShare || share > 1 || cut != (share < before) && before > leastShare {
				rt.Fatalf("share %v after %v, cut: %v", share, before, cut)
			}
		}
	})
}

// A source that said 429 is asked for less, of every lane; a booking still goes
// before everything else, and all is as before when the time has passed.
func TestLaw6ABudgetUnderPressureGivesFewerPlacesAndTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget("src", Limits{Rate: 10, Concurrency: 10, RetryWait: config.Duration(time.Second), Recover: config.Duration(time.Minute)}, time.Now)
		for range 50 {
			time.Sleep(cutEvery)
			b.feel("read", time.Millisecond, failed(scheduling.Throttled, http.StatusTooManyRequests, false))
		}
		places, begun := 0, time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for b.enter(ctx, laneRead) == nil {
			places++
		}
		if places != 1 {
			t.Fatalf("%d calls at once %v after the last sign", places, time.Since(begun))
		}
		entered := make(chan lane, 2)
		for _, l := range []lane{lanePrefetch, laneBook} {
			go func() {
				if b.enter(t.Context(), l) == nil {
					entered <- l
				}
			}()
			synctest.Wait()
		}
		b.leave(laneRead)
		if first := <-entered; first != laneBook {
			t.Errorf("%s went first", first)
		}
		b.leave(laneBook)
		<-entered
		b.leave(lanePrefetch)
		time.Sleep(2 * time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for places = 0; b.enter(ctx, laneRead) == nil; places++ {
		}
		if places != 10 || b.share() != 1 {
			t.Errorf("%d places and a share of %v when all is well again", places, b.share())
		}
	})
}

// Half an hour of which nothing was asked is no reason to ask for all again.
func TestLaw6AShareDoesNotGrowWhileTheSourceIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget("src", Limits{Rate: 10, Concurrency: 10, RetryWait: config.Duration(time.Second), Recover: config.Duration(time.Minute)}, time.Now)
		b.feel("read", time.Millisecond, failed(scheduling.Throttled, http.StatusTooManyRequests, false))
		b.pause(time.Now().Add(15 * time.Minute))
		b.pause(time.Now().Add(time.Minute)) // a shorter one changes nothing
		for range 15 {
			if got := b.share(); got != cutTo {
				t.Fatalf("a share of %v in the pause", got)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(6 * time.Second)
		if got := b.share(); got <= cutTo || got > cutTo+0.11 {
			t.Errorf("a share of %v six seconds after the pause", got)
		}
		time.Sleep(time.Minute)
		if got := b.share(); got != 1 {
			t.Errorf("a share of %v in the end", got)
		}
	})
}

// Over the wire: a source that answers 429 or 503 is asked for less, whatever
// was asked; one that refuses is not.
func TestLaw6ASourceThatIsAskedForTooMuchIsAskedForLess(t *testing.T) {
	t.Parallel()
	for status, less := range map[int]bool{
		http.StatusTooManyRequests: true, http.StatusServiceUnavailable: true,
		http.StatusNotFound: false, http.StatusInternalServerError: false, http.StatusUnauthorized: false,
	} {
		c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), argonautR4)
		if _, err := c.Metadata(t.Context()); err == nil {
			t.Fatalf("%d is no error", status)
		}
		if got := c.Budget()["share"].(float64); (got < 1) != less {
			t.Errorf("after %d the source is asked for %v of its limits", status, got)
		}
	}
}
