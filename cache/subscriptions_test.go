package cache_test

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

func TestASubscriptionIsRememberedForAllNodesUntilItIsDropped(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	worker, gateway := open(t, server.URL()).Subscriptions(), open(t, server.URL()).Subscriptions()
	read := func() scheduling.Subscribed {
		t.Helper()
		sub, err := worker.Subscription(t.Context(), "napa")
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	put := func(sub scheduling.Subscribed) {
		t.Helper()
		if err := worker.PutSubscription(t.Context(), "napa", sub); err != nil {
			t.Fatal(err)
		}
	}
	heard := func() {
		t.Helper()
		if err := gateway.Heard(t.Context(), "napa"); err != nil {
			t.Fatal(err)
		}
	}
	if sub := read(); sub != (scheduling.Subscribed{Heard: -time.Millisecond}) {
		t.Errorf("of nothing: %+v", sub)
	}
	put(scheduling.Subscribed{Digest: "d"}) // about to be asked for
	heard()                                 // its channel is tried before the answer is there
	want := scheduling.Subscribed{ID: "7", Digest: "d", End: time.Unix(2e9, 0).UTC(), Since: time.Unix(1e9, 0).UTC(), InPath: true}
	put(want)
	sub := read()
	if sub.Heard < 0 || sub.Heard > time.Minute {
		t.Errorf("heard %v ago", sub.Heard)
	}
	if want.Heard = sub.Heard; sub != want {
		t.Errorf("%+v, want %+v", sub, want)
	}
	put(scheduling.Subscribed{Digest: "d"}) // begun anew: what was heard before does not count
	if sub := read(); sub.Heard >= 0 {
		t.Errorf("%+v", sub)
	}
	if err := worker.DropSubscription(t.Context(), "napa"); err != nil || read().Digest != "" {
		t.Error(read(), err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Subscription(t.Context(), "napa"); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Error(err)
	}
	if err := gateway.Heard(t.Context(), "napa"); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Error(err)
	}
}

func TestANoticeReachesTheWorkers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	gateway, worker := open(t, server.URL()), open(t, server.URL())
	var mu sync.Mutex
	var heard []scheduling.Notice
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		worker.HearNotices(ctx, func(source scheduling.SourceID, n scheduling.Notice) {
			mu.Lock()
			defer mu.Unlock()
			if source == "napa" {
				heard = append(heard, n)
			}
		})
	}()
	defer func() { cancel(); <-done }()
	want := scheduling.Notice{
		Schedule: "s-1", Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "p"}},
		Start: "2026-11-24", End: "2026-11-24T10:00:00-08:00",
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		// Nobody may listen yet. A notice that is none is not handed on.
		_ = gateway.TellNotice(t.Context(), "napa", scheduling.Notice{Start: "nonsense"})
		_ = gateway.TellNotice(t.Context(), "napa", want)
		mu.Lock()
		got := heard
		mu.Unlock()
		if len(got) > 0 {
			if !reflect.DeepEqual(got[0], want) {
				t.Errorf("heard %+v", got[0])
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was heard")
		}
	}
}
