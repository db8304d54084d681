package ehrsim

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Throttle is a limit of calls at once, as a large vendor has it: over it nobody
// is answered for a quarter of an hour, and how long that lasts is told in the
// words of an OperationOutcome alone, "User Rate Limit Exceeded, Try in another
// 844 seconds", without a Retry-After. The words count the client's seconds: the
// simulated clock decides, and may run faster.
type Throttle struct {
	Calls     int           `json:"calls"`           // at once, of everybody together; 0: any number
	Lockout   time.Duration `json:"-"`               // how long nobody is answered, by the simulated clock; default 15m
	Strangers int           `json:"strangers"`       // places that other clients have taken
	Apart     bool          `json:"apart,omitempty"` // searches, reads and writes have Calls places each, and are locked out each for themselves
}

// Throttling is what became of a Throttle.
type Throttling struct {
	Throttle
	Lockouts int      `json:"lockouts"`         // how often there were too many calls
	Refused  int      `json:"refused"`          // calls that were answered 429
	Most     int      `json:"most"`             // calls at once that were answered, strangers' not counted
	Left     Duration `json:"left"`             // of the longest lockout that lasts, by the simulated clock
	Locked   []string `json:"locked,omitempty"` // pools that are locked out
}

func (t Throttle) validate() error {
	if t.Calls < 0 || t.Lockout < 0 || t.Strangers < 0 {
		return errors.New("ehrsim: throttle: numbers must not be negative")
	}
	return nil
}

// doorman counts the calls that are let in.
type doorman struct {
	clock clock
	mu    sync.Mutex
	told  Throttling
	busy  map[string]int       // calls under way, by pool
	until map[string]time.Time // ends of lockouts, by the simulated clock
}

func newDoorman(t Throttle, clock clock) *doorman {
	setDefault(&t.Lockout, 15*time.Minute)
	return &doorman{clock: clock, told: Throttling{Throttle: t}, busy: map[string]int{}, until: map[string]time.Time{}}
}

// pool names those that a request is counted among.
func (t Throttle) pool(rq *request) string {
	switch {
	case !t.Apart:
		return "all"
	case rq.writes():
		return "writes"
	case rq.act == "read" || rq.act == "metadata":
		return "reads"
	}
	return "searches"
}

// enter lets a call in, to whose end leave must be called, or gives the wait.
func (d *doorman) enter(rq *request) (leave func(), wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := &d.told
	if t.Calls == 0 {
		return func() {}, 0
	}
	pool, now := t.pool(rq), d.clock.now()
	locked := now.Before(d.until[pool])
	if !locked && d.busy[pool]+t.Strangers >= t.Calls {
		locked = true
		t.Lockouts++
		d.until[pool] = now.Add(t.Lockout)
	}
	if locked {
		t.Refused++
		return nil, max(d.until[pool].Sub(now), 1)
	}
	d.busy[pool]++
	t.Most = max(t.Most, d.busy[pool])
	return func() { d.leave(pool) }, 0
}

func (d *doorman) leave(pool string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy[pool]--
}

// state tells what came of it until now.
func (d *doorman) state() Throttling {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, now := d.told, d.clock.now()
	for _, pool := range []string{"all", "searches", "reads", "writes"} {
		if left := d.until[pool].Sub(now); left > 0 {
			t.Locked, t.Left = append(t.Locked, pool), max(t.Left, Duration(left))
		}
	}
	return t
}

// Throttling tells how often clients were locked out, and how many calls there
// were at once.
func (s *Server) Throttling() Throttling { return s.door.state() }

// SetStrangers has other clients take so many of the places of Options.Throttle.
// They lock nobody out by themselves: whoever calls next does.
func (s *Server) SetStrangers(places int) {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	s.door.told.Strangers = max(0, places)
}

// EndLockouts lets everybody in again at once.
func (s *Server) EndLockouts() {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	clear(s.door.until)
}

// lockedOut answers a call that is not let in.
func (s *Server) lockedOut(w http.ResponseWriter, rq *request, wait time.Duration) {
	seconds := math.Ceil(wait.Seconds() / s.clock.scale)
	text := "User Rate Limit Exceeded, Try in another " + strconv.Itoa(int(seconds)) + " seconds"
	s.write(w, rq.http, http.StatusTooManyRequests, outcome("error", "throttled", text), nil)
}

// controlThrottle: GET tells, POST {"strangers": n} has others take n places,
// DELETE ends lockouts.
func (s *Server) controlThrottle(method string, body []byte) (any, error) {
	switch method {
	case http.MethodGet:
	case http.MethodPost:
		var change struct{ Strangers *int }
		if err := json.Unmarshal(body, &change); err != nil || change.Strangers == nil || *change.Strangers < 0 {
			return nil, errors.New(`ehrsim: write {"strangers": 0} or more`)
		}
		s.SetStrangers(*change.Strangers)
	case http.MethodDelete:
		s.EndLockouts()
	default:
		return nil, errNothingHere
	}
	return s.Throttling(), nil
}
