package cache_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// markSink is a sink that passes marks on, and keeps the latest of each slot.
type markSink struct {
	told   chan scheduling.Mark
	loaded chan bool

	mu     sync.Mutex
	marks  map[string]scheduling.Mark
	raised map[string]uint32
	loads  int
}

func (m *markSink) Load(_ scheduling.SourceID, s scheduling.Snapshot) {
	m.mu.Lock()
	m.marks, m.raised = map[string]scheduling.Mark{}, map[string]uint32{}
	m.loads++
	m.mu.Unlock()
	m.take(s.Marks, s.Generations)
	if m.loaded != nil {
		select {
		case m.loaded <- true:
		default:
		}
	}
}

func (m *markSink) Apply(_ scheduling.SourceID, c scheduling.Change) { m.take(c.Marks, c.Generations) }

func (m *markSink) take(marks []scheduling.Mark, raised map[string]uint32) {
	m.mu.Lock()
	for _, mark := range marks {
		m.marks[mark.Slot] = mark
	}
	for slot, n := range raised {
		m.raised[slot] = n
	}
	m.mu.Unlock()
	if m.told != nil {
		for _, mark := range marks {
			m.told <- mark
		}
	}
}

func (m *markSink) of(slot string) (scheduling.Mark, uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.marks[slot], m.raised[slot]
}

func followSink(t testing.TB, s *cache.Store, sink cache.Sink) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Follow(ctx, []scheduling.SourceID{source}, sink) }()
	t.Cleanup(func() { cancel(); <-ended })
}

func TestFollowersHearOfClaimsFencesAndGenerationsAndLoadThem(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		b := newBooks(t, s, vault.Ephemeral())
		early := &markSink{}
		followSink(t, s, early)
		e := save(t, b, taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot1", "slot2")))
		e.State, e.Used = scheduling.EntryBooked, true
		e = save(t, b, scheduling.EntryChange{Entry: e})
		late := &markSink{}
		followSink(t, s, late)
		for name, sink := range map[string]*markSink{"one that follows": early, "one that loads": late} {
			eventually(t, name+" knows the claims", func() bool {
				m1, g1 := sink.of("slot1")
				m2, g2 := sink.of("slot2")
				return m1.Claimed && m2.Claimed && m1.Fence == 0 && g1 == 1 && g2 == 1
			})
		}
		n, err := s.Begin(t.Context(), source)
		must(t, err)
		e.State = scheduling.EntryCancelled
		save(t, b, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
		later := &markSink{}
		followSink(t, s, later)
		for name, sink := range map[string]*markSink{"one that follows": early, "another": late, "one that loads": later} {
			eventually(t, name+" knows the fence", func() bool {
				m, g := sink.of("slot2")
				return m == scheduling.Mark{Slot: "slot2", Fence: n} && g == 1
			})
		}
	})
}

func TestAChangeThatTouchesNoSlotTellsNobody(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b, c := newBooks(t, open(t, server.URL()), vault.Ephemeral()), client(t, server.URL())
	e := save(t, b, taking(entryOf(scheduling.EntryHolding, "p1", 0, "slot1")))
	feed := "slotgate:{s:napa}:feed"
	before := c.XLen(t.Context(), feed).Val()
	e.State = scheduling.EntryHeld
	e = save(t, b, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsKeep, Wake: time.Minute})
	e = save(t, b, taking(e))
	if after := c.XLen(t.Context(), feed).Val(); before != 1 || after != before {
		t.Errorf("%d entries, then %d", before, after)
	}
	e.Version--
	_, _ = b.Save(t.Context(), scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
	if after := c.XLen(t.Context(), feed).Val(); after != before {
		t.Error("a refused change is told")
	}
}

func TestWhileALostSourceIsNotFilledAgainClaimsAreTold(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		load(t, s)
		sink := &markSink{}
		followSink(t, s, sink)
		loads := func() int { sink.mu.Lock(); defer sink.mu.Unlock(); return sink.loads }
		eventually(t, "the first load", func() bool { return loads() == 1 })
		must(t, server.Restart(t.Context()))
		eventually(t, "Redis is back", func() bool { return s.Ping(t.Context()) == nil })
		b := newBooks(t, s, vault.Ephemeral())
		for _, slot := range []string{"slot1", "slot2"} {
			save(t, b, taking(entryOf(scheduling.EntryHolding, "p1", 0, slot)))
			eventually(t, slot+" is told", func() bool { m, _ := sink.of(slot); return m.Claimed })
		}
		if loads() != 1 {
			t.Error("the source was loaded before a worker filled it")
		}
	})
}

func TestAFenceThatCannotBeReadHidesItsSlot(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, c := open(t, server.URL()), client(t, server.URL())
	must(t, c.HSet(t.Context(), "slotgate:{s:napa}:fences", "slot1", "soon", "slot2", "7").Err())
	sink := &markSink{}
	followSink(t, s, sink)
	eventually(t, "the load", func() bool { m, _ := sink.of("slot2"); return m.Fence == 7 })
	if m, _ := sink.of("slot1"); !m.Claimed {
		t.Errorf("got %+v", m)
	}
}

func TestIdempotencyKeysOfManyCallersAreBegunOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		v := vault.Ephemeral()
		stores := []*cache.Keys{open(t, server.URL()).Keys(v), open(t, server.URL()).Keys(v)}
		states := make([]scheduling.KeyState, 32)
		var wg sync.WaitGroup
		for i := range states {
			wg.Go(func() {
				r, err := stores[i%2].Begin(t.Context(), "p}1{", "k}\x00"+string(make([]byte, 1<<16)), "d", "o", time.Minute)
				if err != nil {
					t.Error(err)
				}
				states[i] = r.State
			})
		}
		wg.Wait()
		slices.Sort(states)
		if states[0] != scheduling.KeyFresh || states[1] != scheduling.KeyRunning || states[31] != scheduling.KeyRunning {
			t.Errorf("states %v", states)
		}
		k := stores[0]
		must(t, k.Finish(t.Context(), "p2", "k", "d", []byte("first"))) // Redis lost the begin
		must(t, k.Finish(t.Context(), "p2", "k", "d", []byte("second")))
		must(t, k.Finish(t.Context(), "p2", "k", "other", []byte("third")))
		r, err := stores[1].Begin(t.Context(), "p2", "k", "d", "o", time.Minute)
		if err != nil || string(r.Answer) != "first" {
			t.Errorf("%q, %v", r.Answer, err)
		}
		c := client(t, server.URL())
		for _, key := range c.Keys(t.Context(), "*:key:*").Val() {
			if ttl := c.TTL(t.Context(), key).Val(); ttl < 23*time.Hour || ttl > 72*time.Hour {
				t.Errorf("a key lives for %v", ttl)
			}
		}
	})
}
