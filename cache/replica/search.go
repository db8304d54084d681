package replica

import (
	"slices"
	"time"

	"slotgate/scheduling"
)

// Search lists records of one kind in order of our id: of the directory, or
// open slots. A slot that has begun, is too old, or stands on a schedule that
// the directory does not explain, is not listed, as it is not offered.
//
// Errors: scheduling.BadRequest for a negative count, an unknown kind, and a
// source that is not configured.
func (r *Replica) Search(s scheduling.Search) (scheduling.Records, error) {
	if s.Count < 0 {
		return scheduling.Records{}, scheduling.Refuse(scheduling.BadRequest, "_count", "a count is not negative")
	}
	if s.Kind != scheduling.KindSlot && !slices.Contains(directoryKinds(), s.Kind) {
		return scheduling.Records{}, scheduling.Refuse(scheduling.BadRequest, "", "the directory has no such kind")
	}
	entries, err := r.table.Load().asked(s.Sources)
	if err != nil {
		return scheduling.Records{}, err
	}
	now := r.opts.Now().UTC()
	page := recordPage{search: &s}
	for _, e := range entries {
		st := e.state.Load()
		if s.Kind == scheduling.KindSlot {
			st.searchSlots(&page, now)
		} else {
			st.searchDirectory(&page)
		}
	}
	return page.records(), nil
}

// recordPage keeps the first records after the search's cursor.
type recordPage struct {
	search *scheduling.Search
	total  int
	more   bool
	kept   []keptRecord // in order of id, Count at most
}

// keptRecord is put together only once it is known to stay.
type keptRecord struct {
	id   string
	make func() scheduling.Record
}

// wants counts a match, and tells whether it may stand on this page.
func (p *recordPage) wants(id string) bool {
	p.total++
	if id <= p.search.After && p.search.After != "" {
		return false
	}
	if n := len(p.kept); n == p.search.Count && (n == 0 || p.kept[n-1].id <= id) {
		p.more = p.more || n > 0
		return false
	}
	return true
}

func (p *recordPage) keep(id string, record func() scheduling.Record) {
	at, _ := slices.BinarySearchFunc(p.kept, id, func(k keptRecord, id string) int {
		if k.id < id {
			return -1
		}
		return 1
	})
	p.kept = slices.Insert(p.kept, at, keptRecord{id, record})
	if len(p.kept) > p.search.Count {
		p.kept = p.kept[:p.search.Count]
		p.more = true
	}
}

func (p *recordPage) records() scheduling.Records {
	out := scheduling.Records{Total: p.total, More: p.more}
	for _, kept := range p.kept {
		out.Records = append(out.Records, kept.make())
	}
	return out
}

// searchDirectory adds the records of the source that match.
func (st *state) searchDirectory(page *recordPage) {
	m, possible := st.newMatcher(page.search)
	if !possible {
		return
	}
	known := st.dir.kinds[page.search.Kind]
	for n := range known.ids {
		record, shown := st.numbered(page.search.Kind, int32(n))
		if !shown || !m.matches(record, int32(n)) {
			continue
		}
		if page.wants(record.ID) {
			page.keep(record.ID, func() scheduling.Record { return record })
		}
	}
}

// searchSlots adds the open slots of the source that match.
func (st *state) searchSlots(page *recordPage, now time.Time) {
	s := page.search
	if len(s.Name)+len(s.Address)+len(s.Identifiers) > 0 || !asksFree(s.Status) {
		return // slots have none of these, and only free ones are kept
	}
	m, possible := st.newMatcher(s)
	if !possible {
		return
	}
	q := scheduling.Query{
		Specialty: s.Specialty, Practitioners: s.Practitioners, Locations: s.Locations,
		Organizations: s.Organizations, Sources: s.Sources,
	}
	c, possible := newCriteria(st, &periods{query: &q, now: now})
	if !possible {
		return
	}
	from := seconds(now)
	m.eachSchedule(c, func(n int) {
		p, b := st.layout.places[n], st.books.at(n)
		if b.count == 0 || !c.fits(p) || p.setting.Schedule.Virtual {
			return
		}
		for _, w := range b.windows {
			if c.shows(b, w) {
				m.slots(page, c, located{int32(n), p, b, w, 0}, from)
			}
		}
	})
}

// asksFree tells whether a search on status would find free slots.
func asksFree(status []string) bool {
	return len(status) == 0 || slices.Contains(status, string(scheduling.SlotFree))
}

// slots adds the slots of one window that match.
func (m *matcher) slots(page *recordPage, c *criteria, at located, from int64) {
	w := at.window
	for i := w.seek(from, ""); i < len(w.slots); i++ {
		at.slot = i
		x := w.extraOf(i)
		if x != nil && x.virtual || m.st.doubles.shadowed(at.number, w, i) || !c.takes(kindOf(x), at.place.kind) || !m.startsRight(w.slots[i].start, at.place) {
			continue
		}
		id := w.slotID(i)
		if len(m.search.IDs) > 0 && !slices.Contains(m.search.IDs, id) {
			continue
		}
		if page.wants(id) {
			found := at
			page.keep(id, func() scheduling.Record { return m.st.slotRecord(found) })
		}
	}
}

func (m *matcher) startsRight(start int64, p *place) bool {
	if len(m.search.Start) == 0 {
		return true
	}
	at := time.Unix(start, 0).UTC()
	for _, test := range m.search.Start {
		if !test.Allows(at, p.setting.Zone) {
			return false
		}
	}
	return true
}
