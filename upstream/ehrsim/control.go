package ehrsim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const controlPath = "/_control/"

// Info is what GET /_control/ tells.
type Info struct {
	Name    string    `json:"name"`
	Dialect Dialect   `json:"dialect"`
	FHIR    FHIR      `json:"fhir"`
	Base    string    `json:"base"`
	Now     time.Time `json:"now"`   // the simulated clock
	Slots   int       `json:"slots"` // in the book
	Free    int       `json:"free"`
}

var errNothingHere = errors.New("ehrsim: nothing is served there")

// control answers the control API in plain JSON.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	what, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, controlPath), "/")
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return
	}
	var out any
	switch what {
	case "":
		out = s.info(r)
	case "faults":
		out, err = s.controlFaults(r.Method, id, body)
	case "slots":
		out, err = s.controlSlots(r, id, body)
	case "appointments":
		out, err = s.controlAppointments(r, id, body)
	case "holds":
		out, err = s.controlHolds(r.Method, id)
	case "book":
		out = map[string][]BookLine{"lines": s.Book()}
	case "subscriptions":
		out, err = s.controlSubscriptions(r.Method, id)
	case "schedules":
		out, err = s.controlSchedules(r.Method, id, body)
	case "users":
		out, err = s.controlUsers(r.Method, body)
	case "patients":
		out = map[string][]Patient{"patients": s.Patients()}
	case "coverages":
		out = map[string][]Coverage{"coverages": s.Coverages()}
	case "fill":
		out, err = s.controlFill(r.Method, body)
	case "requests":
		out, err = s.controlRequests(r)
	case "login":
		out, err = s.controlLogin(r.Method, body)
	case "throttle":
		out, err = s.controlThrottle(r.Method, body)
	case "counters":
		out = s.Counters()
	case "reset":
		out, err = map[string]bool{"reset": true}, s.controlReset(r.Method)
	default:
		err = errNothingHere
	}
	tell(w, out, err)
}

func tell(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	switch {
	case errors.Is(err, ErrNoSlot), errors.Is(err, ErrNoSchedule), errors.Is(err, ErrNoAppointment), errors.Is(err, errNothingHere):
		status = http.StatusNotFound
	case errors.Is(err, ErrTaken):
		status = http.StatusConflict
	case err != nil:
		status = http.StatusBadRequest
	}
	if err != nil {
		out = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the client may be gone
}

func (s *Server) info(r *http.Request) Info {
	return Info{
		Name: s.opts.Name, Dialect: s.opts.Dialect, FHIR: s.opts.FHIR, Base: "http://" + r.Host + BasePath,
		Now: s.Now(), Slots: len(s.Slots()), Free: len(s.Slots("free")),
	}
}

// controlFaults: GET lists, PUT replaces all, POST and PATCH add or change by
// id, DELETE takes one or all away. It always answers with the list.
func (s *Server) controlFaults(method, id string, body []byte) (any, error) {
	var faults []Fault
	var err error
	switch method {
	case http.MethodGet:
	case http.MethodPut, http.MethodPost, http.MethodPatch:
		if faults, err = ReadFaults(body); err != nil {
			return nil, err
		}
		if id != "" && len(faults) == 1 {
			faults[0].ID = id
		}
		if method == http.MethodPut && id == "" {
			_, err = s.SetFaults(faults...)
		} else {
			_, err = s.AddFaults(faults...)
		}
	case http.MethodDelete:
		if id == "" {
			_, err = s.SetFaults()
		} else if !s.RemoveFault(id) {
			err = errNothingHere
		}
	default:
		err = errNothingHere
	}
	return map[string][]Fault{"faults": s.Faults()}, err
}

// slotChange is the body of POST and PATCH: what is there is changed.
type slotChange struct {
	ID       string     `json:"id"`
	Schedule string     `json:"schedule"`
	Start    *time.Time `json:"start"`
	End      *time.Time `json:"end"`
	Minutes  int        `json:"minutes"` // instead of end
	Status   string     `json:"status"`
	Type     *string    `json:"type"` // code of another visit type; "": the next
}

// controlSlots: GET lists (?status=free&schedule=x) or reads one, POST adds
// one or a list, PATCH /{id} changes status or times, DELETE /{id} removes.
func (s *Server) controlSlots(r *http.Request, id string, body []byte) (any, error) {
	switch {
	case r.Method == http.MethodGet && id == "":
		return s.listSlots(r), nil
	case r.Method == http.MethodDelete && id == "":
		return map[string][]Slot{"deleted": s.DeleteSlots(r.URL.Query().Get("schedule"))}, nil
	case r.Method == http.MethodGet:
		return s.Slot(id)
	case r.Method == http.MethodPost && id == "":
		return s.addSlots(body)
	case r.Method == http.MethodPatch || r.Method == http.MethodPost:
		return s.patchSlot(id, body)
	case r.Method == http.MethodDelete:
		return map[string]string{"deleted": id}, s.DeleteSlot(id)
	}
	return nil, errNothingHere
}

func (s *Server) listSlots(r *http.Request) map[string][]Slot {
	q := r.URL.Query()
	out := []Slot{}
	for _, sl := range s.Slots(q["status"]...) {
		if want := q.Get("schedule"); want == "" || localRef(sl.Schedule) == bareRefs(want, "Schedule")[0] {
			out = append(out, sl)
		}
	}
	return map[string][]Slot{"slots": out}
}

func (s *Server) addSlots(body []byte) (any, error) {
	var many []slotChange
	if err := strict(body, &many); err != nil {
		var one slotChange
		if err := strict(body, &one); err != nil {
			return nil, err
		}
		many = []slotChange{one}
	}
	added := []Slot{}
	for _, c := range many {
		n := Slot{ID: c.ID, Schedule: c.Schedule, Status: c.Status}
		if c.Type != nil {
			n.Type = *c.Type
		}
		c.times(&n)
		if n.Start.IsZero() || n.End.IsZero() {
			return nil, errors.New("ehrsim: a new slot needs start, and end or minutes")
		}
		sl, err := s.AddSlot(n)
		if err != nil {
			return nil, err
		}
		added = append(added, sl)
	}
	return map[string][]Slot{"slots": added}, nil
}

// times applies the change's times; a start alone keeps the length.
func (c slotChange) times(n *Slot) {
	length := n.End.Sub(n.Start)
	if c.Start != nil {
		n.Start, n.End = *c.Start, c.Start.Add(length)
	}
	if c.Minutes != 0 {
		n.End = n.Start.Add(time.Duration(c.Minutes) * time.Minute)
	}
	if c.End != nil {
		n.End = *c.End
	}
}

func (s *Server) patchSlot(id string, body []byte) (any, error) {
	var c slotChange
	if err := strict(body, &c); err != nil {
		return nil, err
	}
	n, err := s.Slot(id)
	if err != nil {
		return nil, err
	}
	before := n
	if c.times(&n); n != before {
		err = s.MoveSlot(id, n.Start, n.End)
	}
	if err == nil && c.Status != "" {
		err = s.SetSlotStatus(id, c.Status)
	}
	if err == nil && c.Type != nil {
		err = s.SetSlotType(id, *c.Type)
	}
	if err != nil {
		return nil, err
	}
	return s.Slot(id)
}

func (s *Server) controlFill(method string, body []byte) (any, error) {
	var c struct {
		Schedule string `json:"schedule"`
		Day      string `json:"day"`
	}
	if method != http.MethodPost {
		return nil, errNothingHere
	}
	if err := strict(body, &c); err != nil {
		return nil, err
	}
	if _, err := time.Parse(time.DateOnly, c.Day); err != nil {
		return nil, errors.New("ehrsim: day must be like 2026-11-24")
	}
	return map[string]int{"filled": s.FillDay(c.Schedule, c.Day)}, nil
}

func (s *Server) controlRequests(r *http.Request) (any, error) {
	if r.Method == http.MethodDelete {
		s.ClearRequests()
	}
	since, err := strconv.Atoi("0" + r.URL.Query().Get("since"))
	return map[string][]Request{"requests": s.Requests(since)}, err
}

func (s *Server) controlReset(method string) error {
	if method != http.MethodPost {
		return errNothingHere
	}
	return s.Reset()
}
