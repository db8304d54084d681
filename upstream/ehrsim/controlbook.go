package ehrsim

import (
	"errors"
	"net/http"
	"slices"
)

// bookChange is the body of POST and PATCH: what is there is done.
type bookChange struct {
	Slot    string `json:"slot"`
	Patient string `json:"patient"`
	Force   bool   `json:"force"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
}

// controlAppointments: GET lists or reads one, POST lets a rival take a slot,
// PATCH /{id} does what the clinic does.
func (s *Server) controlAppointments(r *http.Request, id string, body []byte) (any, error) {
	var c bookChange
	switch {
	case r.Method == http.MethodGet && id == "":
		return s.listAppointments(r), nil
	case r.Method == http.MethodGet:
		return s.Appointment(id)
	case r.Method == http.MethodPost && id == "":
		if err := strict(body, &c); err != nil {
			return nil, err
		}
		return s.TakeSlot(c.Slot, c.Patient, c.Force)
	case r.Method == http.MethodPatch:
		if err := strict(body, &c); err != nil {
			return nil, err
		}
		if err := s.clinicChange(id, c); err != nil {
			return nil, err
		}
		return s.Appointment(id)
	}
	return nil, errNothingHere
}

func (s *Server) listAppointments(r *http.Request) map[string][]Appointment {
	q := r.URL.Query()
	out := slices.DeleteFunc(s.Appointments(q["status"]...), func(a Appointment) bool {
		return q.Has("slot") && !slices.Contains(a.Slots, q.Get("slot")) ||
			q.Has("patient") && !slices.Contains(a.Patients, bareRefs(q.Get("patient"), "Patient")[0])
	})
	return map[string][]Appointment{"appointments": out}
}

func (s *Server) clinicChange(id string, c bookChange) error {
	switch {
	case c.Slot != "":
		return s.MoveAppointment(id, c.Slot)
	case c.Status == "cancelled":
		return s.CancelAppointment(id, c.Reason)
	case c.Status != "":
		return s.SetAppointmentStatus(id, c.Status)
	}
	return errors.New("ehrsim: neither slot nor status is given")
}

// controlHolds lets one hold lapse, or all.
func (s *Server) controlHolds(method, id string) (any, error) {
	switch {
	case method != http.MethodDelete:
		return nil, errNothingHere
	case id == "":
		return map[string]int{"lapsed": s.LapseHolds()}, nil
	}
	return map[string]int{"lapsed": 1}, s.LapseHold(id)
}
