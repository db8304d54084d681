package scheduling

import (
	"slices"
	"strings"
	"time"
)

// Bound is one end of the period asked for: an instant, or a local day, which
// then means that day in the zone of each place.
type Bound struct {
	At    time.Time
	Day   Day
	IsDay bool
	Set   bool // false: the caller left it to us
}

// InstantBound is a bound at the instant t.
func InstantBound(t time.Time) Bound { return Bound{At: t.UTC(), Set: true} }

// DayBound is a bound at a local day.
func DayBound(d Day) Bound { return Bound{Day: d, IsDay: true, Set: true} }

// Ref asks for one record of the directory: by our id, by an identifier over
// all sources, by the source's own id (with Source), or by its absolute URL.
type Ref struct {
	Kind       Kind
	ID         string
	Identifier Identifier
	URL        string
}

// Query is what $find asks: AND between the kinds of criteria, OR within one.
type Query struct {
	Start Bound // the first moment at which an offer may begin
	End   Bound // the first moment at which it may not; a day is included whole

	Specialty     []Token
	VisitType     []Token
	Practitioners []Ref
	Organizations []Ref
	Locations     []Ref
	LocationText  []string // part of an address or of a name, without regard to case
	Near          *Near
	Sources       []SourceID

	// Person is who is to be seen, as far as the caller says: clinics' rules are
	// judged by it. Standings is what is known of them at sources.
	Person    Person
	Standings map[SourceID]Standing

	Count  int // offers wanted; 0: only the total
	After  Cursor
	MaxAge time.Duration // 0: as old as the source's configuration allows
	// Renewable are the sources whose offers count whatever MaxAge says: whoever
	// asks has them looked at again before they are shown.
	Renewable []SourceID
}

// PersonAt is who is to be seen, as a source may know them.
func (q *Query) PersonAt(source SourceID) Person {
	p := q.Person
	if standing, known := q.Standings[source]; known {
		p.Standing = standing
	}
	return p
}

// MaxAgeAt is the MaxAge that counts for a source.
func (q *Query) MaxAgeAt(source SourceID) time.Duration {
	if q.MaxAge > 0 && slices.Contains(q.Renewable, source) {
		return 0
	}
	return q.MaxAge
}

// Cursor is a place in the order of offers: start, then id. The zero Cursor is
// before the first.
type Cursor struct {
	Start time.Time
	ID    string
}

// IsZero tells whether the cursor is before the first offer.
func (c Cursor) IsZero() bool { return c.ID == "" && c.Start.IsZero() }

// Before tells whether an offer with this start and id comes after the cursor.
func (c Cursor) Before(start time.Time, id string) bool {
	if c.IsZero() {
		return true
	}
	if !start.Equal(c.Start) {
		return start.After(c.Start)
	}
	return id > c.ID
}

// Span is the period as instants for a place in zone: from from (included) to
// to (not included). Nothing before now is ever asked for. A missing end is
// the zero time: up to the horizon.
func (q Query) Span(zone *time.Location, now time.Time) (from, to time.Time) {
	from = now
	if q.Start.Set {
		start := q.Start.At
		if q.Start.IsDay {
			start = q.Start.Day.Start(zone)
		}
		if start.After(from) {
			from = start
		}
	}
	if q.End.Set {
		to = q.End.At
		if q.End.IsDay {
			to = q.End.Day.End(zone)
		}
	}
	return from, to
}

// MatchesText tells whether part occurs at the start of one of the texts or of
// a word in them, without regard to case: the string search of FHIR, tolerant.
func MatchesText(part string, texts ...string) bool {
	part = strings.ToLower(strings.TrimSpace(part))
	if part == "" {
		return false
	}
	for _, text := range texts {
		text = strings.ToLower(text)
		for from := 0; from < len(text); {
			at := strings.Index(text[from:], part)
			if at < 0 {
				break
			}
			at += from
			if at == 0 || strings.ContainsRune(" ,.-/(", rune(text[at-1])) {
				return true
			}
			from = at + 1
		}
	}
	return false
}
