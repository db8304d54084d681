package replica

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestWhatIsLoadedIsFoundSoonestFirst(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	found := find(t, r, scheduling.Query{Count: 3})
	if found.Total != 4 || len(found.Offers) != 3 || !found.More {
		t.Fatalf("total %d, %d offers, more %v; want 4, 3, true", found.Total, len(found.Offers), found.More)
	}
	for i := 1; i < len(found.Offers); i++ {
		if !found.Offers[i-1].Start().Before(found.Offers[i].Start()) {
			t.Errorf("offer %d does not come after the one before", i)
		}
	}
	first := found.Offers[0]
	if want := scheduling.OfferID("a", 0, "s-0"); first.ID != want {
		t.Errorf("id %q, want %q", first.ID, want)
	}
	if first.Setting.Practitioners[0].ID != "who" || !first.Checked.Equal(noon) {
		t.Errorf("setting or time of check is lost: %+v", first)
	}
	rest := find(t, r, scheduling.Query{Count: 3, After: scheduling.Cursor{Start: found.Offers[2].Start(), ID: found.Offers[2].ID}})
	if len(rest.Offers) != 1 || rest.More || rest.Total != 4 {
		t.Errorf("the second page has %d offers, more %v, total %d", len(rest.Offers), rest.More, rest.Total)
	}
}

func TestEveryCriterionSelects(t *testing.T) {
	t.Parallel()
	r, source, _ := loaded(t)
	albany := scheduling.Position{Latitude: 42.6, Longitude: -73.7}
	ours := func(kind scheduling.Kind, id string) []scheduling.Ref {
		return []scheduling.Ref{{Kind: kind, ID: scheduling.ResourceID("a", kind, id)}}
	}
	url := func(kind scheduling.Kind, id string) []scheduling.Ref {
		return []scheduling.Ref{{Kind: kind, URL: source.Base + "/" + string(kind) + "/" + id}}
	}
	npi := scheduling.Identifier{System: scheduling.NPISystem, Value: "1234567893"}
	only := []scheduling.SourceID{"a"}
	tests := []struct {
		name string
		q    scheduling.Query
		want int
	}{
		{"a practitioner by our id", scheduling.Query{Practitioners: ours(scheduling.KindPractitioner, "who")}, 4},
		{"a practitioner whose ref names no kind", scheduling.Query{Practitioners: []scheduling.Ref{{ID: scheduling.ResourceID("a", scheduling.KindPractitioner, "who")}}}, 4},
		{"a practitioner by identifier", scheduling.Query{Practitioners: []scheduling.Ref{{Kind: scheduling.KindPractitioner, Identifier: npi}}}, 4},
		{"a practitioner by identifier of another system", scheduling.Query{Practitioners: []scheduling.Ref{{Kind: scheduling.KindPractitioner, Identifier: scheduling.Identifier{System: "x", Value: npi.Value}}}}, 0},
		{"a practitioner by absolute URL", scheduling.Query{Practitioners: url(scheduling.KindPractitioner, "who")}, 4},
		{"a practitioner by a URL of elsewhere", scheduling.Query{Practitioners: []scheduling.Ref{{URL: "https://other.example/fhir/Practitioner/who"}}}, 0},
		{"a practitioner by the source's id, without the source", scheduling.Query{Practitioners: []scheduling.Ref{{ID: "who"}}}, 0},
		{"a practitioner by the source's id, with the source", scheduling.Query{Sources: only, Practitioners: []scheduling.Ref{{ID: "who"}}}, 4},
		{"our id, with the source", scheduling.Query{Sources: only, Practitioners: ours(scheduling.KindPractitioner, "who")}, 4},
		{"a role by our id", scheduling.Query{Practitioners: ours(scheduling.KindRole, "role")}, 4},
		{"a role's id under the name of a practitioner", scheduling.Query{Practitioners: []scheduling.Ref{{Kind: scheduling.KindPractitioner, ID: scheduling.ResourceID("a", scheduling.KindRole, "role")}}}, 4},
		{"a role by the source's id", scheduling.Query{Sources: only, Practitioners: []scheduling.Ref{{Kind: scheduling.KindRole, ID: "role"}}}, 4},
		{"one of two practitioners", scheduling.Query{Practitioners: append(ours(scheduling.KindPractitioner, "nobody"), ours(scheduling.KindPractitioner, "who")...)}, 4},
		{"nobody", scheduling.Query{Practitioners: ours(scheduling.KindPractitioner, "nobody")}, 0},
		{"a place", scheduling.Query{Locations: ours(scheduling.KindLocation, "where")}, 4},
		{"a place by URL with a version", scheduling.Query{Locations: []scheduling.Ref{{URL: source.Base + "/Location/where/_history/2"}}}, 4},
		{"an organization", scheduling.Query{Organizations: ours(scheduling.KindOrganization, "practice")}, 4},
		{"what the organization is part of", scheduling.Query{Organizations: ours(scheduling.KindOrganization, "hospital")}, 4},
		{"part of the place's name", scheduling.Query{LocationText: []string{"main st"}}, 4},
		{"the city", scheduling.Query{LocationText: []string{"ALB"}}, 4},
		{"the middle of a word", scheduling.Query{LocationText: []string{"bany"}}, 0},
		{"near", scheduling.Query{Near: &scheduling.Near{Position: albany, Metres: 10_000}}, 4},
		{"too far", scheduling.Query{Near: &scheduling.Near{Position: albany, Metres: 1_000}}, 0},
		{"the role's specialty", scheduling.Query{Specialty: []scheduling.Token{{Code: "394582007"}}}, 4},
		{"another specialty", scheduling.Query{Specialty: []scheduling.Token{{Code: "1"}}}, 0},
		{"a visit type that nothing says", scheduling.Query{VisitType: []scheduling.Token{{Code: "1"}}}, 0},
		{"the local day", scheduling.Query{Start: scheduling.DayBound(scheduling.Date(2026, 11, 1)), End: scheduling.DayBound(scheduling.Date(2026, 11, 1))}, 4},
		{"the day after", scheduling.Query{Start: scheduling.DayBound(scheduling.Date(2026, 11, 2))}, 0},
		{"from the second slot", scheduling.Query{Start: scheduling.InstantBound(time.Date(2026, 11, 1, 14, 30, 0, 0, time.UTC))}, 3},
		{"a nanosecond after the second began", scheduling.Query{Start: scheduling.InstantBound(time.Date(2026, 11, 1, 14, 30, 0, 1, time.UTC))}, 2},
		{"to the second slot", scheduling.Query{End: scheduling.InstantBound(time.Date(2026, 11, 1, 14, 30, 0, 0, time.UTC))}, 1},
		{"to the last slot", scheduling.Query{End: scheduling.InstantBound(time.Date(2026, 11, 1, 15, 30, 0, 0, time.UTC))}, 3},
		{"a place and a stranger", scheduling.Query{Locations: ours(scheduling.KindLocation, "where"), Practitioners: ours(scheduling.KindPractitioner, "x")}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.q.Count = 10
			found := find(t, r, tt.q)
			if found.Total != tt.want || len(found.Offers) != tt.want {
				t.Errorf("total %d, %d offers, want %d", found.Total, len(found.Offers), tt.want)
			}
		})
	}
}

func TestOffersOfOneInstantComeInOrderOfID(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	at := noon.Add(24 * time.Hour)
	var slots []scheduling.Slot
	for i := range 12 {
		schedule := *dir.Schedules["sched"]
		schedule.ID = string(rune('a' + i))
		dir.Schedules[schedule.ID] = &schedule
		slots = append(slots, slotsOn(schedule.ID, schedule.ID, at, 1)...)
	}
	r := open(t, source)
	r.Load("a", scheduling.Snapshot{Loaded: true, Directory: dir, Status: fine("a", noon), Windows: windowsOf(slots, source.Zone, 1, noon)})
	q := scheduling.Query{Count: 2}
	for n := 0; n < 12; n += 2 {
		found := find(t, r, q)
		if len(found.Offers) != 2 || found.Offers[0].ID <= q.After.ID || found.Offers[1].ID <= found.Offers[0].ID || found.More != (n < 10) {
			t.Fatalf("page from %d: %d offers, more %v, not in order of id after %q", n, len(found.Offers), found.More, q.After.ID)
		}
		q.After = scheduling.Cursor{Start: at, ID: found.Offers[1].ID}
	}
}
