package prefetch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// teller is an ehr that takes Subscriptions. What goes wrong is by the name of
// the call.
type teller struct {
	*ehr
	mu    sync.Mutex
	subs  map[string]told
	made  int
	calls map[string]int
	wrong map[string]error
	after map[string]error // the call is done, and its answer lost
	offer bool
}

type told struct {
	scheduling.Subscription
	channel scheduling.Channel
}

func newTeller(schedules ...string) *teller {
	return &teller{
		ehr: newEHR(28, schedules...), subs: map[string]told{}, calls: map[string]int{}, wrong: map[string]error{}, after: map[string]error{}, offer: true,
	}
}

// do makes one call.
func (e *teller) do(name string, work func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls[name]++
	if err := e.wrong[name]; err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return e.after[name]
}

func (e *teller) gone(id string) error {
	if _, ok := e.subs[id]; !ok {
		return scheduling.Blame(scheduling.UnknownID, "a", nil, "it is not there")
	}
	return nil
}

func (e *teller) OffersSubscriptions(context.Context) (bool, error) {
	return e.offer, e.do("offers", func() error { return nil })
}

func (e *teller) Subscribe(_ context.Context, ch scheduling.Channel, end time.Time) (out scheduling.Subscription, err error) {
	err = e.do("subscribe", func() error {
		e.made++
		out = scheduling.Subscription{ID: fmt.Sprint("sub-", e.made), Status: scheduling.SubscriptionActive, End: end}
		e.subs[out.ID] = told{out, ch}
		return nil
	})
	return out, err
}

func (e *teller) Resubscribe(_ context.Context, id string, ch scheduling.Channel, end time.Time) (out scheduling.Subscription, err error) {
	err = e.do("resubscribe", func() error {
		if err := e.gone(id); err != nil {
			return err
		}
		out = scheduling.Subscription{ID: id, Status: scheduling.SubscriptionActive, End: end}
		e.subs[id] = told{out, ch}
		return nil
	})
	return out, err
}

func (e *teller) ReadSubscription(_ context.Context, id string) (out scheduling.Subscription, err error) {
	err = e.do("read", func() error { out = e.subs[id].Subscription; return e.gone(id) })
	return out, err
}

func (e *teller) FindSubscriptions(_ context.Context, ch scheduling.Channel) (out []scheduling.Subscription, err error) {
	err = e.do("find", func() error {
		for _, sub := range e.subs {
			if sub.channel.Endpoint == ch.Endpoint {
				out = append(out, sub.Subscription)
			}
		}
		return nil
	})
	return out, err
}

func (e *teller) Unsubscribe(_ context.Context, id string) error {
	return e.do("unsubscribe", func() error { delete(e.subs, id); return nil })
}

func (e *teller) change(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
}

func (e *teller) ids() (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.subs {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (e *teller) called(name string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[name]
}

// notebook remembers Subscriptions.
type notebook struct {
	mu    sync.Mutex
	known map[scheduling.SourceID]scheduling.Subscribed
	heard map[scheduling.SourceID]time.Time
}

func newNotebook() *notebook {
	return &notebook{known: map[scheduling.SourceID]scheduling.Subscribed{}, heard: map[scheduling.SourceID]time.Time{}}
}

func (n *notebook) Subscription(_ context.Context, source scheduling.SourceID) (scheduling.Subscribed, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.known[source]
	out.Heard = -1
	if at, ok := n.heard[source]; ok {
		out.Heard = time.Since(at)
	}
	return out, nil
}

func (n *notebook) PutSubscription(_ context.Context, source scheduling.SourceID, sub scheduling.Subscribed) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[source] = sub; sub.ID == "" {
		delete(n.heard, source)
	}
	return nil
}

func (n *notebook) DropSubscription(_ context.Context, source scheduling.SourceID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, source)
	return nil
}

func (n *notebook) hear(source scheduling.SourceID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard[source] = time.Now()
}

func (n *notebook) wipe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.known)
	clear(n.heard)
}

func channels(source scheduling.SourceID, inPath bool) (scheduling.Channel, bool) {
	if inPath {
		return scheduling.Channel{Endpoint: "https://x/notify/" + string(source) + "/key"}, true
	}
	return scheduling.Channel{Endpoint: "https://x/notify/" + string(source), Header: "Authorization: Bearer key"}, true
}

// subscribing runs a test of one source that tells of changes, as source a.
func subscribing(t *testing.T, bend func(*Options, *teller), test func(t *testing.T, w *tellWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &tellWorld{t: t, store: newMemory(), notes: newNotebook(), e: newTeller("s1", "s2"), o: options("a")}
		w.o.Subscription = SubscriptionOptions{Way: SubscribeAlways, Heartbeat: 10 * time.Minute, Lifetime: 24 * time.Hour}
		if bend != nil {
			bend(&w.o, w.e)
		}
		w.begin()
		synctest.Wait()
		test(t, w)
	})
}

type tellWorld struct {
	t     *testing.T
	store *memory
	notes *notebook
	e     *teller
	o     Options
	m     *Manager
	stop  func()
}

func (w *tellWorld) begin() {
	w.m, w.stop = startWith(w.t, Deps{Writer: w.store, Leaser: w.store, Memory: w.notes, Channels: channels}, Job{w.o, w.e})
}

func (w *tellWorld) state() scheduling.SubscriptionState {
	return w.m.States()[0].Status.Subscription
}

// beats lets time go by with a heartbeat every five minutes.
func (w *tellWorld) beats(minutes int) {
	for minutes > 0 {
		step := min(5, minutes)
		w.notes.hear("a")
		after(time.Duration(step) * time.Minute)
		minutes -= step
	}
}

func (w *tellWorld) want(state scheduling.SubscriptionState, subs ...string) {
	w.t.Helper()
	if got := w.state(); got != state {
		w.t.Errorf("the state is %q, want %q", got, state)
	}
	if got := w.e.ids(); !slices.Equal(got, subs) {
		w.t.Errorf("there are %v, want %v", got, subs)
	}
}

func TestASubscriptionIsAskedForRenewedBeforeItsEndAndRemovedInTheEnd(t *testing.T) {
	t.Parallel()
	seldom := func(o *Options, _ *teller) { o.Cron = "@every 1h" }
	subscribing(t, seldom, func(_ *testing.T, w *tellWorld) {
		w.want(scheduling.SubscriptionAsked, "sub-1")
		w.beats(1)
		w.want(scheduling.SubscriptionLive, "sub-1")
		for range 72 {
			w.beats(60)
			if end := w.e.subs["sub-1"].End; !end.After(time.Now().Add(10 * time.Hour)) {
				t.Fatalf("it ends at %v, and now it is %v", end, time.Now())
			}
		}
		w.want(scheduling.SubscriptionLive, "sub-1")
		if n := w.e.called("resubscribe"); n < 4 || n > 8 {
			t.Errorf("it was renewed %d times in three days", n)
		}
		w.stop()
		if ids := w.e.ids(); len(ids) != 0 || len(w.notes.known) != 0 {
			t.Errorf("left: %v, %v", ids, w.notes.known)
		}
	})
}

func TestTheEndThatASourceGivesCounts(t *testing.T) {
	t.Parallel()
	subscribing(t, func(o *Options, _ *teller) { o.Subscription.Lifetime = 2 * time.Minute }, func(t *testing.T, w *tellWorld) {
		w.beats(30)
		if n := w.e.called("resubscribe"); n < 20 || n > 40 {
			t.Errorf("one of two minutes was renewed %d times in half an hour", n)
		}
		w.want(scheduling.SubscriptionLive, "sub-1")
	})
}

// The heartbeat stays away: it is told, asked for again more and more seldom, and
// the clock of the source is what it was.
func TestSilenceIsToldAndPollingGoesOn(t *testing.T) {
	t.Parallel()
	subscribing(t, nil, func(t *testing.T, w *tellWorld) {
		w.beats(5)
		before := w.e.ehr.count()
		after(30 * time.Minute)
		w.want(scheduling.SubscriptionSilent, "sub-1")
		if asked := w.e.ehr.count() - before; asked < 30 {
			t.Errorf("the source was read %d times in 30 minutes", asked)
		}
		after(24 * time.Hour)
		if n := w.e.called("resubscribe"); n > 40 {
			t.Errorf("a silent source was asked again %d times", n)
		}
		w.beats(2)
		w.want(scheduling.SubscriptionLive, "sub-1")
		// It ends before its time.
		w.e.change(func() { clear(w.e.subs) })
		after(30 * time.Minute)
		w.want(scheduling.SubscriptionSilent, "sub-2")
		w.beats(2)
		w.want(scheduling.SubscriptionLive, "sub-2")
	})
}

func TestWhoeverComesNextRenewsAndAddsNone(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*tellWorld){
		"the worker is killed":        func(w *tellWorld) { w.store.setDown(true) },
		"the answer is lost":          func(w *tellWorld) { w.e.change(func() { w.e.wrong["unsubscribe"] = errors.New("away") }) },
		"Redis comes back empty, too": func(w *tellWorld) { w.store.setDown(true); w.notes.wipe() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subscribing(t, nil, func(_ *testing.T, w *tellWorld) {
				w.beats(3)
				happens(w)
				w.e.change(func() { w.e.wrong["unsubscribe"] = errors.New("away") }) // or its end would remove it
				w.stop()
				after(time.Minute)
				w.store.setDown(false)
				w.e.change(func() { delete(w.e.wrong, "unsubscribe") })
				w.begin()
				after(time.Minute)
				w.beats(2)
				w.want(scheduling.SubscriptionLive, "sub-1")
			})
		})
	}
}

// A create whose answer is lost is not sent again: it is looked for first.
func TestACreateInDoubtIsLookedFor(t *testing.T) {
	t.Parallel()
	lost := func(_ *Options, e *teller) {
		e.after["subscribe"] = scheduling.Blame(scheduling.SourceSlow, "a", nil, "no answer")
	}
	subscribing(t, lost, func(_ *testing.T, w *tellWorld) {
		w.beats(10)
		w.want(scheduling.SubscriptionLive, "sub-1")
	})
}

func TestASourceThatFailsAtSearchesIsAskedAllTheSame(t *testing.T) {
	t.Parallel()
	for _, code := range []scheduling.Code{scheduling.SourceNonsense, scheduling.SourceDown} {
		broken := func(_ *Options, e *teller) { e.wrong["find"] = scheduling.Blame(code, "a", nil, "no search") }
		subscribing(t, broken, func(_ *testing.T, w *tellWorld) {
			after(30 * time.Minute)
			if ids := w.e.ids(); len(ids) != 1 {
				t.Errorf("%s: %v", code, ids)
			}
		})
	}
}

func TestARefusalIsToldAndTriedAgainSeldom(t *testing.T) {
	t.Parallel()
	no := scheduling.Blame(scheduling.SourceRefused, "a", nil, "no")
	subscribing(t, func(_ *Options, e *teller) { e.wrong["subscribe"] = no }, func(t *testing.T, w *tellWorld) {
		after(12 * time.Hour)
		w.want(scheduling.SubscriptionRefused)
		if n := w.e.called("subscribe"); n < 5 || n > 40 {
			t.Errorf("it was asked %d times in twelve hours", n)
		}
		if n := w.e.ehr.count(); n < 12*60 {
			t.Errorf("the source was read %d times in twelve hours", n)
		}
		w.e.change(func() { clear(w.e.wrong) })
		after(2 * time.Hour)
		w.beats(1)
		if ids := w.e.ids(); len(ids) != 1 {
			t.Errorf("%v", ids)
		}
	})
}

// Headers that a source refuses, or that do not come, are given up for the path.
func TestTheSecretGoesIntoThePathWhereHeadersDoNotWork(t *testing.T) {
	t.Parallel()
	subscribing(t, nil, func(t *testing.T, w *tellWorld) {
		after(15 * time.Minute) // never a word
		ids := w.e.ids()
		if len(ids) != 1 || ids[0] != "sub-2" || !strings.HasSuffix(w.e.subs["sub-2"].channel.Endpoint, "/key") || w.e.subs["sub-2"].channel.Header != "" {
			t.Fatalf("%+v", w.e.subs)
		}
		w.beats(2)
		w.want(scheduling.SubscriptionLive, "sub-2")
	})
	subscribing(t, func(o *Options, _ *teller) { o.Subscription.Secret = SecretHeader }, func(_ *testing.T, w *tellWorld) {
		after(3 * time.Hour)
		w.want(scheduling.SubscriptionSilent, "sub-1")
	})
}

// Some servers let us create and delete, and change nothing: the new one is there
// before the old one goes.
func TestASourceWithoutUpdateGetsANewOne(t *testing.T) {
	t.Parallel()
	without := func(o *Options, e *teller) {
		o.Subscription.Lifetime = time.Hour
		e.wrong["resubscribe"] = scheduling.Blame(scheduling.SourceRefused, "a", nil, "405")
	}
	subscribing(t, without, func(_ *testing.T, w *tellWorld) {
		w.beats(50)
		w.want(scheduling.SubscriptionLive, "sub-2")
	})
}

func TestAutoAsksOnlyWhereItIsOffered(t *testing.T) {
	t.Parallel()
	auto := func(o *Options, _ *teller) { o.Subscription.Way = SubscribeAuto }
	subscribing(t, auto, func(_ *testing.T, w *tellWorld) { w.want(scheduling.SubscriptionAsked, "sub-1") })
	subscribing(t, func(o *Options, e *teller) { auto(o, e); e.offer = false }, func(t *testing.T, w *tellWorld) {
		after(10 * time.Hour)
		w.want(scheduling.SubscriptionNone)
		if n := w.e.called("offers"); n > 12 {
			t.Errorf("it was asked %d times what it offers", n)
		}
	})
	subscribing(t, func(o *Options, _ *teller) { o.Subscription.Way = "false" }, func(t *testing.T, w *tellWorld) {
		after(10 * time.Hour)
		w.want(scheduling.SubscriptionNone)
		if n := len(w.e.calls); n != 0 {
			t.Errorf("it was asked: %v", w.e.calls)
		}
	})
}

// A source that changes keeps its Subscription; one that is gone, or at another
// address, or is not to tell any more, loses it.
func TestAnotherConfigurationKeepsWhatItStillWants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*Options)
		left []string
	}{
		"another horizon":       {func(o *Options) { o.Horizon = 20 }, []string{"sub-1"}},
		"another address":       {func(o *Options) { o.Source.Base = "https://other" }, []string{"sub-2"}},
		"it is not wanted":      {func(o *Options) { o.Subscription.Way = "false" }, nil},
		"the source is another": {func(o *Options) { o.Source.ID = "b" }, []string{"sub-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subscribing(t, nil, func(t *testing.T, w *tellWorld) {
				w.beats(2)
				o := w.o
				c.bend(&o)
				if err := w.m.Update([]Job{{o, w.e}}); err != nil {
					t.Fatal(err)
				}
				after(time.Minute)
				if ids := w.e.ids(); !slices.Equal(ids, c.left) {
					t.Errorf("there are %v, want %v", ids, c.left)
				}
			})
		})
	}
}
