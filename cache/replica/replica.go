package replica

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"slotgate/scheduling"
)

// Replica is the copy of all sources. It is safe for concurrent use: readers
// never wait, writers of one source wait for each other.
type Replica struct {
	opts    Options
	table   atomic.Pointer[table]
	metrics *metrics

	mu      sync.Mutex    // held while sources are reconfigured
	changed chan struct{} // closed when the list of sources is another one
}

// table is the configured sources. It is immutable.
type table struct {
	list  []*entry // in order of id
	byID  map[scheduling.SourceID]*entry
	byTag map[string][]*entry // the first part of our ids: rarely two alike
}

var _ Sink = (*Replica)(nil)

// New makes a replica that knows its sources and nothing of their slots.
// Options must be valid.
func New(opts Options) *Replica {
	opts = opts.withDefaults()
	r := &Replica{opts: opts, changed: make(chan struct{})}
	r.table.Store(&table{})
	r.metrics = newMetrics(opts.Registerer, r, opts.Logger)
	r.SetSources(opts.Sources)
	return r
}

// SetSources takes another configuration of sources. Those that stay keep what
// is known of them, new ones are followed by Run, the others are forgotten.
func (r *Replica) SetSources(sources []scheduling.Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.table.Load()
	list, anew := make([]*entry, 0, len(sources)), false
	for _, source := range sources {
		e, known := old.byID[source.ID]
		// What was not taken in while its slots were not kept must be loaded.
		if known && e.state.Load().source.Live == source.Live {
			e.configure(source)
		} else {
			e, anew = r.newEntry(source), anew || known
		}
		list = append(list, e)
	}
	next := newTable(list)
	r.table.Store(next)
	if anew || !slices.Equal(old.ids(), next.ids()) {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

func newTable(list []*entry) *table {
	t := &table{list: list, byID: map[scheduling.SourceID]*entry{}, byTag: map[string][]*entry{}}
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Compare(a.state.Load().source.ID, b.state.Load().source.ID)
	})
	for _, e := range list {
		t.byID[e.state.Load().source.ID] = e
		t.byTag[e.tag] = append(t.byTag[e.tag], e)
	}
	return t
}

func (r *Replica) newEntry(source scheduling.Source) *entry {
	e := &entry{
		tag:     scheduling.SourceTag(source.ID),
		numbers: map[string]int32{},
		gens:    map[string]uint32{},
		marks:   newMarks(r.opts.FenceFetches),
		gone:    newGone(r.opts.GoneFor, r.opts.GoneMost),
		in:      newInterner(),
		repack:  internLimit,
		render:  r.opts.Render,
		now:     r.opts.Now,
	}
	e.state.Store(newState(source))
	return e
}

// IDs are the configured sources, in order of id.
func (r *Replica) IDs() []scheduling.SourceID { return r.table.Load().ids() }

func (t *table) ids() []scheduling.SourceID {
	ids := make([]scheduling.SourceID, 0, len(t.list))
	for _, e := range t.list {
		ids = append(ids, e.state.Load().source.ID)
	}
	return ids
}

// asked is the entries of these sources, in order of id; no ids mean all.
func (t *table) asked(ids []scheduling.SourceID) ([]*entry, error) {
	if len(ids) == 0 {
		return t.list, nil
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	var entries []*entry
	for _, id := range slices.Compact(ids) {
		e, ok := t.byID[id]
		if !ok {
			return nil, scheduling.Refuse(scheduling.BadRequest, "source", "there is no source of this id")
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// tagged is the entries to which an id of ours may belong.
func (t *table) tagged(id string) []*entry {
	if len(id) != idLen {
		return nil
	}
	return t.byTag[id[:5]]
}
