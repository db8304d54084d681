package replica

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

// world draws sources, directories, windows and queries. It draws from few
// names, so that what it draws meets.
type world struct {
	t     *rapid.T
	now   time.Time
	fetch uint64
	ruled bool // sources have rules, and slots are often adjacent
}

func newWorld(t *rapid.T) *world {
	return &world{t: t, now: rapid.SampledFrom([]time.Time{
		time.Date(2026, 10, 31, 16, 0, 0, 0, time.UTC),  // before 25 hours in New York
		time.Date(2026, 3, 7, 23, 30, 0, 500, time.UTC), // before 23 hours in New York
		time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC),   // before 23 hours in Berlin
		time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC),  // within the day of 25 hours in Berlin
		time.Date(2026, 10, 3, 14, 45, 10, 7, time.UTC), // before 23.5 hours on Lord Howe
		time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
	}).Draw(t, "now")}
}

func (w *world) oneIn(n int, label string) bool { return rapid.IntRange(1, n).Draw(w.t, label) == 1 }

func (w *world) name(prefix string, n int) string {
	return fmt.Sprintf("%s%d", prefix, rapid.IntRange(0, n-1).Draw(w.t, prefix))
}

func (w *world) zone() *time.Location {
	name := rapid.SampledFrom([]string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Kiritimati", "UTC"}).Draw(w.t, "zone")
	zone, err := time.LoadLocation(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return zone
}

func (w *world) sources() []scheduling.Source {
	var sources []scheduling.Source
	for i := range rapid.IntRange(1, 3).Draw(w.t, "sources") {
		source := scheduling.Source{
			ID: scheduling.SourceID(fmt.Sprintf("src%d", i)), Base: fmt.Sprintf("https://s%d.example/fhir", i), Zone: w.zone(),
		}
		if w.oneIn(2, "maxAge") {
			source.MaxAge = 3 * time.Hour
		}
		if w.oneIn(3, "horizon") {
			source.Horizon = rapid.IntRange(1, 4).Draw(w.t, "days")
		}
		if w.ruled {
			source.Rules = w.rules()
		}
		sources = append(sources, source)
	}
	return sources
}

func (w *world) codes() []scheduling.Concept {
	switch rapid.IntRange(0, 3).Draw(w.t, "codes") {
	case 0:
		return nil
	case 1:
		return code("sys", w.name("c", 3))
	case 2:
		return code("", w.name("c", 3))
	default:
		return append(code("sys", w.name("c", 3)), code("other", w.name("c", 3))...)
	}
}

func (w *world) identifiers() []scheduling.Identifier {
	if w.oneIn(2, "identified") {
		return nil
	}
	return []scheduling.Identifier{
		{System: rapid.SampledFrom([]string{"", "npi", "house"}).Draw(w.t, "system"), Value: w.name("v", 3)},
	}
}

func (w *world) directory() scheduling.Directory {
	dir := scheduling.NewDirectory()
	for i := range 3 {
		org := fmt.Sprintf("o%d", i)
		dir.Organizations[org] = &scheduling.Organization{ID: org, PartOf: w.name("o", 4), Identifiers: w.identifiers()}
		who := fmt.Sprintf("p%d", i)
		dir.Practitioners[who] = &scheduling.Practitioner{ID: who, Identifiers: w.identifiers(), Inactive: w.oneIn(10, "inactive")}
		where := fmt.Sprintf("l%d", i)
		place := &scheduling.Location{ID: where, Identifiers: w.identifiers(), Organization: w.name("o", 4)}
		place.Name = w.name("place ", 3)
		place.Address.City = w.name("City-", 2)
		if w.oneIn(2, "position") {
			place.Position = &scheduling.Position{Latitude: float64(i) * 10, Longitude: 170 + float64(i)*20}
		}
		if w.oneIn(2, "placeZone") {
			place.Zone = w.zone().String()
		}
		dir.Locations[where] = place
		role := fmt.Sprintf("r%d", i)
		dir.Roles[role] = &scheduling.Role{
			ID: role, Practitioner: w.name("p", 4), Organization: w.name("o", 4),
			Locations: []string{w.name("l", 4)}, Specialty: w.codes(), Identifiers: w.identifiers(),
		}
	}
	for i := range 4 {
		if w.oneIn(8, "unknownSchedule") {
			continue
		}
		id := fmt.Sprintf("s%d", i)
		schedule := &scheduling.Schedule{ID: id, ServiceType: w.codes(), Specialty: w.codes()}
		for _, kind := range []scheduling.Kind{scheduling.KindPractitioner, scheduling.KindLocation, scheduling.KindRole} {
			if w.oneIn(2, "actor") {
				actor := scheduling.Actor{Kind: kind, ID: w.name(map[scheduling.Kind]string{
					scheduling.KindPractitioner: "p", scheduling.KindLocation: "l", scheduling.KindRole: "r",
				}[kind], 3)}
				schedule.Actors = append(schedule.Actors, actor)
			}
		}
		dir.Schedules[id] = schedule
	}
	return dir
}

func (w *world) key() scheduling.WindowKey {
	today := scheduling.DayOf(w.now, time.UTC)
	return scheduling.WindowKey{
		Schedule: w.name("s", 5), Day: today + scheduling.Day(rapid.IntRange(-1, 5).Draw(w.t, "day")),
	}
}

// window draws slots of one key. Their day is cut in a zone of its own: it need
// not be the place's, since directories change behind windows.
func (w *world) window(zone *time.Location) scheduling.Window {
	key := w.key()
	w.fetch++
	age := time.Duration(rapid.IntRange(0, 5).Draw(w.t, "age")) * time.Hour
	win := scheduling.Window{Key: key, Fetch: w.fetch, Checked: w.now.Add(-age)}
	start, end := key.Day.Start(zone), key.Day.End(zone)
	if w.ruled {
		win.Slots = w.adjacent(key, start, end)
		return win
	}
	for at, n := start, 0; at.Before(end) && n < 6; n++ {
		at = at.Add(time.Duration(rapid.IntRange(0, 40).Draw(w.t, "gap")) * 15 * time.Minute)
		if !at.Before(end) {
			break
		}
		win.Slots = append(win.Slots, w.slot(key, at, n))
	}
	return win
}

func (w *world) slot(key scheduling.WindowKey, at time.Time, n int) scheduling.Slot {
	slot := scheduling.Slot{
		ID: fmt.Sprintf("%s/%v/%d", key.Schedule, key.Day, n), Schedule: key.Schedule,
		Status: scheduling.SlotFree, Start: at, End: at.Add(15 * time.Minute),
	}
	if w.oneIn(8, "moved") {
		slot.ID = w.name("moved", 3)
	}
	if w.oneIn(3, "ownCodes") {
		slot.Specialty, slot.ServiceType = w.codes(), w.codes()
	}
	if w.oneIn(12, "broken") {
		slot.End = at
	}
	if w.oneIn(6, "comment") {
		slot.Comment, slot.Appointment = "by phone", "appt-"+slot.ID
	}
	return slot
}

func (w *world) windows(zone *time.Location, most int) []scheduling.Window {
	byKey := map[scheduling.WindowKey]bool{}
	var windows []scheduling.Window
	for range rapid.IntRange(0, most).Draw(w.t, "windows") {
		if win := w.window(zone); !byKey[win.Key] {
			byKey[win.Key] = true
			windows = append(windows, win)
		}
	}
	return windows
}

func (w *world) check() scheduling.Check {
	today := scheduling.DayOf(w.now, time.UTC)
	from := today + scheduling.Day(rapid.IntRange(-1, 4).Draw(w.t, "from"))
	check := scheduling.Check{At: w.now.Add(-time.Duration(rapid.IntRange(0, 5).Draw(w.t, "age")) * time.Hour)}
	check.Scope.Days = scheduling.Days{From: from, To: from + scheduling.Day(rapid.IntRange(1, 4).Draw(w.t, "days"))}
	check.Fetch = uint64(rapid.IntRange(0, int(w.fetch)+2).Draw(w.t, "checkFetch"))
	if w.oneIn(2, "byName") {
		check.Scope.Schedules = []string{w.name("s", 5), w.name("s", 5)}
	}
	return check
}

// marks draws what the books say of some slots, with and without windows.
func (w *world) marks(most int) []scheduling.Mark {
	var marks []scheduling.Mark
	for range rapid.IntRange(0, most).Draw(w.t, "marks") {
		key := w.key()
		mark := scheduling.Mark{Slot: fmt.Sprintf("%s/%v/%d", key.Schedule, key.Day, rapid.IntRange(0, 1).Draw(w.t, "nth"))}
		if w.oneIn(3, "movedOne") {
			mark.Slot = w.name("moved", 3)
		}
		if w.oneIn(3, "span") {
			from := key.Day.Start(time.UTC).Add(time.Duration(rapid.IntRange(-20, 140).Draw(w.t, "spanFrom")) * 15 * time.Minute)
			mark.Span = scheduling.Span{Schedule: key.Schedule, From: from, To: from.Add(time.Duration(rapid.IntRange(1, 40).Draw(w.t, "spanOf")) * 10 * time.Minute)}
		}
		switch rapid.IntRange(0, 3).Draw(w.t, "mark") {
		case 0:
			mark.Claimed = true
		case 1, 2:
			mark.Fence = uint64(rapid.IntRange(1, int(w.fetch)+4).Draw(w.t, "fence"))
		}
		marks = append(marks, mark)
	}
	return marks
}

func (w *world) status(id scheduling.SourceID) scheduling.Status {
	status := fine(id, w.now.Add(-time.Duration(rapid.IntRange(0, 4).Draw(w.t, "age"))*time.Hour))
	status.Incomplete = w.oneIn(8, "incomplete")
	return status
}

func (w *world) snapshot(source scheduling.Source) scheduling.Snapshot {
	snap := scheduling.Snapshot{
		Loaded: true, Directory: w.directory(), Windows: w.windows(source.Zone, 12), Status: w.status(source.ID),
		Generations: map[string]uint32{},
	}
	for range rapid.IntRange(0, 2).Draw(w.t, "checks") {
		snap.Checks = append(snap.Checks, w.check())
	}
	snap.Marks = slices.DeleteFunc(w.marks(4), func(m scheduling.Mark) bool { return !m.Claimed && m.Fence == 0 })
	return snap
}

func (w *world) change(source scheduling.Source) scheduling.Change {
	change := scheduling.Change{Windows: w.windows(source.Zone, 4), Marks: w.marks(2)}
	if w.oneIn(4, "newDirectory") {
		dir := w.directory()
		change.Directory = &dir
	}
	if w.oneIn(3, "checked") {
		check := w.check()
		change.Check = &check
	}
	if w.oneIn(4, "newStatus") {
		status := w.status(source.ID)
		change.Status = &status
	}
	if w.oneIn(4, "usedUp") {
		key := w.key()
		change.Generations = map[string]uint32{fmt.Sprintf("%s/%v/%d", key.Schedule, key.Day, 0): uint32(rapid.IntRange(1, 3).Draw(w.t, "generation"))}
	}
	return change
}

func (w *world) bound() scheduling.Bound {
	today := scheduling.DayOf(w.now, time.UTC)
	switch rapid.IntRange(0, 3).Draw(w.t, "bound") {
	case 0, 1:
		return scheduling.Bound{}
	case 2:
		return scheduling.DayBound(today + scheduling.Day(rapid.IntRange(-1, 4).Draw(w.t, "boundDay")))
	default:
		quarters := rapid.IntRange(-20, 400).Draw(w.t, "quarters")
		return scheduling.InstantBound(w.now.Truncate(15 * time.Minute).Add(time.Duration(quarters) * 15 * time.Minute))
	}
}

func (w *world) refs(kind scheduling.Kind, prefix string, sources []scheduling.Source) []scheduling.Ref {
	if w.oneIn(4, "noRefs") {
		return nil
	}
	var refs []scheduling.Ref
	for range rapid.IntRange(1, 4).Draw(w.t, "refs") {
		source := rapid.SampledFrom(sources).Draw(w.t, "source")
		id := w.name(prefix, 4)
		ref := scheduling.Ref{}
		if w.oneIn(2, "kind") {
			ref.Kind = kind
		}
		switch rapid.IntRange(0, 3).Draw(w.t, "ref") {
		case 0:
			ref.ID = scheduling.ResourceID(source.ID, kind, id)
		case 1:
			ref.ID = id
		case 2:
			ref.URL = source.Base + "/" + string(kind) + "/" + id
		default:
			ref.Identifier = scheduling.Identifier{System: rapid.SampledFrom([]string{"", "npi"}).Draw(w.t, "system"), Value: w.name("v", 3)}
			ref.Kind = kind
		}
		refs = append(refs, ref)
	}
	return refs
}

func (w *world) query(sources []scheduling.Source) scheduling.Query {
	q := scheduling.Query{Start: w.bound(), End: w.bound(), Count: rapid.IntRange(0, 5).Draw(w.t, "count")}
	for range rapid.IntRange(0, 2).Draw(w.t, "criteria") {
		w.criterion(&q, sources)
	}
	if w.oneIn(3, "source") {
		q.Sources = []scheduling.SourceID{rapid.SampledFrom(sources).Draw(w.t, "only").ID}
	}
	if w.oneIn(4, "queryAge") {
		q.MaxAge = 2 * time.Hour
	}
	return q
}

// criterion adds one of the criteria.
func (w *world) criterion(q *scheduling.Query, sources []scheduling.Source) {
	switch rapid.IntRange(0, 6).Draw(w.t, "criterion") {
	case 0:
		q.Specialty = []scheduling.Token{{System: "sys", Code: w.name("c", 3), Scoped: w.oneIn(2, "scoped")}}
	case 1:
		q.VisitType = []scheduling.Token{{Code: w.name("c", 3)}, {Code: w.name("c", 3)}}
	case 2:
		q.Practitioners = append(w.refs(scheduling.KindPractitioner, "p", sources), w.refs(scheduling.KindRole, "r", sources)...)
	case 3:
		q.Locations = w.refs(scheduling.KindLocation, "l", sources)
	case 4:
		q.Organizations = w.refs(scheduling.KindOrganization, "o", sources)
	case 5:
		q.LocationText = []string{rapid.SampledFrom([]string{"place 1", "city", "1", "ity"}).Draw(w.t, "part")}
	case 6:
		q.Near = &scheduling.Near{
			Position: scheduling.Position{Latitude: 5, Longitude: 179},
			Metres:   float64(rapid.IntRange(1, 4000).Draw(w.t, "km")) * 1000,
		}
	}
}

func shuffled[T any](t *rapid.T, in []T) []T {
	if len(in) == 0 {
		return nil
	}
	return rapid.Permutation(slices.Clone(in)).Draw(t, "order")
}
