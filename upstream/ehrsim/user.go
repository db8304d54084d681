package ehrsim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// User is a person with a SMART token of this server: it opens one patient, and
// of everything else nothing.
type User struct {
	Token   string    `json:"token,omitempty"` // the control API takes it, and never gives it
	Patient string    `json:"patient"`         // id
	Until   time.Time `json:"until,omitzero"`  // by the simulated clock; zero: for ever
	// Reads: it may change nothing.
	Reads bool `json:"reads,omitempty"`
}

var errUser = errors.New("ehrsim: a user needs a token and a patient")

// userBox is who has a token, by its digest.
type userBox struct {
	mu   sync.RWMutex
	list map[string]User
}

// AddUser gives a token to a patient; one that is known is replaced.
func (s *Server) AddUser(u User) error {
	if u.Token == "" || u.Patient == "" {
		return errUser
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if s.users.list == nil {
		s.users.list = map[string]User{}
	}
	s.users.list[bearerDigest(u.Token)] = u
	return nil
}

// RemoveUsers takes every token back.
func (s *Server) RemoveUsers() {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	s.users.list = nil
}

// Users lists who has a token, by patient, without the tokens.
func (s *Server) Users() []User {
	s.users.mu.RLock()
	defer s.users.mu.RUnlock()
	out := []User{}
	for _, u := range s.users.list {
		u.Token = ""
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b User) int { return strings.Compare(a.Patient, b.Patient) })
	return out
}

// Carried gives the requests that carried this very token, whoever's it is.
func (s *Server) Carried(token string) []Request {
	digest := bearerDigest(token)
	return slices.DeleteFunc(s.Requests(0), func(r Request) bool { return r.Bearer != digest })
}

// bearerDigest stands for a token in the history.
func bearerDigest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// bearerOf is the digest of the token that a request carries, "" without one.
func bearerOf(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearerDigest(token)
	}
	return ""
}

// user is whose token the request carries.
func (s *Server) user(rq *request) (User, bool) {
	s.users.mu.RLock()
	defer s.users.mu.RUnlock()
	u, ok := s.users.list[bearerOf(rq.http)]
	return u, ok
}

var errNotTheirs = &failure{status: http.StatusForbidden, code: "forbidden", text: "this token does not open that"}

// answerUser answers one who may see a single patient.
func (s *Server) answerUser(rq *request, u User) (reply, error) {
	if !u.Until.IsZero() && !s.clock.now().Before(u.Until) {
		return reply{}, &failure{status: http.StatusUnauthorized, code: "login", text: "the token has expired"}
	}
	if err := rq.read(); err != nil {
		return reply{}, err
	}
	if u.Reads && rq.writes() {
		return reply{}, errNotTheirs
	}
	switch rq.act + " " + rq.typ {
	case "metadata ":
	case "read Patient":
		if rq.id != u.Patient {
			return reply{}, errNotTheirs
		}
	case "search Patient":
		rq.params.Add("_id", u.Patient)
	case "search Appointment":
		for _, asked := range rq.params["patient"] {
			if localRef(asked) != "Patient/"+u.Patient && asked != u.Patient {
				return reply{}, errNotTheirs
			}
		}
		rq.params.Set("patient", "Patient/"+u.Patient)
	case "read Appointment", "patch Appointment", "update Appointment":
		if !s.hasAppointment(u, rq.id) {
			return reply{}, errNotTheirs
		}
	case "book Appointment":
		if a, err := rq.asked(); err != nil || !rq.iheCancels() || !s.hasAppointment(u, a.resource.str("id")) {
			return reply{}, errNotTheirs
		}
	case "search ":
		if !rq.params.Has(pageToken) {
			return reply{}, errNotTheirs
		}
	default:
		return reply{}, errNotTheirs
	}
	return s.stalely(rq)
}

// hasAppointment tells whether the user takes part.
func (s *Server) hasAppointment(u User, id string) bool {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	a := st.appts[id]
	return a != nil && slices.Contains(patientRefs(a.resource), "Patient/"+u.Patient)
}

// controlUsers: GET lists them, POST adds one, DELETE takes all tokens back.
func (s *Server) controlUsers(method string, body []byte) (any, error) {
	switch method {
	case http.MethodGet:
	case http.MethodPost:
		var u User
		if err := strict(body, &u); err != nil {
			return nil, err
		}
		if err := s.AddUser(u); err != nil {
			return nil, err
		}
	case http.MethodDelete:
		s.RemoveUsers()
	default:
		return nil, errNothingHere
	}
	return map[string][]User{"users": s.Users()}, nil
}
