package cache_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

func TestAGatewaysAskReachesTheWorkersAlsoAfterAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	open := func() *cache.Store {
		s, err := cache.Open(t.Context(), cache.Options{URL: server.URL(), FeedPoll: 10 * time.Millisecond}, cache.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	gateway, worker := open(), open()
	var mu sync.Mutex
	var heard []scheduling.Scope
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		worker.HearRefetches(ctx, func(source scheduling.SourceID, scope scheduling.Scope, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			if source == "napa" {
				heard = append(heard, scope)
			}
		})
	}()
	defer func() { cancel(); <-done }()
	want := scheduling.Scope{Days: scheduling.Days{From: 20_000, To: 20_001}, Schedules: []string{"s-1"}}
	arrives := func() {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; {
			// Nobody may listen yet: what is not heard is asked again.
			_ = gateway.AskRefetch(t.Context(), "napa", want)
			mu.Lock()
			got := heard
			mu.Unlock()
			if len(got) > 0 {
				if !reflect.DeepEqual(got[0], want) {
					t.Fatalf("heard %+v, asked %+v", got[0], want)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("nothing was heard")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	arrives()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	heard = nil
	mu.Unlock()
	arrives()
}

func TestAnAskWhileRedisIsAwayIsRefusedWithTheCodeForIt(t *testing.T) {
	t.Parallel()
	s, err := cache.Open(t.Context(), cache.Options{URL: "redis://127.0.0.1:1/0"}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.AskRefetch(t.Context(), "napa", scheduling.Scope{})
	var e *scheduling.Error
	if !errors.As(err, &e) || e.Code != scheduling.Shedding {
		t.Errorf("%v", err)
	}
}
