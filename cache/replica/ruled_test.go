package replica

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
)

// hourly is a rule by which two slots of half an hour make an appointment.
func hourly() scheduling.Rule { return scheduling.Rule{Minutes: 60} }

// ruled is a replica of one clinic with these rules and slots (half an hour each,
// n from start), whose windows are those of fetch 1.
func ruled(t *testing.T, start time.Time, n int, rules ...scheduling.Rule) (*Replica, scheduling.Source) {
	t.Helper()
	source, dir := clinic(t, "a")
	source.Rules = rules
	r := open(t, source)
	r.Load("a", scheduling.Snapshot{
		Loaded: true, Directory: dir, Status: fine("a", noon),
		Windows: windowsOf(slotsOn("sched", "s", start, n), source.Zone, 1, noon),
	})
	return r, source
}

// shownBy are the slots of all offers that are found.
func shownBy(t *testing.T, r *Replica, q scheduling.Query) string {
	t.Helper()
	q.Count = 100
	found := find(t, r, q)
	var all []string
	for _, hit := range found.Offers {
		all = append(all, strings.Join(slotsOf(hit), "+"))
	}
	if found.Total != len(all) {
		t.Errorf("a total of %d, and %d offers", found.Total, len(all))
	}
	return strings.Join(all, " ")
}

func expectOffers(t *testing.T, r *Replica, want string) {
	t.Helper()
	if got := shownBy(t, r, scheduling.Query{}); got != want {
		t.Errorf("offered: %q, want %q", got, want)
	}
}

var (
	tomorrow = time.Date(2026, 11, 1, 14, 0, 0, 0, time.UTC) // nine o'clock in New York
	midnight = time.Date(2026, 11, 3, 5, 0, 0, 0, time.UTC)  // that of New York
	evening  = time.Date(2026, 11, 3, 4, 0, 0, 0, time.UTC)  // an hour before it
	lateDay  = scheduling.Date(2026, 11, 2)                  // the day that ends there
)

func TestAnOfferTakesAdjacentSlots(t *testing.T) {
	t.Parallel()
	r, source := ruled(t, tomorrow, 4, hourly())
	expectOffers(t, r, "s-0+s-1 s-1+s-2 s-2+s-3")
	hit := find(t, r, scheduling.Query{Count: 1}).Offers[0]
	if hit.End().Sub(hit.Start()) != time.Hour || hit.Rule == nil || hit.Rule.Minutes != 60 {
		t.Errorf("%+v", hit.Offer)
	}
	if want := hit.Rule.OfferID("a", 0, "s-0", "s-1"); hit.ID != want {
		t.Errorf("its id is %s, want %s", hit.ID, want)
	}
	if back, ok := r.Offer(hit.ID); !ok || len(back.Slots) != 2 {
		t.Errorf("by its id: %+v, %v", back.Offer, ok)
	}
	if _, ok := r.Offer(scheduling.OfferID("a", 0, "s-0")); ok {
		t.Error("a slot that is too short is offered alone")
	}
	ours := func(id string) string { return scheduling.ResourceID(source.ID, scheduling.KindSlot, id) }
	if back, ok := r.BySlots([]string{ours("s-0"), ours("s-1")}); !ok || back.ID != hit.ID {
		t.Errorf("by its slots: %s, %v", back.ID, ok)
	}
	for _, slots := range [][]string{{ours("s-0")}, {ours("s-1"), ours("s-0")}, {ours("s-0"), ours("s-2")}, {ours("s-0"), ours("s-1"), ours("s-2")}} {
		if back, ok := r.BySlots(slots); ok {
			t.Errorf("%v make %v", slots, slotsOf(back))
		}
	}
	if _, ok := r.Read(scheduling.KindSlot, ours("s-3")); !ok {
		t.Error("the slot itself is not there")
	}
	if found, err := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Count: 10}); err != nil || found.Total != 4 {
		t.Errorf("a search shows %d slots, %v", found.Total, err)
	}
	if told := r.Sources()[0]; told.Slots != 4 || told.Windows != 1 {
		t.Errorf("%d slots are open in %d windows", told.Slots, told.Windows)
	}
}

func TestAnOfferGoesWithAnyOfItsSlots(t *testing.T) {
	t.Parallel()
	r, _ := ruled(t, tomorrow, 4, hourly())
	lost := find(t, r, scheduling.Query{Count: 1}).Offers[0].ID
	r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{{Slot: "s-1", Claimed: true}}})
	expectOffers(t, r, "s-2+s-3")
	if _, ok := r.Offer(lost); ok || !r.Gone(lost) {
		t.Error("an offer whose second slot is claimed is still one, or was none")
	}
	r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{{Slot: "s-1", Fence: 2}}})
	expectOffers(t, r, "s-2+s-3")
	check := scheduling.Check{Scope: scheduling.Scope{Days: scheduling.Days{From: lateDay - 2, To: lateDay + 2}}, Fetch: 3, At: noon}
	r.Apply("a", scheduling.Change{Check: &check})
	expectOffers(t, r, "s-0+s-1 s-1+s-2 s-2+s-3")
	if r.Gone(lost) {
		t.Error("it is back and said to be gone")
	}
	r.Apply("a", scheduling.Change{Generations: map[string]uint32{"s-1": 2}})
	hit := find(t, r, scheduling.Query{Count: 1}).Offers[0]
	if hit.ID == lost || hit.ID != hit.Rule.OfferID("a", 2, "s-0", "s-1") {
		t.Errorf("after it was used up its id is %s, before %s", hit.ID, lost)
	}
	if next := find(t, r, scheduling.Query{Count: 2}).Offers[1]; next.ID != next.Rule.OfferID("a", 2, "s-1", "s-2") {
		t.Errorf("another offer with that slot is %s still", next.ID)
	}
	left := windowsOf(slotsOn("sched", "s", tomorrow, 4)[:3], zone(t, "America/New_York"), 9, noon)
	r.Apply("a", scheduling.Change{Windows: left})
	expectOffers(t, r, "s-0+s-1 s-1+s-2")
}

func TestAnOfferOverMidnightHangsOnBothDays(t *testing.T) {
	t.Parallel()
	r, source := ruled(t, evening, 4, hourly())
	all := windowsOf(slotsOn("sched", "s", evening, 4), source.Zone, 2, noon)
	if len(all) != 2 {
		t.Fatalf("%d windows", len(all))
	}
	days := map[scheduling.Day]scheduling.Window{}
	for _, w := range all {
		days[w.Key.Day] = w
	}
	expectOffers(t, r, "s-0+s-1 s-1+s-2 s-2+s-3")
	over := find(t, r, scheduling.Query{Start: scheduling.InstantBound(midnight.Add(-45 * time.Minute)), Count: 1}).Offers[0]
	if strings.Join(slotsOf(over), "+") != "s-1+s-2" {
		t.Fatalf("%v", slotsOf(over))
	}
	empty := func(day scheduling.Day, fetch uint64) {
		key := scheduling.WindowKey{Schedule: "sched", Day: day}
		r.Apply("a", scheduling.Change{Windows: []scheduling.Window{{Key: key, Fetch: fetch, Checked: noon}}})
	}
	fill := func(day scheduling.Day, fetch uint64) {
		w := days[day]
		w.Fetch = fetch
		r.Apply("a", scheduling.Change{Windows: []scheduling.Window{w}})
	}
	empty(lateDay+1, 3)
	expectOffers(t, r, "s-0+s-1")
	if !r.Gone(over.ID) {
		t.Error("an offer whose second slot went with its day was none")
	}
	fill(lateDay+1, 4)
	expectOffers(t, r, "s-0+s-1 s-1+s-2 s-2+s-3")
	empty(lateDay, 5)
	expectOffers(t, r, "s-2+s-3")
	fill(lateDay, 6)
	expectOffers(t, r, "s-0+s-1 s-1+s-2 s-2+s-3")
	if back, ok := r.Offer(over.ID); !ok || back.ID != over.ID {
		t.Error("the offer over midnight came back as another")
	}
}

func TestAnOfferIsAsOldAsTheOlderOfItsDays(t *testing.T) {
	t.Parallel()
	r, source := ruled(t, evening, 4, hourly())
	for _, w := range windowsOf(slotsOn("sched", "s", evening, 4), source.Zone, 2, noon) {
		if w.Key.Day == lateDay+1 {
			w.Checked = noon.Add(-25 * time.Hour) // the source's offers stay for a day
			r.Apply("a", scheduling.Change{Windows: []scheduling.Window{w}})
		}
	}
	expectOffers(t, r, "s-0+s-1")
	found := find(t, r, scheduling.Query{Count: 10})
	if found.Sources[0].Complete {
		t.Error("nothing tells that offers are missing")
	}
	if _, ok := r.Offer((&scheduling.Rule{Minutes: 60}).OfferID("a", 0, "s-1", "s-2")); ok {
		t.Error("an offer whose second half is too old can be read")
	}
}

func TestLeadMovesWithTheClock(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	source.Rules = scheduling.Rules{{Minutes: 60, Lead: 21 * time.Hour, Until: 23 * time.Hour}}
	now := noon
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }})
	r.Load("a", scheduling.Snapshot{
		Loaded: true, Directory: dir, Status: fine("a", noon),
		Windows: windowsOf(slotsOn("sched", "s", tomorrow, 6), source.Zone, 1, noon), // 22 hours ahead
	})
	for _, step := range []struct {
		later time.Duration
		want  string
	}{
		{0, "s-0+s-1 s-1+s-2 s-2+s-3"},
		{time.Hour, "s-0+s-1 s-1+s-2 s-2+s-3 s-3+s-4 s-4+s-5"},
		{time.Hour + time.Second, "s-1+s-2 s-2+s-3 s-3+s-4 s-4+s-5"},
		{3 * time.Hour, "s-4+s-5"},
		{4 * time.Hour, ""},
	} {
		now = noon.Add(step.later)
		expectOffers(t, r, step.want)
	}
	if hit, ok := r.Offer(source.Rules[0].OfferID("a", 0, "s-0", "s-1")); !ok || hit.Rule.Timely(hit.Start(), now) == nil {
		t.Error("whoever has the id is not told why it is too late")
	}
}

func TestNewAndKnownPatientsOfEachAgeFindWhatIsForThem(t *testing.T) {
	t.Parallel()
	r, _ := ruled(t, tomorrow, 3,
		scheduling.Rule{Minutes: 60, Patients: scheduling.NewPatients, Ages: scheduling.Ages{From: 18}},
		scheduling.Rule{Patients: scheduling.KnownPatients},
	)
	adult, child := "1990-01-01", "2026-01-01"
	for _, c := range []struct {
		person scheduling.Person
		want   string
	}{
		{scheduling.Person{Born: adult, Standing: scheduling.Stranger}, "s-0+s-1 s-1+s-2"},
		{scheduling.Person{Born: child, Standing: scheduling.Stranger}, ""},
		{scheduling.Person{Born: child, Standing: scheduling.Seen}, "s-0 s-1 s-2"},
	} {
		if got := shownBy(t, r, scheduling.Query{Person: c.person}); got != c.want {
			t.Errorf("standing %q: %q, want %q", c.person.Standing, got, c.want)
		}
	}
	if got := strings.Fields(shownBy(t, r, scheduling.Query{})); len(got) != 5 {
		t.Errorf("whoever does not say who is shown %v", got)
	}
	q := scheduling.Query{Standings: map[scheduling.SourceID]scheduling.Standing{"a": scheduling.Seen}}
	if got := shownBy(t, r, q); got != "s-0 s-1 s-2" {
		t.Errorf("known at the source: %q", got)
	}
}

func TestEachVisitTypeOfASlotHasItsOwnOffer(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	source.Rules = scheduling.Rules{{VisitTypes: []scheduling.Token{{Code: "first"}}, Minutes: 60}}
	r := open(t, source)
	slots := slotsOn("sched", "s", tomorrow, 2)
	for i := range slots {
		slots[i].ServiceType = append(code("v", "first"), code("v", "again")...)
	}
	r.Load("a", scheduling.Snapshot{
		Loaded: true, Directory: dir, Status: fine("a", noon), Windows: windowsOf(slots, source.Zone, 1, noon),
	})
	for visit, want := range map[string]string{"first": "s-0+s-1", "again": "s-0 s-1", "other": ""} {
		q := scheduling.Query{VisitType: []scheduling.Token{{Code: visit}}}
		if got := shownBy(t, r, q); got != want {
			t.Errorf("%s: %q, want %q", visit, got, want)
		}
		q.Count = 10
		for _, hit := range find(t, r, q).Offers {
			if types := fmt.Sprint(hit.ServiceType()); !strings.Contains(types, visit) || strings.Count(types, "{v ") != 1 {
				t.Errorf("an offer for %s says %s", visit, types)
			}
		}
	}
}

func TestOtherRulesMakeOtherOffersOfTheSameSlots(t *testing.T) {
	t.Parallel()
	r, source := ruled(t, tomorrow, 3)
	single := find(t, r, scheduling.Query{Count: 1}).Offers[0].ID
	expectOffers(t, r, "s-0 s-1 s-2")
	source.Rules = scheduling.Rules{hourly()}
	r.SetSources([]scheduling.Source{source})
	expectOffers(t, r, "s-0+s-1 s-1+s-2")
	if !r.Gone(single) {
		t.Error("an offer that a rule took away was none")
	}
	source.Rules = scheduling.Rules{{Minutes: 90}}
	r.SetSources([]scheduling.Source{source})
	expectOffers(t, r, "s-0+s-1+s-2")
	source.Rules = nil
	r.SetSources([]scheduling.Source{source})
	expectOffers(t, r, "s-0 s-1 s-2")
	if _, ok := r.Offer(single); !ok || r.Gone(single) {
		t.Error("the slot by itself is not what it was")
	}
}
