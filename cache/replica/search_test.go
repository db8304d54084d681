package replica

import (
	"errors"
	"slices"
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestSearchListsWhatMatches(t *testing.T) {
	t.Parallel()
	r, source, _ := loaded(t)
	ref := func(kind scheduling.Kind, id string) []scheduling.Ref {
		return []scheduling.Ref{{ID: scheduling.ResourceID("a", kind, id)}}
	}
	who := ref(scheduling.KindPractitioner, "who")
	where := ref(scheduling.KindLocation, "where")
	practice := ref(scheduling.KindOrganization, "practice")
	npi := []scheduling.Token{{System: scheduling.NPISystem, Code: "1234567893", Scoped: true}}
	specialty := []scheduling.Token{{Code: "394582007"}}
	from := func(prefix string, bound scheduling.Bound) []scheduling.TimeTest {
		return []scheduling.TimeTest{{Prefix: prefix, Bound: bound}}
	}
	tests := []struct {
		name string
		s    scheduling.Search
		want int
	}{
		{"practitioners, all", scheduling.Search{Kind: scheduling.KindPractitioner}, 1},
		{"a practitioner by identifier", scheduling.Search{Kind: scheduling.KindPractitioner, Identifiers: npi}, 1},
		{"a practitioner by another identifier", scheduling.Search{Kind: scheduling.KindPractitioner, Identifiers: []scheduling.Token{{Code: "1"}}}, 0},
		{"a practitioner by given name", scheduling.Search{Kind: scheduling.KindPractitioner, Name: []string{"an"}}, 1},
		{"a practitioner by family name", scheduling.Search{Kind: scheduling.KindPractitioner, Name: []string{"RIV"}}, 1},
		{"a practitioner by our id", scheduling.Search{Kind: scheduling.KindPractitioner, IDs: []string{who[0].ID}}, 1},
		{"a practitioner by another id", scheduling.Search{Kind: scheduling.KindPractitioner, IDs: []string{"x"}}, 0},
		{"practitioners by address, which they do not have", scheduling.Search{Kind: scheduling.KindPractitioner, Address: []string{"albany"}}, 0},
		{"practitioners by status, which only slots have", scheduling.Search{Kind: scheduling.KindPractitioner, Status: []string{"free"}}, 0},
		{"a place by name", scheduling.Search{Kind: scheduling.KindLocation, Name: []string{"main"}}, 1},
		{"a place by address", scheduling.Search{Kind: scheduling.KindLocation, Address: []string{"NY"}}, 1},
		{"a place by organization", scheduling.Search{Kind: scheduling.KindLocation, Organizations: practice}, 1},
		{"organizations", scheduling.Search{Kind: scheduling.KindOrganization}, 2},
		{"an organization by name", scheduling.Search{Kind: scheduling.KindOrganization, Name: []string{"hosp"}}, 1},
		{"a role by practitioner, place, organization and specialty", scheduling.Search{Kind: scheduling.KindRole, Practitioners: who, Locations: where, Organizations: practice, Specialty: specialty}, 1},
		{"a role by another specialty", scheduling.Search{Kind: scheduling.KindRole, Specialty: []scheduling.Token{{Code: "1"}}}, 0},
		{"services", scheduling.Search{Kind: scheduling.KindService}, 0},
		{"a schedule by practitioner", scheduling.Search{Kind: scheduling.KindSchedule, Practitioners: who}, 1},
		{"a schedule by its role's specialty", scheduling.Search{Kind: scheduling.KindSchedule, Specialty: specialty}, 1},
		{"slots, all", scheduling.Search{Kind: scheduling.KindSlot}, 4},
		{"slots by schedule", scheduling.Search{Kind: scheduling.KindSlot, Schedules: ref(scheduling.KindSchedule, "sched")}, 4},
		{"slots by another schedule", scheduling.Search{Kind: scheduling.KindSlot, Schedules: ref(scheduling.KindSchedule, "other")}, 0},
		{"free slots", scheduling.Search{Kind: scheduling.KindSlot, Status: []string{"busy", "free"}}, 4},
		{"busy slots", scheduling.Search{Kind: scheduling.KindSlot, Status: []string{"busy"}}, 0},
		{"slots by practitioner, place and specialty", scheduling.Search{Kind: scheduling.KindSlot, Practitioners: who, Locations: where, Specialty: specialty}, 4},
		{"slots by role", scheduling.Search{Kind: scheduling.KindSlot, Practitioners: ref(scheduling.KindRole, "role")}, 4},
		{"slots by another specialty", scheduling.Search{Kind: scheduling.KindSlot, Specialty: []scheduling.Token{{Code: "1"}}}, 0},
		{"slots by name, which they do not have", scheduling.Search{Kind: scheduling.KindSlot, Name: []string{"s"}}, 0},
		{"a slot by our id", scheduling.Search{Kind: scheduling.KindSlot, IDs: []string{scheduling.ResourceID("a", scheduling.KindSlot, "s-2")}}, 1},
		{"slots on their local day", scheduling.Search{Kind: scheduling.KindSlot, Start: from("eq", scheduling.DayBound(scheduling.Date(2026, 11, 1)))}, 4},
		{"slots after their local day", scheduling.Search{Kind: scheduling.KindSlot, Start: from("gt", scheduling.DayBound(scheduling.Date(2026, 11, 1)))}, 0},
		{"slots from the second on", scheduling.Search{Kind: scheduling.KindSlot, Start: from("ge", scheduling.InstantBound(time.Date(2026, 11, 1, 14, 30, 0, 0, time.UTC)))}, 3},
		{"slots between two instants", scheduling.Search{Kind: scheduling.KindSlot, Start: append(
			from("ge", scheduling.InstantBound(time.Date(2026, 11, 1, 14, 30, 0, 0, time.UTC))),
			from("lt", scheduling.InstantBound(time.Date(2026, 11, 1, 15, 30, 0, 0, time.UTC)))...)}, 2},
		{"slots of the source", scheduling.Search{Kind: scheduling.KindSlot, Sources: []scheduling.SourceID{source.ID}}, 4},
		{"slots by the source's own schedule id", scheduling.Search{Kind: scheduling.KindSlot, Sources: []scheduling.SourceID{source.ID}, Schedules: []scheduling.Ref{{ID: "sched"}}}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.s.Count = 10
			got, err := r.Search(tt.s)
			if err != nil {
				t.Fatal(err)
			}
			if got.Total != tt.want || len(got.Records) != tt.want || got.More {
				t.Fatalf("total %d, %d records, more %v; want %d", got.Total, len(got.Records), got.More, tt.want)
			}
			for _, record := range got.Records {
				back, ok := r.Read(record.Kind, record.ID)
				if !ok || back.ID != record.ID || back.Source.ID != source.ID {
					t.Errorf("%s/%s is listed and cannot be read", record.Kind, record.ID)
				}
			}
		})
	}
}

func TestSearchTurnsPagesInOrderOfOurID(t *testing.T) {
	t.Parallel()
	for _, kind := range []scheduling.Kind{scheduling.KindSlot, scheduling.KindOrganization} {
		r, _, _ := loaded(t)
		all, err := r.Search(scheduling.Search{Kind: kind, Count: 100})
		if err != nil {
			t.Fatal(err)
		}
		var paged []string
		s := scheduling.Search{Kind: kind, Count: 1}
		for {
			page, err := r.Search(s)
			if err != nil {
				t.Fatal(err)
			}
			if page.Total != all.Total || len(page.Records) != 1 {
				t.Fatalf("a page of %d, total %d", len(page.Records), page.Total)
			}
			s.After = page.Records[0].ID
			paged = append(paged, s.After)
			if !page.More {
				break
			}
		}
		if len(paged) != all.Total || !slices.IsSorted(paged) {
			t.Errorf("%s: pages give %v of %d", kind, paged, all.Total)
		}
	}
	r, _, _ := loaded(t)
	if none, err := r.Search(scheduling.Search{Kind: scheduling.KindSlot}); err != nil || none.Total != 4 || len(none.Records) != 0 || none.More {
		t.Errorf("count 0: %+v, %v", none, err)
	}
}

func TestVirtualSchedulesAndSlotsAreOfferedAndNotShown(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	virtual := *snap.Directory.Schedules["sched"]
	virtual.Virtual = true
	snap.Directory.Schedules["sched"] = &virtual
	snap.Windows[0].Slots[0].Virtual = true
	r := open(t, source)
	r.Load("a", snap)
	if found := find(t, r, scheduling.Query{Count: 1}); found.Total != 4 || !found.Offers[0].Slots[0].Virtual {
		t.Errorf("they are not offered: %+v", found)
	}
	for _, kind := range []scheduling.Kind{scheduling.KindSchedule, scheduling.KindSlot} {
		if got, err := r.Search(scheduling.Search{Kind: kind, Count: 9}); err != nil || got.Total != 0 {
			t.Errorf("%s: %d are shown, %v", kind, got.Total, err)
		}
	}
	if _, ok := r.Read(scheduling.KindSchedule, scheduling.ResourceID("a", scheduling.KindSchedule, "sched")); ok {
		t.Error("the schedule can be read")
	}
	if _, ok := r.Read(scheduling.KindSlot, scheduling.ResourceID("a", scheduling.KindSlot, "s-0")); ok {
		t.Error("the slot can be read")
	}
}

func TestBadQuestionsAreRefused(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	_, negative := r.Find(scheduling.Query{Count: -1})
	_, stranger := r.Find(scheduling.Query{Sources: []scheduling.SourceID{"nope"}})
	_, searchNegative := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Count: -1})
	_, searchKind := r.Search(scheduling.Search{Kind: "Patient"})
	_, searchStranger := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Sources: []scheduling.SourceID{"nope"}})
	for name, err := range map[string]error{
		"negative count": negative, "unknown source": stranger, "search with a negative count": searchNegative,
		"search of a kind that the directory lacks": searchKind, "search of an unknown source": searchStranger,
	} {
		var e *scheduling.Error
		if !errors.As(err, &e) || e.Code != scheduling.BadRequest || e.Who != scheduling.Client {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrangeIdsAreUnknown(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	tag := scheduling.SourceTag("a")
	for _, id := range []string{"", "-", "x", tag, tag + "-", tag + "-aaaaaaaaaaaaaaaaaaaa", "\x00\xff", scheduling.OfferID("b", 0, "s-0"), scheduling.OfferID("a", 7, "s-0")} {
		if _, ok := r.Offer(id); ok {
			t.Errorf("%q names an offer", id)
		}
		for _, kind := range append(directoryKinds(), scheduling.KindSlot, "Patient", "") {
			if _, ok := r.Read(kind, id); ok {
				t.Errorf("%q names a %s", id, kind)
			}
		}
	}
}

func TestWhatHasBegunIsNoOffer(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	now := noon
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }})
	r.Load("a", snap)
	first := find(t, r, scheduling.Query{Count: 1}).Offers[0]
	now = first.Start()
	if _, ok := r.Offer(first.ID); !ok {
		t.Error("at its very beginning it is one still")
	}
	now = first.Start().Add(time.Nanosecond)
	if _, ok := r.Offer(first.ID); ok {
		t.Error("it is one after it began")
	}
	if found := find(t, r, scheduling.Query{}); found.Total != 3 || r.Sources()[0].Slots != 3 {
		t.Errorf("total %d, %d open", found.Total, r.Sources()[0].Slots)
	}
}

func TestWhatIsTooOldIsNeitherOfferedNorRead(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	for i := range snap.Windows {
		snap.Windows[i].Checked = noon.Add(-25 * time.Hour)
	}
	r := open(t, source)
	r.Load("a", snap)
	offer := scheduling.OfferID("a", 0, "s-0")
	if _, ok := r.Offer(offer); ok || r.Sources()[0].Slots != 0 || r.Sources()[0].Complete {
		t.Errorf("an offer that is too old: %v, %+v", ok, r.Sources()[0])
	}
	check := scheduling.Check{At: noon, Fetch: 2, Scope: scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 10, 31), To: scheduling.Date(2026, 11, 9)}}}
	r.Apply("a", scheduling.Change{Check: &check})
	hit, ok := r.Offer(offer)
	if !ok || !hit.Checked.Equal(noon) || r.Sources()[0].Slots != 4 {
		t.Errorf("a check makes it young again: %v, %v, %+v", ok, hit.Checked, r.Sources()[0])
	}
}
