package cache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// How long a settled entry is remembered: longer than replicas lag behind. It is
// forgotten only once Redis was seen to have it then, so that an outage of any
// length before a failover does no harm. And how often Run looks.
const (
	rememberFor = 10 * time.Second
	assertEvery = time.Second
)

// memory is what this process saved and may have to put back.
type memory struct {
	mu   sync.Mutex
	kept map[string]kept // by id of the entry
}

// kept is one of them. Its text is sealed as it was in Redis.
type kept struct {
	save    save
	claims  bool
	settled bool
	partly  bool      // when it was put back, another entry had one of its slots
	at      time.Time // when it was saved, by our clock
}

func (m *memory) put(e scheduling.Entry, s save, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.kept[e.ID]; ok && known.save.rec.version > e.Version {
		return
	}
	watched := e.Doubt != nil && s.wake > 0 // not booked, as was told, but still looked for
	settled := !e.State.InFlight() && e.State != scheduling.EntryHeld && !isUnsettled(e) && !watched
	m.kept[e.ID] = kept{save: s, claims: e.State.Claims(), settled: settled, at: now}
}

// drop forgets it, unless it was saved anew meanwhile.
func (m *memory) drop(k kept) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[k.save.rec.id].save.nonce == k.save.nonce {
		delete(m.kept, k.save.rec.id)
	}
}

func (m *memory) all() []kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]kept, 0, len(m.kept))
	for _, k := range m.kept {
		all = append(all, k)
	}
	return all
}

// Run puts back what Redis loses, until ctx ends; it gives the error of ctx.
func (b *Books) Run(ctx context.Context) error {
	tick := time.NewTicker(assertEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if n, err := b.Reassert(ctx); err != nil && ctx.Err() == nil {
				b.store.log.Debug("what Redis has of our entries cannot be read now", "error", err)
			} else if n > 0 {
				b.store.log.Warn("Redis had lost entries, which were put back", "entries", n)
			}
		}
	}
}

// assertAtOnce is how many entries are compared in one pipeline.
const assertAtOnce = 256

// Reassert compares what this process saved and remembers with what Redis has,
// and puts back what is older there, or absent: the highest version wins. It
// tells how many those were.
func (b *Books) Reassert(ctx context.Context) (restored int, err error) {
	for rest := b.memory.all(); len(rest) > 0; {
		part := rest[:min(assertAtOnce, len(rest))]
		rest = rest[len(part):]
		pipe := b.store.client.Pipeline()
		asked := make([]*redis.SliceCmd, len(part))
		for i, k := range part {
			asked[i] = pipe.HMGet(ctx, b.store.keys.source(k.save.rec.source).entry(k.save.rec.id), "v", "n")
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return restored, b.store.fault(err)
		}
		for i, k := range part {
			done, err := b.compare(ctx, k, textAt(asked[i].Val(), 0), textAt(asked[i].Val(), 1))
			if err != nil {
				return restored, b.store.fault(err)
			}
			if done {
				restored++
			}
		}
	}
	return restored, nil
}

// compare looks at one entry that has this version and nonce in Redis.
func (b *Books) compare(ctx context.Context, k kept, version, nonce string) (restored bool, err error) {
	stored, _ := strconv.ParseUint(version, 10, 64)
	ours := k.save.rec.version
	switch {
	case stored > ours, stored == ours && nonce != k.save.nonce:
		// Another one changed it, and is the one to remember it.
		b.memory.drop(k)
		return false, nil
	case stored == ours && k.settled && time.Since(k.at) > rememberFor:
		b.memory.drop(k)
		return false, nil
	case stored == ours && k.partly:
		_, err := b.putBack(ctx, k)
		return false, err
	case stored == ours:
		return false, nil
	}
	b.sealing.forget()
	restored, err = b.putBack(ctx, k)
	if restored {
		b.store.metrics.asserted.WithLabelValues(string(k.save.rec.source)).Inc()
	}
	return restored, err
}

// putBack saves it again. A slot that another entry has is asked for again the
// next time: that entry may have ended since, and not have been put back yet.
func (b *Books) putBack(ctx context.Context, k kept) (bool, error) {
	if err := b.sealing.keep(ctx, k.save.rec.until); err != nil {
		return false, err
	}
	answer, err := b.run(ctx, k.again())
	if err != nil || (answer != saveDone && answer != savePartly) {
		return false, err
	}
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	if now, ok := b.memory.kept[k.save.rec.id]; ok && now.save.nonce == k.save.nonce {
		now.partly = answer == savePartly
		b.memory.kept[k.save.rec.id] = now
	}
	return true, nil
}

// again is the save that puts the entry back. Its wake comes when it would
// have; what is booked is due at once, since another gateway, which is gone, may
// have saved a later version, which is gone too: the EHR is asked.
func (k kept) again() save {
	s := k.save
	s.mode, s.unexpired, s.replicas = "assert", false, 0
	s.claims = scheduling.ClaimsFence
	if k.claims {
		s.claims = scheduling.ClaimsTake
	}
	if s.wake > 0 {
		s.wake = max(s.wake-time.Since(k.at), time.Millisecond)
	}
	if k.settled && k.claims {
		s.wake = time.Millisecond
	}
	return s
}
