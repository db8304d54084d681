package cache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// head says what is in a window without saying it: number of the fetch that
// wrote it (8 bytes), digest of its content (8 bytes), number of slots (uvarint).
type head struct {
	fetch  uint64
	digest [8]byte
	slots  int
}

func (h head) pack() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 20), h.fetch)
	b = append(b, h.digest[:]...)
	return string(binary.AppendUvarint(b, uint64(h.slots)))
}

func readHead(text string) (head, error) {
	if len(text) < 16 {
		return head{}, errDamaged
	}
	h := head{fetch: binary.BigEndian.Uint64([]byte(text[:8]))}
	copy(h.digest[:], text[8:16])
	r := &reader{rest: text[16:]}
	h.slots = int(r.uvarint())
	return h, r.end()
}

func digestOf(content []byte) (digest [8]byte) {
	sum := sha256.Sum256(content)
	copy(digest[:], sum[:])
	return digest
}

// view is what a comparison is based on: the heads of a scope, and the revision
// that tells whether they are still the same when we write.
type view struct {
	rev    string
	fetch  uint64           // the latest number that was given
	days   []scheduling.Day // of the scope, in order
	checks []check
	stands []string // scopes that have one
	heads  map[scheduling.WindowKey]head
}

// view reads the heads of a scope. The revision is read first: what changes
// while we read gives another one.
func (s *Store) view(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (*view, error) {
	k := s.keys.source(source)
	pipe := s.client.Pipeline()
	meta := pipe.HMGet(ctx, k.meta(), "rev", "fetch")
	days := pipe.SMembers(ctx, k.days())
	checks, stands := pipe.HGetAll(ctx, k.checks()), pipe.HKeys(ctx, k.stands())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	v := &view{heads: map[scheduling.WindowKey]head{}, stands: stands.Val()}
	v.rev = textAt(meta.Val(), 0)
	v.fetch, _ = strconv.ParseUint(textAt(meta.Val(), 1), 10, 64)
	v.days = slices.DeleteFunc(readDays(days.Val()), func(d scheduling.Day) bool { return !scope.Days.Has(d) })
	for field, text := range checks.Val() {
		c, err := readCheck(field, text)
		if err != nil {
			// It covers nothing, and goes with the next DropBefore.
			c = check{field: field}
		}
		v.checks = append(v.checks, c)
	}
	return v, s.readHeads(ctx, k, scope.Schedules, v)
}

func (s *Store) readHeads(ctx context.Context, k sourceKeys, schedules []string, v *view) error {
	if len(v.days) == 0 {
		return nil
	}
	pipe := s.client.Pipeline()
	all, some := map[scheduling.Day]*redis.MapStringStringCmd{}, map[scheduling.Day]*redis.SliceCmd{}
	for _, day := range v.days {
		if len(schedules) == 0 {
			all[day] = pipe.HGetAll(ctx, k.heads(day))
		} else {
			some[day] = pipe.HMGet(ctx, k.heads(day), schedules...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	for day, cmd := range all {
		for schedule, text := range cmd.Val() {
			v.add(scheduling.WindowKey{Schedule: schedule, Day: day}, text)
		}
	}
	for day, cmd := range some {
		for i, schedule := range schedules {
			if text := textAt(cmd.Val(), i); text != "" {
				v.add(scheduling.WindowKey{Schedule: schedule, Day: day}, text)
			}
		}
	}
	return nil
}

// add takes a head. One that cannot be read is as if it had another content, so
// that it is written anew.
func (v *view) add(key scheduling.WindowKey, text string) {
	h, err := readHead(text)
	if err != nil {
		h = head{}
	}
	v.heads[key] = h
}

// later are the checks and floors of fetches after this one that touch the days.
func (v *view) later(fetch uint64, days scheduling.Days) []check {
	var later []check
	for _, c := range v.checks {
		if c.Fetch > fetch && c.overlaps(days) {
			later = append(later, c)
		}
	}
	return later
}

// textAt is a value of HMGET, "" when there is none.
func textAt(values []any, i int) string {
	if i >= len(values) {
		return ""
	}
	text, _ := values[i].(string)
	return text
}

// readDays are the days in order; what is no number is left out.
func readDays(texts []string) []scheduling.Day {
	days := make([]scheduling.Day, 0, len(texts))
	for _, text := range texts {
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			days = append(days, scheduling.Day(n))
		}
	}
	slices.Sort(days)
	return days
}
