package booking

import (
	"sync"
	"time"

	"slotgate/scheduling"
)

// absences remembers which appointments each source did and did not show of
// late. A source that hides many at once has lost its way, not its appointments.
// All of it may be forgotten at any time: then it takes longer to believe.
type absences struct {
	mu      sync.Mutex
	sources map[scheduling.SourceID]map[string]sighting
	alarmed map[scheduling.SourceID]time.Time
}

// sighting is the latest read of one appointment.
type sighting struct {
	at    time.Time
	since time.Time // of the first read in a row that did not show it; zero: it was shown
}

const (
	// absentMany not shown, and fewer shown, are too many to be believed.
	absentMany = 3
	// absentFor is how long a read counts: what is not shown is read at least
	// every look_max.
	absentFor = 30 * time.Minute
	// maxSightings bounds what is remembered of one source.
	maxSightings = 4096
)

// note remembers a read.
func (s *absences) note(e scheduling.Entry, found bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.sources[e.Source]
	if seen == nil || len(seen) >= maxSightings {
		kept := map[string]sighting{}
		for id, was := range seen {
			if !was.since.IsZero() && now.Sub(was.at) < absentFor && len(kept) < maxSightings/2 {
				kept[id] = was
			}
		}
		seen = kept
		s.sources[e.Source] = seen
	}
	is := sighting{at: now}
	if !found {
		if is.since = seen[e.ID].since; is.since.IsZero() {
			is.since = now
		}
	}
	seen[e.ID] = is
}

// of tells since when the entry was not shown here, whether its source hides too
// many to be believed, and whether that is news.
func (s *absences) of(e scheduling.Entry, now time.Time) (since time.Time, many, news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing, shown := 0, 0
	for _, is := range s.sources[e.Source] {
		switch {
		case now.Sub(is.at) >= absentFor:
		case is.since.IsZero():
			shown++
		default:
			missing++
		}
	}
	if since = s.sources[e.Source][e.ID].since; since.IsZero() {
		since = now
	}
	if many = missing >= absentMany && missing > shown; many {
		news = now.Sub(s.alarmed[e.Source]) >= absentFor
		if news {
			s.alarmed[e.Source] = now
		}
	}
	return since, many, news
}

// ended forgets one that is looked at no more.
func (s *absences) ended(e scheduling.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sources[e.Source], e.ID)
}

func newAbsences() *absences {
	return &absences{sources: map[scheduling.SourceID]map[string]sighting{}, alarmed: map[scheduling.SourceID]time.Time{}}
}
