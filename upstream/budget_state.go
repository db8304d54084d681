package upstream

import (
	"math"
	"time"
)

// state is what the admin listener shows.
func (b *budget) state() map[string]any {
	left := b.pauseLeft()
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := map[string]int{}
	for rank, l := range lanes {
		waiting[string(l)] = len(b.queues[rank])
	}
	share := b.press.at(time.Now())
	out := map[string]any{
		"rate": b.rate, "concurrency": b.places, "share": math.Round(100*share) / 100, "inFlight": b.busy, "waiting": waiting,
		"day": b.dayState(),
	}
	if left > 0 {
		out["pausedFor"] = left.Round(time.Second).String()
	}
	if j := b.joint; j != nil {
		out["shared"] = !j.alone
		out["nodes"] = j.nodes
		out["others"] = j.others
		out["part"] = math.Round(100*j.part()) / 100
	}
	return out
}

func (b *budget) dayState() map[string]any {
	now := b.today()
	b.day.roll(now)
	out := map[string]any{"spent": b.day.spent, "until": b.day.to.UTC().Format(time.RFC3339)}
	if b.day.limit > 0 {
		out["limit"] = b.day.limit
		out["left"] = max(0, b.day.limit-b.day.spent)
		out["prefetchLeft"] = max(0, b.day.most[lanePrefetch.rank()]-b.day.spent)
	}
	return out
}
