package scheduling

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// composed is the pieces of each offer, by id.
func composed(r *Rule, pieces []Piece, zone *time.Location) [][]string {
	var all [][]string
	r.Compose(pieces, zone, nil, func(chain []int) {
		var ids []string
		for _, n := range chain {
			ids = append(ids, pieces[n].ID)
		}
		all = append(all, ids)
	})
	return all
}

// row is adjacent pieces of so many minutes each.
func row(from time.Time, minutes ...int) []Piece {
	var list []Piece
	for _, m := range minutes {
		list = append(list, Piece{from.Format("1504"), from.Unix(), from.Unix() + int64(m)*60})
		from = from.Add(time.Duration(m) * time.Minute)
	}
	return list
}

func TestOffersAreMadeOfAdjacentSlots(t *testing.T) {
	t.Parallel()
	nine := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	quarters := row(nine, 15, 15, 15, 15)
	paused := slices.Concat(row(nine, 20), row(nine.Add(25*time.Minute), 20))
	parallel := slices.Concat(row(nine, 15), []Piece{{"x", nine.Unix(), nine.Unix() + 900}}, row(nine.Add(15*time.Minute), 15))
	blind := slices.Concat(row(nine, 15), []Piece{{"a", nine.Unix() + 900, nine.Unix() + 1000}, {"b", nine.Unix() + 900, nine.Unix() + 1800}})
	slices.SortFunc(parallel, ComparePieces)
	for _, c := range []struct {
		name   string
		rule   Rule
		pieces []Piece
		want   string
	}{
		{"one slot each", Rule{}, quarters, "[[0900] [0915] [0930] [0945]]"},
		{"exactly as long", Rule{Minutes: 30}, quarters, "[[0900 0915] [0915 0930] [0930 0945]]"},
		{"at least as long", Rule{Minutes: 40}, quarters, "[[0900 0915 0930] [0915 0930 0945]]"},
		{"longer than there is", Rule{Minutes: 61}, quarters, "[]"},
		{"a slot that is long enough", Rule{Minutes: 10}, quarters, "[[0900] [0915] [0930] [0945]]"},
		{"at whole half hours", Rule{Minutes: 30, Every: 30 * time.Minute}, quarters, "[[0900 0915] [0930 0945]]"},
		{"a pause", Rule{Minutes: 40}, paused, "[]"},
		{"a pause that is allowed", Rule{Minutes: 40, Gap: 5 * time.Minute}, paused, "[[0900 0925]]"},
		{"a pause that is too long", Rule{Minutes: 40, Gap: 4 * time.Minute}, paused, "[]"},
		{"two rooms at once", Rule{Minutes: 30}, parallel, "[[0900 0915] [x 0915]]"},
		{"a way that ends nowhere is left again", Rule{Minutes: 30}, blind, "[[0900 b]]"},
		{"nothing", Rule{Minutes: 30}, nil, "[]"},
	} {
		if got := fmt.Sprint(composed(&c.rule, c.pieces, time.UTC)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestBeginningsAreCountedByTheClocksOfThePlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, from, want string
	}{
		// 2:00 to 3:00 is skipped: 1:30 and then 3:00.
		{"America/New_York", "2026-03-08T06:00:00Z", "01:00 03:00 04:00"},
		// 1:00 to 2:00 comes twice.
		{"America/New_York", "2026-11-01T05:00:00Z", "01:00 01:00 02:00"},
		// 2:00 to 2:30 is skipped.
		{"Australia/Lord_Howe", "2026-10-03T14:30:00Z", "01:00 03:00 04:00"},
		{"Asia/Kathmandu", "2026-11-01T00:00:00Z", "06:00 07:00 08:00"},
	} {
		zone := zoneOf(t, c.zone)
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		quarters := make([]int, 12)
		for i := range quarters {
			quarters[i] = 15
		}
		pieces, got := row(from, quarters...), ""
		rule := Rule{Minutes: 15, Every: time.Hour}
		rule.Compose(pieces, zone, nil, func(chain []int) { got += " " + time.Unix(pieces[chain[0]].Start, 0).In(zone).Format("15:04") })
		if got != " "+c.want {
			t.Errorf("%s from %s:%s, want %s", c.zone, c.from, got, c.want)
		}
	}
}

func TestLawOfComposition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var pieces []Piece
		at := int64(1_790_000_100) // a whole quarter of an hour
		for n := range rapid.IntRange(0, 14).Draw(t, "slots") {
			at += int64(rapid.SampledFrom([]int{0, 0, 300, 900, 900, 900, 3600}).Draw(t, "after"))
			length := int64(rapid.SampledFrom([]int{300, 900, 900, 1200}).Draw(t, "length"))
			pieces = append(pieces, Piece{fmt.Sprint("s", n), at, at + length})
		}
		slices.SortFunc(pieces, ComparePieces)
		r := Rule{
			Minutes: rapid.SampledFrom([]int{0, 15, 20, 30, 45}).Draw(t, "minutes"),
			Gap:     rapid.SampledFrom([]time.Duration{0, 5 * time.Minute}).Draw(t, "gap"),
		}
		began := map[int]bool{}
		r.Compose(pieces, time.UTC, nil, func(chain []int) {
			began[chain[0]] = true
			for i, n := range chain {
				if i == 0 {
					continue
				}
				pause := pieces[n].Start - pieces[chain[i-1]].End
				if pause < 0 || pause > int64(r.Gap/time.Second) {
					t.Fatalf("%v: a pause of %d s", chain, pause)
				}
				if pieces[chain[i-1]].End >= pieces[chain[0]].Start+int64(r.Minutes)*60 {
					t.Fatalf("%v: one slot more than it needs", chain)
				}
			}
			if pieces[chain[len(chain)-1]].End < pieces[chain[0]].Start+int64(r.Minutes)*60 {
				t.Fatalf("%v is too short", chain)
			}
		})
		for n := range pieces {
			if can := leads(pieces, n, pieces[n].Start+int64(r.Minutes)*60, int64(r.Gap/time.Second)); can != began[n] {
				t.Fatalf("from %d: offered %v, possible %v\n%v", n, began[n], can, pieces)
			}
		}
	})
}

// leads tells whether any way through the pieces lasts until then.
func leads(pieces []Piece, from int, until, gap int64) bool {
	end := pieces[from].End
	if end >= until {
		return true
	}
	for n, p := range pieces {
		if p.Start >= end && p.Start <= end+gap && leads(pieces, n, until, gap) {
			return true
		}
	}
	return false
}

func TestManySlotsAtOnceAreComposedInReasonableTime(t *testing.T) {
	t.Parallel()
	var pieces []Piece
	for step := range int64(20) {
		for n := range 150 {
			pieces = append(pieces, Piece{fmt.Sprintf("%d-%03d", step, n), step * 300, step*300 + 300})
		}
	}
	rule, offers := Rule{Minutes: 2000}, 0 // every way ends nowhere
	rule.Compose(pieces, time.UTC, nil, func([]int) { offers++ })
	if offers != 0 {
		t.Errorf("%d offers", offers)
	}
	rule, longest := Rule{Minutes: 60}, 0
	rule.Compose(pieces, time.UTC, nil, func(chain []int) { offers, longest = offers+1, max(longest, len(chain)) })
	if offers != 9*150 || longest != 12 {
		t.Errorf("%d offers of up to %d slots", offers, longest)
	}
}

func TestAnOfferHasNoMoreSlotsThanABookingTakes(t *testing.T) {
	t.Parallel()
	short := make([]int, 60)
	for i := range short {
		short[i] = 1
	}
	pieces := row(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), short...)
	for minutes, want := range map[int]int{MaxOfferSlots: len(short) - MaxOfferSlots + 1, MaxOfferSlots + 1: 0} {
		rule := Rule{Minutes: minutes}
		if got := len(composed(&rule, pieces, time.UTC)); got != want {
			t.Errorf("%d minutes: %d offers, want %d", minutes, got, want)
		}
	}
}

func TestWhatIsFoundIsWhatIsAdmitted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"America/New_York", "Europe/Berlin", "Pacific/Kiritimati", "America/Havana"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 3, 1, 0, 0, rapid.IntRange(0, 40*86400).Draw(t, "now"), rapid.IntRange(0, 999).Draw(t, "ns"), time.UTC)
		r := Rule{
			Lead:     time.Duration(rapid.IntRange(0, 100).Draw(t, "lead")) * time.Hour,
			Patients: rapid.SampledFrom([]Patients{AnyPatients, NewPatients, KnownPatients}).Draw(t, "patients"),
			Ages:     Ages{From: rapid.IntRange(0, 3).Draw(t, "from")},
		}
		if rapid.Bool().Draw(t, "ends") {
			r.Ages.To, r.Until = r.Ages.From+rapid.IntRange(0, 2).Draw(t, "to"), r.Lead+time.Duration(rapid.IntRange(1, 300).Draw(t, "until"))*time.Hour
		}
		born := now.AddDate(-rapid.IntRange(0, 4).Draw(t, "years"), 0, rapid.IntRange(-3, 30).Draw(t, "days")).Format(time.DateOnly)
		p := Person{
			Born:     born[:rapid.SampledFrom([]int{0, 4, 7, 10}).Draw(t, "told")],
			Standing: rapid.SampledFrom([]Standing{Unsaid, Stranger, Registered, Seen}).Draw(t, "standing"),
		}
		from, to, ok := r.Period(p, zone, now)
		for range 20 {
			start := now.Truncate(time.Second).Add(time.Second + time.Duration(rapid.IntRange(0, 40*24*4).Draw(t, "start"))*15*time.Minute)
			if rapid.Bool().Draw(t, "midnight") {
				start = DayOf(start, zone).End(zone).Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "before")) * time.Second)
			}
			found := ok && !start.Before(from) && (to.IsZero() || start.Before(to))
			if admitted := r.Timely(start, now) == nil && r.Admits(p, start, zone) == nil; found != admitted {
				t.Fatalf("at %v: found %v, admitted %v (%v to %v, %v)\n%+v born %s", start.In(zone), found, admitted, from, to, ok, r, p.Born)
			}
		}
	})
}
