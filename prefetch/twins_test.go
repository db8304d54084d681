package prefetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slotgate/scheduling"
)

// The probe of go-redis for a server that is gone sleeps a second, also when its pool is closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

var errDown = errors.New("connection refused")

// memory is a store and a leaser in memory: the twin of the real ones for tests
// of the loop.
type memory struct {
	mu       sync.Mutex
	down     bool
	full     bool // it answers, but begins no fetch
	begins   int
	life     int
	counters map[scheduling.SourceID]uint64
	windows  map[scheduling.SourceID]map[scheduling.WindowKey]scheduling.Window
	dirs     map[scheduling.SourceID]scheduling.Directory
	statuses map[scheduling.SourceID]scheduling.Status
	history  []scheduling.Status
	dropped  []scheduling.Day
	leases   map[scheduling.SourceID]*memoryLease
	replaced []scheduling.Fetched
	puts     int // whole directories
}

func newMemory() *memory {
	m := &memory{}
	m.wipe()
	return m
}

// wipe is a Redis that came back empty.
func (m *memory) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life++
	m.counters = map[scheduling.SourceID]uint64{}
	m.windows = map[scheduling.SourceID]map[scheduling.WindowKey]scheduling.Window{}
	m.dirs = map[scheduling.SourceID]scheduling.Directory{}
	m.statuses = map[scheduling.SourceID]scheduling.Status{}
	if m.leases == nil {
		m.leases = map[scheduling.SourceID]*memoryLease{}
	}
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	m.down = down
	m.mu.Unlock()
}

// lock fails while the store is down.
func (m *memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return errDown
	}
	return nil
}

func (m *memory) Begin(ctx context.Context, source scheduling.SourceID) (uint64, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	m.begins++
	if m.full {
		return 0, errors.New("OOM command not allowed")
	}
	m.counters[source]++
	return m.counters[source], nil
}

func (m *memory) Known(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (int, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for key, window := range m.windows[source] {
		if scope.Covers(key) {
			n += len(window.Slots)
		}
	}
	return n, nil
}

func (m *memory) KnownAmong(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope, ids []string) (map[scheduling.WindowKey][]scheduling.Slot, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	found := map[scheduling.WindowKey][]scheduling.Slot{}
	for key, window := range m.windows[source] {
		for _, slot := range window.Slots {
			if scope.Covers(key) && slices.Contains(ids, slot.ID) {
				found[key] = append(found[key], slot)
			}
		}
	}
	return found, nil
}

func (m *memory) Replace(ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, got scheduling.Fetched) (scheduling.Replaced, error) {
	if err := m.lock(ctx); err != nil {
		return scheduling.Replaced{}, err
	}
	defer m.mu.Unlock()
	if !got.Complete {
		panic("an incomplete answer was put in place")
	}
	m.replaced = append(m.replaced, got)
	var did scheduling.Replaced
	if m.windows[source] == nil {
		m.windows[source] = map[scheduling.WindowKey]scheduling.Window{}
	}
	for key := range m.windows[source] {
		if _, kept := got.Windows[key]; got.Scope.Covers(key) && !kept {
			delete(m.windows[source], key)
			did.Removed++
		}
	}
	for key, slots := range got.Windows {
		if !got.Scope.Covers(key) {
			panic("a window outside of the scope was put in place")
		}
		m.windows[source][key] = scheduling.Window{Key: key, Slots: slots, Fetch: fetch, Checked: at}
		did.Written++
		did.Slots += len(slots)
	}
	return did, nil
}

func (m *memory) DropBefore(ctx context.Context, source scheduling.SourceID, day scheduling.Day) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.dropped = append(m.dropped, day)
	maps.DeleteFunc(m.windows[source], func(key scheduling.WindowKey, _ scheduling.Window) bool { return key.Day < day })
	return nil
}

func (m *memory) PutDirectory(ctx context.Context, source scheduling.SourceID, dir scheduling.Directory) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.puts++
	m.dirs[source] = dir
	return nil
}

func (m *memory) MergeDirectory(ctx context.Context, source scheduling.SourceID, found scheduling.Directory) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	whole := scheduling.NewDirectory()
	whole.Merge(m.dirs[source])
	whole.Merge(found)
	m.dirs[source] = whole
	return nil
}

func (m *memory) Status(ctx context.Context, source scheduling.SourceID) (scheduling.Status, bool, error) {
	if err := m.lock(ctx); err != nil {
		return scheduling.Status{}, false, err
	}
	defer m.mu.Unlock()
	status, ok := m.statuses[source]
	return status, ok, nil
}

func (m *memory) PutStatus(ctx context.Context, status scheduling.Status) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.statuses[status.Source] = status
	m.history = append(m.history, status)
	return nil
}

func (m *memory) Epoch(ctx context.Context) (string, error) {
	if err := m.lock(ctx); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	return fmt.Sprint("life ", m.life), nil
}

type memoryLease struct {
	m      *memory
	source scheduling.SourceID
	ttl    time.Duration
	until  time.Time
	dead   bool // its worker was killed: it neither renews nor releases
}

func (m *memory) Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	if err := m.lock(ctx); err != nil {
		return nil, false, err
	}
	defer m.mu.Unlock()
	if held := m.leases[source]; held != nil && time.Now().Before(held.until) {
		return nil, false, nil
	}
	lease := &memoryLease{m: m, source: source, ttl: ttl, until: time.Now().Add(ttl)}
	m.leases[source] = lease
	return lease, true, nil
}

func (l *memoryLease) Renew(ctx context.Context) error {
	if err := l.m.lock(ctx); err != nil {
		return err
	}
	defer l.m.mu.Unlock()
	if l.dead || l.m.leases[l.source] != l || !time.Now().Before(l.until) {
		return errors.New("lost")
	}
	l.until = time.Now().Add(l.ttl)
	return nil
}

func (l *memoryLease) Release(ctx context.Context) error {
	if err := l.m.lock(ctx); err != nil {
		return err
	}
	defer l.m.mu.Unlock()
	if !l.dead && l.m.leases[l.source] == l {
		delete(l.m.leases, l.source)
	}
	return nil
}

// open counts the open slots of a source in the store.
func (m *memory) open(source scheduling.SourceID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, window := range m.windows[source] {
		n += len(window.Slots)
	}
	return n
}

// puttings counts the answers that were put in place.
func (m *memory) puttings() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.replaced)
}

func (m *memory) status(source scheduling.SourceID) scheduling.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.statuses[source]
}

// options are those of a small source whose days are UTC's.
func options(id scheduling.SourceID) Options {
	return Options{
		Source: scheduling.Source{ID: id, Zone: time.UTC}, Horizon: 27,
		NearDays: 2, MiddleDays: 14,
	}
}

// start runs a manager until the test ends or stop is called.
func start(t *testing.T, store *memory, jobs ...Job) (m *Manager, stop func()) {
	t.Helper()
	return startWith(t, Deps{Writer: store, Leaser: store}, jobs...)
}

func startWith(t *testing.T, deps Deps, jobs ...Job) (m *Manager, stop func()) {
	t.Helper()
	if deps.Jitter == nil {
		deps.Jitter = func() float64 { return 0.5 }
	}
	m = NewManager(deps, jobs)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error("Run:", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return m, stop
}

// after lets d go by in the bubble, and everything come to rest.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// bubble runs a test where time stands still while somebody works, with an empty
// store and an EHR of these schedules: a slot a day each, on 28 days.
func bubble(t *testing.T, schedules []string, test func(t *testing.T, store *memory, e *ehr)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newMemory(), newEHR(28, schedules...)) })
}

// loaded is bubble, and the EHR was read once, as the source a.
func loaded(t *testing.T, schedules []string, test func(t *testing.T, store *memory, e *ehr)) {
	t.Helper()
	bubble(t, schedules, func(t *testing.T, store *memory, e *ehr) {
		start(t, store, Job{options("a"), e})
		synctest.Wait()
		test(t, store, e)
	})
}
