package replica

import (
	"maps"
	"slices"

	"slotgate/scheduling"
)

// Of a source whose slots are not kept (scheduling.Source.Live) the replica has
// what is no slot: who and where, what is claimed, which ids are used up. What
// the source answers just now becomes a layer, made by the same code as every
// other state, and whoever asked finds in the replica with that layer in place
// of the source. A layer is found in nowhere else, and gone with its last
// reader.

// Layer is what one source answered just now, ready to be found in. It is
// immutable.
type Layer struct {
	entry *entry
	news  scheduling.Directory
}

// News is what the answer brought along for the directory and nobody knew.
func (l *Layer) News() scheduling.Directory { return l.news }

// Source is whose layer it is.
func (l *Layer) Source() scheduling.SourceID { return l.entry.state.Load().source.ID }

// Layer makes the layer of an answer; nil for a source that is not there. What
// is claimed, or was when the answer's fetch began, is hidden in it.
func (r *Replica) Layer(a scheduling.Answer) *Layer {
	base, ok := r.table.Load().byID[a.Source]
	if !ok {
		return nil
	}
	st := base.state.Load()
	if len(a.Fetched.Windows) == 0 {
		next := *st // books are empty: nothing of it is kept
		next.asked, next.status = a.Asked, ownStatus(a.Status)
		next.tell()
		e := &entry{tag: base.tag, gone: base.gone}
		e.state.Store(&next)
		return &Layer{entry: e}
	}
	base.mu.Lock()
	snap := base.snapshot()
	base.mu.Unlock()
	layer := &Layer{news: unknownTo(snap.Directory, a.Fetched.Found)}
	snap.Directory = answered(snap.Directory, a.Fetched)
	snap.Loaded, snap.Status = true, a.Status
	snap.Windows, snap.Checks = windowsIn(a), nil
	e := r.newEntry(st.source)
	e.rebuild(st.source, snap)
	next := *e.state.Load()
	next.asked = a.Asked
	e.state.Store(&next)
	layer.entry = e
	return layer
}

// With is the replica with these layers in place of their sources. It shares
// all else and sees what becomes of it; it follows no feed itself.
func (r *Replica) With(layers ...*Layer) *Replica {
	base := r.table.Load()
	list := slices.Clone(base.list)
	for i, e := range list {
		for _, l := range layers {
			if l != nil && l.Source() == e.state.Load().source.ID {
				list[i] = l.entry
			}
		}
	}
	over := &Replica{opts: r.opts, metrics: r.metrics}
	over.table.Store(newTable(list))
	return over
}

// Reach tells what of a source the query may match: it is judged by the
// directory alone, since slots may have what their schedules have not. It is
// false for a source that is not there, or not asked by the query.
func (r *Replica) Reach(source scheduling.SourceID, q scheduling.Query) (scheduling.Reach, bool) {
	t := r.table.Load()
	e, ok := t.byID[source]
	if !ok || len(q.Sources) > 0 && !slices.Contains(q.Sources, source) {
		return scheduling.Reach{}, false
	}
	st := e.state.Load()
	reach := scheduling.Reach{Source: st.source, Zones: st.dir.zones}
	if !st.listed() {
		return reach, true // whom its schedules bind is known with their slots only
	}
	t.joined(&q)
	c, possible := newCriteria(st, &periods{query: &q, now: r.opts.Now().UTC()})
	if !possible {
		reach.None = true
		return reach, true
	}
	if c.practitioners == nil && c.locations == nil && c.organizations == nil {
		return reach, true
	}
	c.candidates(func(n int) {
		if p := st.layout.places[n]; c.fits(p) {
			reach.Schedules = append(reach.Schedules, p.id)
		}
	})
	reach.None = len(reach.Schedules) == 0
	return reach, true
}

// listed tells whether the source lists its schedules itself: those of our own
// making are known with their slots only.
func (st *state) listed() bool {
	for _, s := range st.dir.Schedules {
		if s.Virtual {
			return false
		}
	}
	return len(st.dir.Schedules) > 0
}

// Directory is who and where a source has, as far as anybody has read it. Equal
// versions are the same directory; nil is none yet.
func (r *Replica) Directory(source scheduling.SourceID) (dir scheduling.Directory, version any) {
	e, ok := r.table.Load().byID[source]
	if !ok {
		return dir, nil
	}
	st := e.state.Load()
	if !st.loaded {
		return dir, nil
	}
	return st.dir.Directory, st.dir
}

// answered is the directory that an answer is read by. Schedules without slots
// in it are left out: to resolve them costs more than all the rest.
func answered(known scheduling.Directory, got scheduling.Fetched) scheduling.Directory {
	all := scheduling.NewDirectory()
	all.Merge(known)
	all.Merge(got.Found)
	used := make(map[string]bool, len(got.Windows))
	for key := range got.Windows {
		used[key.Schedule] = true
	}
	maps.DeleteFunc(all.Schedules, func(id string, _ *scheduling.Schedule) bool { return !used[id] })
	return all
}

// unknownTo are the records that the directory does not have.
func unknownTo(known, found scheduling.Directory) scheduling.Directory {
	return scheduling.Directory{
		Practitioners: lacking(known.Practitioners, found.Practitioners),
		Roles:         lacking(known.Roles, found.Roles),
		Locations:     lacking(known.Locations, found.Locations),
		Organizations: lacking(known.Organizations, found.Organizations),
		Services:      lacking(known.Services, found.Services),
		Schedules:     lacking(known.Schedules, found.Schedules),
	}
}

func lacking[T any](known, found map[string]*T) map[string]*T {
	var news map[string]*T
	for id, record := range found {
		if _, ok := known[id]; ok || record == nil {
			continue
		}
		if news == nil {
			news = map[string]*T{}
		}
		news[id] = record
	}
	return news
}

// windowsIn are the windows of an answer.
func windowsIn(a scheduling.Answer) []scheduling.Window {
	windows := make([]scheduling.Window, 0, len(a.Fetched.Windows))
	for key, slots := range a.Fetched.Windows {
		windows = append(windows, scheduling.Window{Key: key, Slots: slots, Fetch: a.Fetch, Checked: a.At})
	}
	return windows
}
