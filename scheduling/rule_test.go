package scheduling

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestARuleIsForThoseWhoHaveTheAgeOnTheDayOfTheAppointment(t *testing.T) {
	t.Parallel()
	adults, children := Ages{From: 18}, Ages{To: 17}
	for _, c := range []struct {
		name  string
		ages  Ages
		born  string
		start string // in New York
		want  bool
	}{
		{"a birthday on that day counts", adults, "2008-11-24", "2026-11-24T08:00", true},
		{"one on the day after does not", adults, "2008-11-25", "2026-11-24T23:59", false},
		{"the day is the place's, not that of UTC", adults, "2008-11-25", "2026-11-24T20:00", false},
		{"a child is one until the day before", children, "2008-11-25", "2026-11-24T23:59", true},
		{"and no longer on the day", children, "2008-11-24", "2026-11-24T00:00", false},
		{"29 February is 1 March in other years", adults, "2008-02-29", "2026-02-28T12:00", false},
		{"and no later", adults, "2008-02-29", "2026-03-01T00:00", true},
		{"a year alone speaks for everybody who may have the age", adults, "2008", "2026-01-02T12:00", true},
		{"and against nobody who may", children, "2008", "2026-12-31T12:00", false},
		{"a month alone too", adults, "2008-11", "2026-11-01T12:00", true},
		{"a month too late", adults, "2008-12", "2026-11-30T12:00", false},
		{"an unknown date", adults, "", "2026-11-24T08:00", true},
		{"no date at all", adults, "yesterday", "2026-11-24T08:00", true},
		{"an age between", Ages{From: 18, To: 64}, "1961-11-25", "2026-11-24T08:00", true},
		{"and one year more", Ages{From: 18, To: 64}, "1961-11-24", "2026-11-24T08:00", false},
	} {
		zone := zoneOf(t, "America/New_York")
		start, err := time.ParseInLocation("2006-01-02T15:04", c.start, zone)
		if err != nil {
			t.Fatal(err)
		}
		r := &Rule{Ages: c.ages}
		refused := r.Admits(Person{Born: c.born}, start.UTC(), zone)
		if (refused == nil) != c.want {
			t.Errorf("%s: born %s, %s at %s: %v", c.name, c.born, c.ages, c.start, refused)
		}
		if refused != nil && (CodeOf(refused) != NotAcceptable || c.born != "" && strings.Contains(refused.Error(), c.born)) {
			t.Errorf("%s: %v", c.name, refused)
		}
	}
}

func TestNewPatientsAreThoseWhomNobodyIsKnownToHaveSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patients Patients
		standing Standing
		want     bool
	}{
		{NewPatients, Unsaid, true},
		{NewPatients, Stranger, true},
		{NewPatients, Registered, true},
		{NewPatients, Seen, false},
		{KnownPatients, Unsaid, true},
		{KnownPatients, Stranger, false},
		{KnownPatients, Registered, true},
		{KnownPatients, Seen, true},
		{AnyPatients, Stranger, true},
		{AnyPatients, Seen, true},
	} {
		r := &Rule{Patients: c.patients}
		if got := r.Admits(Person{Standing: c.standing}, time.Now(), time.UTC) == nil; got != c.want {
			t.Errorf("%q and %q: %v", c.patients, c.standing, got)
		}
	}
}

func TestNoRuleRefusesNothing(t *testing.T) {
	t.Parallel()
	var none *Rule
	now := time.Now()
	from, to, ok := none.Period(Person{Born: "2026-01-01", Standing: Seen}, time.UTC, now)
	if !ok || !from.Equal(now) || !to.IsZero() {
		t.Errorf("%v %v %v", from, to, ok)
	}
	if none.Timely(now, now) != nil || none.Admits(Person{}, now, time.UTC) != nil || none.Asks() || none.Said() != "" || none.Key() != "" {
		t.Error("something is refused")
	}
	if none.OfferID("napa", 3, "a") != OfferID("napa", 3, "a") {
		t.Error("a slot by itself has another id")
	}
}

func TestLeadAndUntilCountToTheSecond(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 31, 20, 0, 0, 0, time.UTC) // over the 25-hour day
	r := &Rule{Lead: 24 * time.Hour, Until: 48 * time.Hour}
	for start, want := range map[time.Time]bool{
		now.Add(24*time.Hour - time.Second): false,
		now.Add(24 * time.Hour):             true,
		now.Add(48 * time.Hour):             true,
		now.Add(48*time.Hour + time.Second): false,
	} {
		if err := r.Timely(start, now); (err == nil) != want {
			t.Errorf("%v: %v", start.Sub(now), err)
		}
	}
	if err := r.Timely(now, now); !strings.Contains(err.Error(), "1 day ahead or earlier") {
		t.Error(err)
	}
	if err := r.Timely(now.AddDate(0, 1, 0), now); !strings.Contains(err.Error(), "2 days ahead at most") {
		t.Error(err)
	}
}

func TestIDsOfOffersByRulesStandForTheirSlotsAndTheirVisitType(t *testing.T) {
	t.Parallel()
	visit := Rule{VisitTypes: []Token{{System: "s", Code: "a", Scoped: true}, {Code: "b"}}}
	fresh, longer, swapped := visit, visit, visit
	fresh.Patients = NewPatients
	longer.Minutes, longer.Lead, longer.Every = 45, time.Hour, time.Minute
	swapped.VisitTypes = []Token{visit.VisitTypes[1], visit.VisitTypes[0]}
	id := visit.OfferID("napa", 0, "1", "2")
	for name, same := range map[string]string{
		"other times, the same offer":   longer.OfferID("napa", 0, "1", "2"),
		"codes in another order":        swapped.OfferID("napa", 0, "1", "2"),
		"asked for twice, the same one": visit.OfferID("napa", 0, "1", "2"),
	} {
		if same != id {
			t.Errorf("%s: %s, want %s", name, same, id)
		}
	}
	different := map[string]string{
		"":                  id,
		"other slots":       visit.OfferID("napa", 0, "1", "3"),
		"in another order":  visit.OfferID("napa", 0, "2", "1"),
		"one slot":          visit.OfferID("napa", 0, "1"),
		"used up":           visit.OfferID("napa", 1, "1", "2"),
		"another source":    visit.OfferID("york", 0, "1", "2"),
		"for new patients":  fresh.OfferID("napa", 0, "1", "2"),
		"without a rule":    OfferID("napa", 0, "1", "2"),
		"slots that run on": visit.OfferID("napa", 0, "12"),
	}
	seen := map[string]string{}
	for name, id := range different {
		if other, twice := seen[id]; twice || !ValidID(id) || len(id) != 26 {
			t.Errorf("%q and %q: %s", name, other, id)
		}
		seen[id] = name
	}
	if (&Rule{Minutes: 45, Lead: time.Hour}).OfferID("napa", 2, "1", "2") != OfferID("napa", 2, "1", "2") {
		t.Error("a rule for everything and everybody needs no ids of its own")
	}
}

func TestASlotFollowsTheRulesOfItsTypes(t *testing.T) {
	t.Parallel()
	concept := func(codes ...string) Concept {
		var c Concept
		for _, code := range codes {
			c.Codings = append(c.Codings, Coding{System: "s", Code: code})
		}
		return c
	}
	a, b, c := concept("a"), concept("b"), concept("c")
	named := func(codes ...string) Rule {
		var r Rule
		for _, code := range codes {
			r.VisitTypes = append(r.VisitTypes, Token{Code: code})
		}
		return r
	}
	other := Rule{Minutes: 30}
	for name, c := range map[string]struct {
		rules Rules
		types []Concept
		want  []Ruled
	}{
		"no rules":                               {nil, []Concept{a}, []Ruled{{-1, []Concept{a}}}},
		"no types":                               {Rules{named("a")}, nil, []Ruled{{-1, []Concept{}}}},
		"no types, a rule for the rest":          {Rules{named("a"), other}, nil, []Ruled{{1, []Concept{}}}},
		"one type with a rule":                   {Rules{named("a")}, []Concept{a}, []Ruled{{0, []Concept{a}}}},
		"one with and one without":               {Rules{named("a")}, []Concept{a, b}, []Ruled{{0, []Concept{a}}, {-1, []Concept{b}}}},
		"the rest has a rule":                    {Rules{other, named("a")}, []Concept{a, b, c}, []Ruled{{0, []Concept{b, c}}, {1, []Concept{a}}}},
		"nothing is left for the rest":           {Rules{other, named("a")}, []Concept{a}, []Ruled{{1, []Concept{a}}}},
		"two rules":                              {Rules{named("a"), named("b")}, []Concept{b, a}, []Ruled{{0, []Concept{a}}, {1, []Concept{b}}}},
		"one concept of two codes":               {Rules{named("a"), named("b")}, []Concept{concept("a", "b")}, []Ruled{{0, []Concept{concept("a", "b")}}, {1, []Concept{concept("a", "b")}}}},
		"new and known patients of a visit type": {Rules{{VisitTypes: named("a").VisitTypes, Patients: NewPatients}, {VisitTypes: named("a").VisitTypes, Patients: KnownPatients}}, []Concept{a}, []Ruled{{0, []Concept{a}}, {1, []Concept{a}}}},
	} {
		if got := c.rules.Of(c.types); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestAPersonIsNeverWrittenOut(t *testing.T) {
	t.Parallel()
	p := Person{Born: "1961-03-04", Standing: Seen}
	q := Query{Person: p}
	for _, text := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p), fmt.Sprintf("%#v", p), fmt.Sprintf("%+v", q), fmt.Sprintf("%+v", &q), p.LogValue().String()} {
		if strings.Contains(text, "1961") {
			t.Error(text)
		}
	}
}

func TestWhatARuleSaysIsInWords(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Rule{
		"": {Minutes: 45, Every: time.Hour, Until: time.Hour},
		"For new patients only. For patients of 18 years or older. To be booked 2 hours ahead or earlier.": {Patients: NewPatients, Ages: Ages{From: 18}, Lead: 2 * time.Hour},
		"Only for patients whom the clinic knows. For patients up to the age of 17.":                       {Patients: KnownPatients, Ages: Ages{To: 17}},
		"For patients of 18 to 64 years. To be booked 1 day ahead or earlier.":                             {Ages: Ages{18, 64}, Lead: 24 * time.Hour},
		"To be booked 90 minutes ahead or earlier.":                                                        {Lead: 90 * time.Minute},
	} {
		if got := r.Said(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
