package cache

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// How long a settled entry is remembered: longer than replicas lag behind. It is
// forgotten only once Redis was seen to have it then, so that an outage of any
// length before a failover does no harm. Where Redis went farther back than
// rememberedFor the memory does not reach: the books are lost. And how often Run
// looks where nothing was lost.
const (
	rememberFor   = 10 * time.Second
	rememberedFor = rememberFor * 4 / 5
	assertEvery   = time.Second
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
	waits   bool      // it was told that another entry stands in its place
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

// of gives what is remembered of a source.
func (m *memory) of(source scheduling.SourceID) []kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []kept
	for _, k := range m.kept {
		if k.save.rec.source == source {
			list = append(list, k)
		}
	}
	return list
}

// assertAtOnce is how many entries are compared in one pipeline.
const assertAtOnce = 256

// reassert compares what this process saved at a source and remembers with what
// Redis has, and puts back what is older there, or absent. It tells how many
// those were.
func (b *Books) reassert(ctx context.Context, source scheduling.SourceID) (restored int, err error) {
	for rest := b.memory.of(source); len(rest) > 0; {
		part := rest[:min(assertAtOnce, len(rest))]
		rest = rest[len(part):]
		pipe := b.store.client.Pipeline()
		asked := make([]*redis.SliceCmd, len(part))
		for i, k := range part {
			asked[i] = pipe.HMGet(ctx, b.store.keys.source(source).entry(k.save.rec.id), "v", "n", "h")
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return restored, err
		}
		for i, k := range part {
			done, err := b.compare(ctx, k, readRow(asked[i].Val()))
			if err != nil {
				return restored, err
			}
			if done {
				restored++
			}
		}
	}
	return restored, nil
}

// row is what Redis has of an entry, as far as it is compared.
type row struct {
	version uint64
	nonce   string
	history string
}

func readRow(values []any) row {
	version, _ := strconv.ParseUint(textAt(values, 0), 10, 64)
	return row{version, textAt(values, 1), textAt(values, 2)}
}

// historyLength is how many changes a history names.
const historyLength = 8

// follows tells whether a change of this version and history came after the one
// of that nonce and version. Too many changes later the history does not tell.
func follows(history string, version uint64, nonce string, was uint64) bool {
	return strings.Contains(history, nonce) || version >= was+historyLength
}

// compare looks at one entry that stands so in Redis.
func (b *Books) compare(ctx context.Context, k kept, r row) (restored bool, err error) {
	ours := k.save.rec.version
	switch {
	case r.nonce == k.save.nonce:
		if k.partly {
			_, err = b.putBack(ctx, k, r.nonce)
		} else if k.settled && time.Since(k.at) > rememberFor {
			b.memory.drop(k)
		}
		return false, err
	case r.nonce == "" || r.version < ours && follows(k.save.history, ours, r.nonce, r.version):
		return b.restoreKept(ctx, k, r.nonce)
	case follows(r.history, r.version, k.save.nonce, ours):
		// Another one changed it, and is the one to remember it.
		b.memory.drop(k)
		return false, nil
	default:
		return b.contend(ctx, k)
	}
}

// restoreKept puts back what Redis has lost, in place of the change of this
// nonce.
func (b *Books) restoreKept(ctx context.Context, k kept, instead string) (restored bool, err error) {
	b.sealing.forget()
	restored, err = b.putBack(ctx, k, instead)
	if restored {
		b.store.metrics.asserted.WithLabelValues(string(k.save.rec.source)).Inc()
	}
	return restored, err
}

// putBack saves it again. A slot that another entry has is asked for again the
// next time: that entry may have ended since, and not have been put back yet.
func (b *Books) putBack(ctx context.Context, k kept, instead string) (bool, error) {
	if err := b.sealing.keep(ctx, k.save.rec.until); err != nil {
		return false, err
	}
	again := k.again()
	again.compared = instead
	answer, err := b.run(ctx, &again)
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
