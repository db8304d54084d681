package replica

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestLaw7EveryAnswerTellsHowFreshEachSourceIs(t *testing.T) {
	t.Parallel()
	at := func(age time.Duration) scheduling.Status { return fine("a", noon.Add(-age)) }
	incomplete := at(0)
	incomplete.Incomplete = true
	never := scheduling.Status{Source: "a", Tried: noon}
	tests := []struct {
		name     string
		loaded   bool
		status   scheduling.Status
		checked  time.Duration // age of the windows
		q        scheduling.Query
		state    scheduling.State
		complete bool
		total    int
	}{
		{name: "all is well", loaded: true, status: at(0), state: scheduling.StateOK, complete: true, total: 4},
		{name: "stale, and within what is allowed", loaded: true, status: at(2 * time.Hour), state: scheduling.StateStale, complete: true, total: 4},
		{name: "older than the query allows", loaded: true, status: at(2 * time.Hour), checked: 2 * time.Hour, q: scheduling.Query{MaxAge: time.Hour}, state: scheduling.StateStale},
		{name: "down, its slots not yet too old", loaded: true, status: at(25 * time.Hour), checked: 23 * time.Hour, state: scheduling.StateDown, total: 4},
		{name: "down, its slots too old", loaded: true, status: at(25 * time.Hour), checked: 25 * time.Hour, state: scheduling.StateDown},
		{name: "one window too old", loaded: true, status: at(0), checked: 25 * time.Hour, state: scheduling.StateOK},
		{name: "a window too old behind the period", loaded: true, status: at(0), checked: 25 * time.Hour, q: scheduling.Query{End: scheduling.InstantBound(noon.Add(time.Hour))}, state: scheduling.StateOK, complete: true},
		{name: "never loaded", status: never, state: scheduling.StateDown, total: 4},
		{name: "the latest plan left something unread", loaded: true, status: incomplete, state: scheduling.StateOK, total: 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, source, snap := loaded(t)
			snap.Loaded, snap.Status = tt.loaded, tt.status
			for i := range snap.Windows {
				snap.Windows[i].Checked = noon.Add(-tt.checked)
			}
			r := open(t, source)
			r.Load("a", snap)
			found := find(t, r, tt.q)
			if len(found.Sources) != 1 {
				t.Fatalf("%d sources are told of", len(found.Sources))
			}
			got := found.Sources[0]
			if got.State != tt.state || got.Complete != tt.complete || found.Complete() != tt.complete {
				t.Errorf("state %s, complete %v; want %s, %v", got.State, got.Complete, tt.state, tt.complete)
			}
			if !got.Status.LastSync.Equal(tt.status.LastSync) {
				t.Errorf("last sync %v, want %v", got.Status.LastSync, tt.status.LastSync)
			}
			if found.Total != tt.total {
				t.Errorf("total %d, want %d", found.Total, tt.total)
			}
		})
	}
}

func TestLaw7ASourceThatWasNeverHeardOfIsNotNoSlots(t *testing.T) {
	t.Parallel()
	a, _ := clinic(t, "a")
	b, _ := clinic(t, "b")
	r := open(t, b, a)
	found := find(t, r, scheduling.Query{Count: 1})
	if found.Complete() || len(found.Sources) != 2 || found.Sources[0].Source != "a" {
		t.Errorf("both must be told as missing, in order of id: %+v", found.Sources)
	}
	only := find(t, r, scheduling.Query{Sources: []scheduling.SourceID{"b"}})
	if len(only.Sources) != 1 || only.Sources[0].Source != "b" {
		t.Errorf("a source that is not asked is not told: %+v", only.Sources)
	}
	if r.Ready() {
		t.Error("ready before anything was tried")
	}
	tried := scheduling.Status{Tried: noon, Failures: 1}
	r.Apply("a", scheduling.Change{Status: &tried})
	if r.Ready() {
		t.Error("ready before source b was tried")
	}
	r.Load("b", scheduling.Snapshot{Loaded: true})
	if !r.Ready() {
		t.Error("not ready though one was tried and the other loaded")
	}
}

func TestLaw9DaysAreThoseOfThePlace(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		zone  string
		day   scheduling.Day
		hours int
	}{
		{"an ordinary day", "America/New_York", scheduling.Date(2026, 11, 2), 24},
		{"a day of 25 hours", "America/New_York", scheduling.Date(2026, 11, 1), 25},
		{"a day of 23 hours", "America/New_York", scheduling.Date(2027, 3, 14), 23},
		{"a day of 25 hours elsewhere", "Europe/Berlin", scheduling.Date(2027, 10, 31), 25},
		{"a day that begins at one, since midnight is skipped", "America/Santiago", scheduling.Date(2027, 9, 5), 23},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source, dir := clinic(t, "a")
			source.Horizon = 0
			dir.Locations["where"].Zone = tt.zone
			where := zone(t, tt.zone)
			// One slot an hour over three days: the day's own are as many as it has hours.
			var slots []scheduling.Slot
			for at := (tt.day - 1).Start(where); at.Before((tt.day + 1).End(where)); at = at.Add(time.Hour) {
				slot := slotsOn("sched", at.Format(time.RFC3339), at, 1)[0]
				slots = append(slots, slot)
			}
			r := open(t, source)
			r.Load("a", scheduling.Snapshot{
				Loaded: true, Directory: dir, Status: fine("a", noon), Windows: windowsOf(slots, where, 1, noon),
			})
			found := find(t, r, scheduling.Query{Start: scheduling.DayBound(tt.day), End: scheduling.DayBound(tt.day), Count: 30})
			if found.Total != tt.hours || len(found.Offers) != tt.hours {
				t.Fatalf("%d offers on %v, want %d", found.Total, tt.day, tt.hours)
			}
			for _, offer := range found.Offers {
				if scheduling.DayOf(offer.Start(), where) != tt.day {
					t.Errorf("%v is not on %v there", offer.Start(), tt.day)
				}
			}
		})
	}
}

func TestLaw9OneDayIsSearchedInEachPlacesOwnZone(t *testing.T) {
	t.Parallel()
	day := scheduling.Date(2026, 11, 3)
	var sources []scheduling.Source
	var want int
	r := func() *Replica {
		for _, id := range []scheduling.SourceID{"a", "b"} {
			source, _ := clinic(t, id)
			sources = append(sources, source)
		}
		sources[1].Zone = zone(t, "Asia/Tokyo")
		return open(t, sources...)
	}()
	for _, source := range sources {
		_, dir := clinic(t, source.ID)
		slots := slotsOn("sched", "s", day.Start(source.Zone).Add(-30*time.Minute), 4)
		want += 3
		r.Load(source.ID, scheduling.Snapshot{Loaded: true, Directory: dir, Status: fine(source.ID, noon), Windows: windowsOf(slots, source.Zone, 1, noon)})
	}
	found := find(t, r, scheduling.Query{Start: scheduling.DayBound(day), End: scheduling.DayBound(day), Count: 10})
	if found.Total != want {
		t.Errorf("total %d, want %d", found.Total, want)
	}
	if !found.From.Equal(day.Start(sources[1].Zone)) || !found.To.Equal(day.End(sources[0].Zone)) {
		t.Errorf("searched %v to %v", found.From, found.To)
	}
}

func TestLaw12HiddenSlotsAreCountedByReasonAndAppearWithALaterDirectory(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	whole := snap.Directory
	snap.Directory = scheduling.NewDirectory()
	snap.Status.Unusable = scheduling.Tally{scheduling.NoTime: 2}
	broken := snap.Windows[0].Slots[0]
	broken.ID, broken.End = "broken", broken.Start
	snap.Windows[0].Slots = append(snap.Windows[0].Slots, broken)
	r := open(t, source)
	r.Load("a", snap)
	tell := func() (scheduling.Found, scheduling.Freshness) { return find(t, r, scheduling.Query{}), r.Sources()[0] }

	found, told := tell()
	if found.Total != 0 || found.Complete() || told.Slots != 0 || told.Windows != 1 {
		t.Errorf("slots without a schedule: total %d, complete %v, %+v", found.Total, found.Complete(), told)
	}
	unusable := found.Sources[0].Status.Unusable
	if unusable[scheduling.UnknownSchedule] != 4 || unusable[scheduling.EndsBeforeStart] != 1 || unusable[scheduling.NoTime] != 2 {
		t.Errorf("unusable: %v", unusable)
	}
	if told.Status.Unusable.Total() != 7 {
		t.Errorf("told to operators: %v", told.Status.Unusable)
	}

	r.Apply("a", scheduling.Change{Directory: &whole})
	found, told = tell()
	if found.Total != 4 || !found.Complete() || told.Slots != 4 || told.Status.Unusable.Total() != 3 {
		t.Errorf("with their schedule: total %d, complete %v, %+v", found.Total, found.Complete(), told)
	}

	inactive := scheduling.NewDirectory()
	inactive.Merge(whole)
	gone := *whole.Practitioners["who"]
	gone.Inactive = true
	inactive.Practitioners["who"] = &gone
	r.Apply("a", scheduling.Change{Directory: &inactive})
	found, told = tell()
	if found.Total != 0 || told.Status.Unusable[scheduling.InactiveActor] != 4 {
		t.Errorf("an inactive practitioner's slots: total %d, %v", found.Total, told.Status.Unusable)
	}
	if !found.Complete() {
		t.Error("what the source withdrew is not missing")
	}
}

func TestAStoreThatLostItsDataDoesNotEmptyTheReplica(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	snap.Windows[0].Fetch = 7
	r.Load("a", snap)
	r.Load("a", scheduling.Snapshot{})
	if found := find(t, r, scheduling.Query{}); found.Total != 4 || !found.Complete() {
		t.Fatalf("total %d, complete %v after an empty load", found.Total, found.Complete())
	}
	// Fetches are numbered anew there: a small number is not an old answer.
	fresh := snap.Windows[0]
	fresh.Fetch, fresh.Slots = 1, fresh.Slots[:1]
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{fresh}})
	if found := find(t, r, scheduling.Query{}); found.Total != 1 {
		t.Errorf("total %d after the first new window", found.Total)
	}
	r.Load("a", scheduling.Snapshot{Loaded: true, Status: fine("a", noon)})
	if found := find(t, r, scheduling.Query{}); found.Total != 0 || !found.Complete() {
		t.Errorf("total %d after an empty load that a worker filled", found.Total)
	}
}

func TestALateAnswerDoesNotReplaceALaterOne(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	w := snap.Windows[0]
	emptied := scheduling.Window{Key: w.Key, Fetch: 9, Checked: noon}
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{emptied}})
	w.Fetch = 8
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{w}})
	if found := find(t, r, scheduling.Query{}); found.Total != 0 {
		t.Errorf("an older answer brought back %d slots", found.Total)
	}
	w.Fetch = 10
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{w}})
	if found := find(t, r, scheduling.Query{}); found.Total != 4 {
		t.Errorf("a later answer gave %d slots, want 4", found.Total)
	}
}

func TestAUsedUpOfferComesBackUnderAnotherID(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	was := find(t, r, scheduling.Query{Count: 1}).Offers[0]
	r.Apply("a", scheduling.Change{Generations: map[string]uint32{was.Slots[0].ID: 1}})
	is := find(t, r, scheduling.Query{Count: 4})
	if is.Total != 4 || is.Offers[0].ID != scheduling.OfferID("a", 1, was.Slots[0].ID) {
		t.Errorf("total %d, id %s", is.Total, is.Offers[0].ID)
	}
	if _, ok := r.Offer(was.ID); ok {
		t.Error("the used id still names an offer")
	}
	if hit, ok := r.Offer(is.Offers[0].ID); !ok || hit.Slots[0].ID != was.Slots[0].ID {
		t.Error("the new id names none")
	}
	// A smaller generation than the known one is old news.
	r.Apply("a", scheduling.Change{Generations: map[string]uint32{was.Slots[0].ID: 0}})
	if _, ok := r.Offer(is.Offers[0].ID); !ok {
		t.Error("an old generation was taken")
	}
}

func TestAPeriodIsCutAtTheHorizonAndTold(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	source.Horizon = 1 // today only
	r := open(t, source)
	r.Load("a", snap)
	end := scheduling.Date(2026, 11, 1).Start(source.Zone)
	for _, q := range []scheduling.Query{{}, {End: scheduling.DayBound(scheduling.Date(2027, 11, 1))}} {
		found := find(t, r, q)
		if found.Total != 0 || !found.To.Equal(end) || !found.From.Equal(noon) {
			t.Errorf("total %d, searched %v to %v", found.Total, found.From, found.To)
		}
	}
	past := find(t, r, scheduling.Query{End: scheduling.InstantBound(noon.Add(-time.Hour))})
	if past.Total != 0 || past.To.Before(past.From) {
		t.Errorf("a past period: total %d, searched %v to %v", past.Total, past.From, past.To)
	}
}
