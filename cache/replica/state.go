package replica

import (
	"slices"
	"time"

	"slotgate/scheduling"
)

// state is all that is known of one source at one moment. It is immutable.
type state struct {
	source  scheduling.Source
	loaded  bool // a worker had filled the source at some time
	status  scheduling.Status
	dir     *directory
	layout  *layout
	books   shelf // by schedule number, as the layout's places
	sets    [][]scheduling.Concept
	ids     *idIndex
	doubles *doubles
	cover   coverage
	hidden  scheduling.Tally  // slots that cannot be offered, by reason
	told    scheduling.Status // the status, and what is hidden among the unusable
	held    int               // slots in books, hidden ones too
	aside   int               // slots that marks withhold

	asked scheduling.Asked // of a layer: what came of asking the source
}

// newState is that of a source of which nothing is known.
func newState(source scheduling.Source) *state {
	st := &state{
		source:  source,
		status:  scheduling.Status{Source: source.ID},
		dir:     newDirectory(source, scheduling.NewDirectory()),
		layout:  &layout{},
		sets:    [][]scheduling.Concept{nil},
		ids:     newIDIndex(0),
		doubles: &doubles{},
		hidden:  scheduling.Tally{},
	}
	st.tell()
	return st
}

// tell makes what readers are told of the status.
func (st *state) tell() {
	st.told = st.status
	st.told.Unusable = scheduling.Tally{}
	st.told.Unusable.Merge(st.status.Unusable)
	st.told.Unusable.Merge(st.hidden)
}

// snapshot is the state as it could be loaded again, but for what the writer
// knows of marks and generations.
func (st *state) snapshot() scheduling.Snapshot {
	snap := scheduling.Snapshot{Loaded: st.loaded, Directory: st.dir.Directory, Status: st.status}
	for _, s := range st.cover {
		snap.Checks = append(snap.Checks, s.check())
	}
	for n, p := range st.layout.places {
		b := st.books.at(n)
		for _, s := range b.cover {
			snap.Checks = append(snap.Checks, s.check(p.id))
		}
		for _, w := range b.windows {
			snap.Windows = append(snap.Windows, w.unpack(p.id, st.sets))
		}
	}
	return snap
}

// oldest is the earliest confirmation that may still be shown, by the source's
// configuration and the query's (0: it does not say).
func (st *state) oldest(now time.Time, asked time.Duration) (oldest int64, limited bool) {
	limit := st.source.MaxAge
	if asked > 0 && (limit <= 0 || asked < limit) {
		limit = asked
	}
	if limit <= 0 {
		return 0, false
	}
	return now.Add(-limit).UnixNano(), true
}

// horizon is the first instant behind the days that are prefetched, for a
// place in zone; zero where the source has no horizon.
func (st *state) horizon(zone *time.Location, now time.Time) time.Time {
	if st.source.Horizon <= 0 {
		return time.Time{}
	}
	return (scheduling.DayOf(now, zone) + scheduling.Day(st.source.Horizon)).Start(zone)
}

// shelf is the books by number, in chunks so that one can be replaced cheaply.
type shelf struct {
	chunks []*shelfChunk
	count  int
}

const chunkLen = 256

type shelfChunk [chunkLen]*book

func (s shelf) at(n int) *book { return s.chunks[n/chunkLen][n%chunkLen] }

// shelfEdit makes the next shelf out of one; it copies each chunk once.
type shelfEdit struct {
	shelf
	owned map[int]bool
}

func (s shelf) edit() *shelfEdit {
	return &shelfEdit{shelf{slices.Clone(s.chunks), s.count}, map[int]bool{}}
}

func (e *shelfEdit) put(n int, b *book) {
	chunk := n / chunkLen
	if chunk == len(e.chunks) {
		e.chunks = append(e.chunks, &shelfChunk{})
		e.owned[chunk] = true
	}
	if !e.owned[chunk] {
		copied := *e.chunks[chunk]
		e.chunks[chunk] = &copied
		e.owned[chunk] = true
	}
	e.chunks[chunk][n%chunkLen] = b
	e.count = max(e.count, n+1)
}
