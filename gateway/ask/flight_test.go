package ask_test

import (
	"context"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/ask"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// waiting counts who waits for an answer.
func waiting() int { return within("gateway/ask.received(") }

// within counts the goroutines in a function.
func within(function string) int {
	var text strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&text, 2)
	return strings.Count(text.String(), function)
}

func everything() scheduling.Query { return scheduling.Query{Count: 1000} }

// Not parallel: it counts goroutines of the whole process.
func TestAThousandWhoAskTheSameAtOnceCostOneCall(t *testing.T) {
	const many = 1000
	w := newWorld(t, patient(), "slow")
	slow := w.wards["slow"]
	open := slow.close()
	defer open()
	var wg sync.WaitGroup
	founds := make([]scheduling.Found, many)
	for i := range many {
		wg.Go(func() { founds[i], _ = w.Ask(t.Context(), everything()).Find(everything()) })
	}
	eventually(t, "all of them wait", func() bool { return waiting() == many })
	open()
	wg.Wait()
	if n := slow.calls.Load(); n != 1 {
		t.Fatalf("%d calls", n)
	}
	want := len(slow.open())
	for i, found := range founds {
		if found.Total < want-1 || len(found.Offers) != found.Total || !found.Complete() || asked(found, "slow").Asked != scheduling.Answered {
			t.Fatalf("caller %d: %d of %d offers, %+v", i, found.Total, want, found.Sources)
		}
	}
	if _, err := w.Ask(t.Context(), everything()).Find(everything()); err != nil || slow.calls.Load() != 2 {
		t.Fatalf("an answer outlives who waited for it: %d calls, %v", slow.calls.Load(), err)
	}
}

// Not parallel: it counts goroutines of the whole process.
func TestWhoLeavesTakesTheAnswerFromNobodyElse(t *testing.T) {
	w := newWorld(t, patient(), "slow")
	slow := w.wards["slow"]
	open := slow.close()
	defer open()
	leaving, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var left, stayed scheduling.Found
	wg.Go(func() { left, _ = w.Ask(leaving, everything()).Find(everything()) })
	eventually(t, "the first one's call is there", func() bool { return slow.calls.Load() == 1 })
	wg.Go(func() { stayed, _ = w.Ask(t.Context(), everything()).Find(everything()) })
	eventually(t, "both wait", func() bool { return waiting() == 2 })
	leave()
	eventually(t, "the first one has left", func() bool { return waiting() == 1 })
	open()
	wg.Wait()
	if asked(left, "slow").Asked != scheduling.Silent || left.Total != 0 || left.Complete() {
		t.Errorf("who left: %+v", left.Sources)
	}
	if !stayed.Complete() || stayed.Total == 0 || slow.calls.Load() != 1 {
		t.Errorf("who stayed: %d offers of %d calls, %+v", stayed.Total, slow.calls.Load(), stayed.Sources)
	}
}

func TestOneThatHangsTakesNothingFromTheOthersAndIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient(), "a", "b", "hangs")
	open := w.wards["hangs"].close()
	defer open()
	ctx, deadline := context.WithCancel(t.Context())
	var found scheduling.Found
	var wg sync.WaitGroup
	wg.Go(func() { found, _ = w.Ask(ctx, everything()).Find(everything()) })
	eventually(t, "the others have answered", func() bool {
		_, a := w.Status("a")
		_, b := w.Status("b")
		return a && b && w.wards["hangs"].calls.Load() == 1
	})
	time.Sleep(time.Second) // they are noted a moment before they are handed over
	deadline()
	wg.Wait()
	if asked(found, "hangs").Asked != scheduling.Silent || asked(found, "hangs").Complete || found.Complete() {
		t.Errorf("the one that hangs: %+v", asked(found, "hangs"))
	}
	for _, id := range []scheduling.SourceID{"a", "b"} {
		if f := asked(found, id); f.Asked != scheduling.Answered || !f.Complete || f.State != scheduling.StateOK {
			t.Errorf("%s: %+v", id, f)
		}
	}
	if found.Total == 0 {
		t.Error("no offers")
	}
	only := scheduling.Query{Count: 10, Sources: []scheduling.SourceID{"a"}}
	if found, err := w.Ask(t.Context(), only).Find(only); err != nil || !found.Complete() {
		t.Errorf("of the others alone: %v %+v", err, found.Sources)
	}
}

func TestTheDeadlineIsKeptThoughNobodyCallsItOff(t *testing.T) {
	t.Parallel()
	opts := patient()
	opts.Deadline = 1
	w := newWorld(t, opts, "hangs")
	open := w.wards["hangs"].close()
	defer open()
	found, err := w.Ask(t.Context(), everything()).Find(everything())
	if err != nil || asked(found, "hangs").Asked != scheduling.Silent {
		t.Errorf("%v %+v", err, found.Sources)
	}
}

func TestMoreQuestionsThanASourceMayBeAskedAtOnceAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	opts := patient()
	opts.AtOnce = 2
	w := newWorld(t, opts, "slow", "other")
	slow := w.wards["slow"]
	only := scheduling.Query{Count: 10, Sources: []scheduling.SourceID{"slow"}}
	before, err := w.Ask(t.Context(), only).Find(only)
	must(t, err)
	w.Remember(t.Context(), before.Offers)
	calls := slow.calls.Load()
	open := slow.close()
	defer open()
	day := scheduling.DayOf(w.wards["slow"].sim.Slots("free")[0].Start, paris(t)) + 1
	question := func(n int) scheduling.Query {
		return scheduling.Query{Count: 10, Start: scheduling.DayBound(day + scheduling.Day(n)), End: scheduling.DayBound(day + scheduling.Day(n))}
	}
	var wg sync.WaitGroup
	for n := range 2 {
		fill := question(n)
		fill.Sources = only.Sources // the other one's places are free
		wg.Go(func() { _ = w.Ask(t.Context(), fill) })
	}
	eventually(t, "two are under way", func() bool { return slow.calls.Load() == calls+2 })
	found, err := w.Ask(t.Context(), question(2)).Find(question(2)) // it does not wait
	if err != nil || asked(found, "slow").Asked != scheduling.Crowded || found.Complete() || slow.calls.Load() != calls+2 {
		t.Errorf("%v, %d calls, %+v", err, slow.calls.Load(), found.Sources)
	}
	if f := asked(found, "slow"); f.State == scheduling.StateDown && f.Status.Failures > 0 {
		t.Errorf("that we ask no more is told as the source's failure: %+v", f)
	}
	if f := asked(found, "other"); f.Asked != scheduling.Answered {
		t.Errorf("another source: %+v", f)
	}
	// Law 6: who is about to hold is let through all the same.
	last := before.Offers[len(before.Offers)-1]
	wg.Go(func() {
		if hit, ok, err := w.Offer(t.Context(), last.ID); err != nil || !ok || hit.ID != last.ID {
			t.Errorf("an offer while finds crowd: %v %v", ok, err)
		}
	})
	eventually(t, "the offer is asked for", func() bool { return slow.calls.Load() == calls+3 })
	open()
	wg.Wait()
}

// TestLaw6ReadsOfSlotsTakeNoPlaceOfThoseWhoHold: anybody may read a Slot, as
// often as they like. Who is about to hold waits behind others who are, and for
// nobody else.
func TestLaw6ReadsOfSlotsTakeNoPlaceOfThoseWhoHold(t *testing.T) {
	t.Parallel()
	opts := patient()
	opts.AtOnce = 1
	w := newWorld(t, opts, "slow")
	slow := w.wards["slow"]
	before, err := w.Ask(t.Context(), everything()).Find(everything())
	must(t, err)
	w.Remember(t.Context(), before.Offers)
	// Two offers of different days: each is a question of its own.
	first, last := before.Offers[0], before.Offers[len(before.Offers)-1]
	slotOf := func(o scheduling.Hit) string {
		return scheduling.ResourceID("slow", scheduling.KindSlot, o.Slots[0].ID)
	}
	calls := slow.calls.Load()
	open := slow.close()
	defer open()
	var wg sync.WaitGroup
	wg.Go(func() { _, _, _ = w.Slot(t.Context(), slotOf(first)) })
	eventually(t, "a Slot is read", func() bool { return slow.calls.Load() == calls+1 })
	if _, ok, err := w.Slot(t.Context(), slotOf(last)); ok || scheduling.CodeOf(err) != scheduling.Shedding || slow.calls.Load() != calls+1 {
		t.Errorf("one read more than may be: %v %v, %d calls", ok, err, slow.calls.Load()-calls)
	}
	offered := func(o scheduling.Hit) {
		if hit, ok, err := w.Offer(t.Context(), o.ID); err != nil || !ok || hit.ID != o.ID {
			t.Errorf("an offer while Slots are read: %v %v", ok, err)
		}
	}
	wg.Go(func() { offered(last) })
	eventually(t, "an offer is asked for beside it", func() bool { return slow.calls.Load() == calls+2 })
	wg.Go(func() { offered(first) })
	eventually(t, "another waits for its place", func() bool { return within("gateway/ask.(*source).place(") > 0 })
	open()
	wg.Wait()
	if n := slow.calls.Load() - calls; n != 3 {
		t.Errorf("%d calls", n)
	}
}

// TestHostileAnswersHarmTheirOwnSourceOnly: what comes is shown only where it is
// true, and the other source never notices.
func TestHostileAnswersHarmTheirOwnSourceOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient(), "bad", "good")
	bad, truth := w.wards["bad"], w.wards["good"].open()
	own := bad.open()
	harmless := map[ehrsim.FaultKind]bool{ehrsim.FaultWrongType: true} // the body is as it should be
	for _, fault := range []ehrsim.Fault{
		{Kind: ehrsim.FaultStatus},
		{Kind: ehrsim.FaultHTML},
		{Kind: ehrsim.FaultEmptyBody},
		{Kind: ehrsim.FaultReset},
		{Kind: ehrsim.FaultHugeGzip, Size: 8 << 20},
		{Kind: ehrsim.FaultCutGzip},
		{Kind: ehrsim.FaultEndlessJSON},
		{Kind: ehrsim.FaultEndlessPages},
		{Kind: ehrsim.FaultCirclePages},
		{Kind: ehrsim.FaultForeignNext, Link: "http://127.0.0.1:1/steal"},
		{Kind: ehrsim.FaultReversed},
		{Kind: ehrsim.FaultTwinIDs},
		{Kind: ehrsim.FaultWrongTotal},
		{Kind: ehrsim.FaultCutAnswer},
		{Kind: ehrsim.FaultDangling},
		{Kind: ehrsim.FaultCutJSON},
		{Kind: ehrsim.FaultWrongType},
		{Kind: ehrsim.FaultThrottleText, RetryAfter: 900},
	} {
		fault.Path = "/Slot"
		_, err := bad.sim.SetFaults(fault)
		must(t, err)
		found, err := w.Ask(t.Context(), everything()).Find(everything())
		must(t, err)
		if f := asked(found, "good"); !f.Complete || f.Asked != scheduling.Answered {
			t.Errorf("%s: the other source: %+v", fault.Kind, f)
		}
		shown := 0
		for _, o := range found.Offers {
			id := o.Slots[0].ID
			switch {
			case o.Setting.Source == "good" && truth[id]:
				shown++
			case o.Setting.Source == "bad" && (own[id] || fault.Kind == ehrsim.FaultEndlessPages):
			default:
				t.Errorf("%s: %s of %s is shown", fault.Kind, id, o.Setting.Source)
			}
		}
		if shown < len(truth)-1 { // one may have begun
			t.Errorf("%s: %d of %d offers of the other source", fault.Kind, shown, len(truth))
		}
		if f := asked(found, "bad"); f.Complete && f.Status.Unusable.Total() == 0 && !harmless[fault.Kind] {
			t.Errorf("%s: it is told as whole: %+v", fault.Kind, f)
		}
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(*ask.Options){
		"deadline": func(o *ask.Options) { o.Deadline = -1 }, "timeout": func(o *ask.Options) { o.Timeout = o.Deadline - 1 },
		"days": func(o *ask.Options) { o.Days = 0 }, "at_once": func(o *ask.Options) { o.AtOnce = 1001 },
		"schedules": func(o *ask.Options) { o.Schedules = -1 }, "keep": func(o *ask.Options) { o.Keep = 0 },
	} {
		o := patient()
		bend(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ask.New(patient(), ask.Deps{}); err == nil {
		t.Error("nothing to ask with")
	}
}
