package cache

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"slotgate/scheduling"
)

// Two changes of an entry of which neither follows the other: Redis lost ours,
// and another gateway, which did not know of it, went on from what was left. It
// takes a loss of Redis and a gateway that was away for longer than it is
// waited for. Both may stand at the EHR, so that neither may be forgotten.

// verdict says what becomes of ours.
type verdict int

const (
	yields  verdict = iota // nothing of ours stands at the EHR, or it is the same
	waits                  // a call for theirs may be under way: its end decides
	wins                   // ours stands at the EHR, theirs cannot
	clashes                // both may stand: a person must see to it
)

// contest judges ours against theirs.
func contest(ours, theirs scheduling.Entry) verdict {
	booked := func(e scheduling.Entry) bool { return e.Used && e.State.Claims() }
	unknown := theirs.State.InFlight() || theirs.State == scheduling.EntryDoubt
	same := ours.Principal == theirs.Principal && (ours.Native == theirs.Native || ours.Native == "")
	switch {
	case !ours.State.Claims() && !ours.Used:
		return yields
	case unknown:
		return waits
	case ours.State == scheduling.EntryHolding, ours.State == scheduling.EntryHeld, ours.State == scheduling.EntryReleasing:
		return yields // it was given back meanwhile, or runs out at the EHR
	case !theirs.State.Claims() && !theirs.Used:
		return wins
	case ours.State.Claims() && same && theirs.Reason == scheduling.Restored:
		return wins // of the same appointment the EHR shows less than ours has
	case !ours.State.Claims() || same:
		return yields
	case booked(theirs):
		return clashes
	default:
		return wins // over a hold, and over what has ended
	}
}

// contend judges an entry of ours against the one that stands in its place.
func (b *Books) contend(ctx context.Context, k kept) (restored bool, err error) {
	key := b.store.keys.source(k.save.rec.source).entry(k.save.rec.id)
	values, err := b.store.client.HMGet(ctx, key, "v", "n", "h", "e").Result()
	if err != nil {
		return false, err
	}
	r := readRow(values)
	var ours, theirs scheduling.Entry
	if json.Unmarshal([]byte(k.save.rec.text), &ours) != nil || json.Unmarshal([]byte(textAt(values, 3)), &theirs) != nil {
		return false, errDamaged
	}
	switch contest(ours, theirs) {
	case waits:
		if !k.waits {
			b.store.log.Warn("another entry took the place of one that Redis had lost; its end is waited for", "ours", ours, "theirs", theirs)
			b.memory.wait(k)
		}
		return false, nil
	case wins:
		over, err := k.over(r, ours)
		if err != nil || !b.memory.replace(k, over) {
			return false, err
		}
		return b.restoreKept(ctx, over, r.nonce)
	case clashes:
		b.store.metrics.rivals.WithLabelValues(string(ours.Source)).Inc()
		b.store.log.Error("two appointments may stand for one offer: one of them is not in the books, and a person must see to it",
			"lost", ours, "kept", theirs)
	}
	b.memory.drop(k)
	return false, nil
}

// over is ours as a change that follows theirs.
func (k kept) over(r row, ours scheduling.Entry) (kept, error) {
	ours.Version = max(r.version, ours.Version) + 1
	text, err := json.Marshal(ours)
	if err != nil {
		return kept{}, err
	}
	k.save.rec.version, k.save.rec.text = ours.Version, string(text)
	before := append(strings.Fields(r.history), k.save.nonce)
	k.save.nonce = nonce()
	before = append(before, k.save.nonce)
	k.save.history = " " + strings.Join(before[max(0, len(before)-historyLength):], " ")
	k.save.rec.digests = slices.Clone(k.save.rec.digests)
	return k, nil
}

// wait remembers that it was told that k waits.
func (m *memory) wait(k kept) {
	waiting := k
	waiting.waits = true
	m.replace(k, waiting)
}

// replace puts one in the place of k, unless it was saved anew meanwhile.
func (m *memory) replace(k, by kept) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[k.save.rec.id].save.nonce != k.save.nonce {
		return false
	}
	m.kept[k.save.rec.id] = by
	return true
}
