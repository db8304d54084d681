package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// How much a load reads at once: so many fields of a hash, so many days.
const (
	scanCount  = 1000
	daysAtOnce = 16
)

// errMoved says that the source was emptied while it was read.
var errMoved = errors.New("cache: the source changed its life while it was read")

// load hands the sink the whole source, as of a position of its feed: what
// changes meanwhile is named by later entries. It is false, and tells the status
// alone, while the sink holds more than Redis does.
func (f *follower) load(ctx context.Context, t *tracked) (bool, error) {
	l := &loading{f: f, t: t, snap: scheduling.Snapshot{Directory: scheduling.NewDirectory()}}
	if err := l.base(ctx); err != nil {
		return false, fmt.Errorf("load: %w", err)
	}
	if t.handed && t.life != "" && t.life != l.pos.life && !l.snap.Loaded {
		return false, f.wait(t, l.snap)
	}
	if err := l.rest(ctx); err != nil {
		return false, fmt.Errorf("load: %w", err)
	}
	f.hand(func(sink Sink) { sink.Load(t.id, l.snap) })
	f.store.metrics.reloads.WithLabelValues(string(t.id), t.why).Inc()
	f.store.log.Debug("source loaded from Redis", "source", t.id, "why", t.why, "windows", len(l.snap.Windows))
	t.handed, t.waiting, t.why = true, false, ""
	t.life, t.pos, t.status = l.pos.life, l.pos, l.snap.Status
	t.dir = cloneDirectory(l.snap.Directory)
	f.behind(t, l.pos)
	return true, nil
}

// wait keeps what the sink has, and passes on what the workers say of their
// progress, and which slots are claimed meanwhile.
func (f *follower) wait(t *tracked, snap scheduling.Snapshot) error {
	status := snap.Status
	if !t.waiting {
		f.store.log.Warn("Redis lost a source; its offers stay as they are until a worker has filled it again", "source", t.id)
	}
	t.waiting, t.why = true, ""
	if status.Source != "" && !reflect.DeepEqual(status, t.status) {
		t.status = status
		f.hand(func(sink Sink) { sink.Apply(t.id, scheduling.Change{Status: &status}) })
	}
	if len(snap.Marks) > 0 || len(snap.Generations) > 0 {
		f.hand(func(sink Sink) {
			sink.Apply(t.id, scheduling.Change{Marks: snap.Marks, Generations: snap.Generations})
		})
	}
	return nil
}

// loading is one load of a source.
type loading struct {
	f    *follower
	t    *tracked
	pos  position
	days []scheduling.Day
	snap scheduling.Snapshot
}

// base reads the position first, and then all that is small.
func (l *loading) base(ctx context.Context) error {
	k := l.t.keys
	pipe := l.f.store.client.Pipeline()
	meta := pipe.HMGet(ctx, k.meta(), positionFields()...)
	days, checks := pipe.SMembers(ctx, k.days()), pipe.HGetAll(ctx, k.checks())
	generations, status := pipe.HGetAll(ctx, k.generations()), pipe.Get(ctx, k.status())
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	l.pos, l.days = readPosition(meta.Val()), readDays(days.Val())
	for field, text := range checks.Val() {
		c, err := readCheck(field, text)
		if err != nil {
			l.f.damaged(l.t, "check")
			continue
		}
		if !c.Floor {
			l.snap.Checks = append(l.snap.Checks, c.domain())
		}
	}
	for slot, text := range generations.Val() {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			l.f.damaged(l.t, "generation")
			continue
		}
		if l.snap.Generations == nil {
			l.snap.Generations = map[string]uint32{}
		}
		l.snap.Generations[slot] = uint32(n)
	}
	if status.Err() == nil {
		l.snap.Status, _ = l.f.readStatus(l.t, status.Val())
	}
	l.snap.Loaded = !l.snap.Status.Loaded.IsZero()
	return l.marks(ctx)
}

// rest reads directory and windows, and makes sure that it was all one life.
func (l *loading) rest(ctx context.Context) error {
	err := l.scan(ctx, []string{l.t.keys.directory()}, func(_ int, name, text string) {
		if !putRecord(l.snap.Directory, name, text) {
			l.f.damaged(l.t, "directory")
		}
	})
	if err != nil {
		return err
	}
	for days := l.days; len(days) > 0; {
		part := days[:min(daysAtOnce, len(days))]
		days = days[len(part):]
		if err := l.windows(ctx, part); err != nil {
			return err
		}
	}
	l.age()
	life, err := l.f.store.client.HGet(ctx, l.t.keys.meta(), "life").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if life != l.pos.life {
		return errMoved
	}
	return nil
}

func (l *loading) windows(ctx context.Context, days []scheduling.Day) error {
	keys := make([]string, len(days))
	at := make([]map[string]int, len(days)) // where each schedule's window is, since a scan may tell it twice
	for i, day := range days {
		keys[i], at[i] = l.t.keys.windows(day), map[string]int{}
	}
	return l.scan(ctx, keys, func(i int, schedule, data string) {
		w, ok := l.f.decode(l.t, scheduling.WindowKey{Schedule: schedule, Day: days[i]}, data)
		if !ok {
			return
		}
		if known, twice := at[i][schedule]; twice {
			l.snap.Windows[known] = w
			return
		}
		at[i][schedule] = len(l.snap.Windows)
		l.snap.Windows = append(l.snap.Windows, w)
	})
}

// scan reads hashes, several at a time, each in pieces.
func (l *loading) scan(ctx context.Context, keys []string, each func(i int, field, value string)) error {
	cursors := make([]uint64, len(keys))
	open := make([]int, len(keys))
	for i := range open {
		open[i] = i
	}
	for len(open) > 0 {
		pipe := l.f.store.client.Pipeline()
		asked := make([]*redis.ScanCmd, len(open))
		for n, i := range open {
			asked[n] = pipe.HScan(ctx, keys[i], cursors[i], "", scanCount)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		var more []int
		for n, i := range open {
			pairs, cursor := asked[n].Val()
			for p := 0; p+1 < len(pairs); p += 2 {
				each(i, pairs[p], pairs[p+1])
			}
			if cursors[i] = cursor; cursor != 0 {
				more = append(more, i)
			}
		}
		open = more
	}
	return nil
}

// age tells each window how fresh it is.
func (l *loading) age() {
	checks := make([]check, len(l.snap.Checks))
	for i, c := range l.snap.Checks {
		checks[i] = newCheck(c.Scope, c.Fetch, c.At)
	}
	ages := newAges(checks, l.days)
	for i := range l.snap.Windows {
		l.snap.Windows[i].Checked = ages.checked(l.snap.Windows[i])
	}
}

func (f *follower) readStatus(t *tracked, text string) (status scheduling.Status, ok bool) {
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		f.damaged(t, "status")
		return scheduling.Status{}, false
	}
	return status, true
}

// records reads the records of these names and gives the directory with them,
// nil when there are none.
func (f *follower) records(ctx context.Context, t *tracked, names map[string]bool) (*scheduling.Directory, error) {
	if len(names) == 0 {
		return nil, nil
	}
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	texts, err := f.store.client.HMGet(ctx, t.keys.directory(), list...).Result()
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	dir := cloneDirectory(t.dir)
	for i, name := range list {
		if !putRecord(dir, name, textAt(texts, i)) {
			f.damaged(t, "directory")
		}
	}
	t.dir = dir
	return &dir, nil
}
