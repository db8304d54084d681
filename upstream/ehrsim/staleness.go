package ehrsim

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// staleBox keeps answers to searches for the fault that gives old ones.
type staleBox struct {
	mu   sync.Mutex
	kept map[string]staleAnswer
}

type staleAnswer struct {
	at    time.Time
	reply reply
}

// stalely answers as route does, or by a fault what the same search was told
// before.
func (s *Server) stalely(rq *request) (reply, error) {
	f, stale := rq.hits[FaultStaleSearch]
	if !stale || !f.Stubborn && strings.Contains(rq.http.Header.Get("Cache-Control"), "no-cache") {
		return s.route(rq)
	}
	key := rq.http.Method + rq.target() + "\n" + string(rq.body)
	now := s.clock.now()
	s.stale.mu.Lock()
	defer s.stale.mu.Unlock()
	if had, ok := s.stale.kept[key]; ok && now.Sub(had.at) < time.Duration(f.Delay) {
		return had.reply, nil
	}
	a, err := s.route(rq)
	if err == nil {
		s.stale.kept[key] = staleAnswer{now, a}
	}
	return a, err
}

// clear drops all that is kept.
func (b *staleBox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = map[string]staleAnswer{}
}

// appointmentRows finds appointments; by a fault as they were a while ago.
func (s *Server) appointmentRows(st *store, rq *request) ([]row, []string, error) {
	if s.opts.NoAppointmentSearch {
		return nil, nil, &failure{status: http.StatusMethodNotAllowed, code: "not-supported", text: "appointments cannot be searched"}
	}
	f, unknown := filterOf("Appointment", rq.params)
	lag, lagging := rq.hits[FaultLaggingSearch]
	st.mu.RLock()
	defer st.mu.RUnlock()
	var rows []row
	for _, a := range st.sorted() {
		for lagging && a != nil && s.clock.now().Sub(a.updated) < time.Duration(lag.Delay) {
			a = a.before
		}
		if a == nil {
			continue
		}
		if o := s.flavour.appointment(a); f.keeps(o) {
			rows = append(rows, o)
		}
	}
	return rows, unknown, nil
}
