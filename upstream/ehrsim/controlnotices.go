package ehrsim

import "net/http"

// controlSubscriptions: GET lists, DELETE ends all before their time.
func (s *Server) controlSubscriptions(method, id string) (any, error) {
	switch {
	case id != "":
	case method == http.MethodGet:
		return map[string][]Subscription{"subscriptions": s.Subscriptions()}, nil
	case method == http.MethodDelete:
		return map[string]int{"ended": s.ExpireSubscriptions()}, nil
	}
	return nil, errNothingHere
}

// controlSchedules: PATCH /{id} gives a schedule to somebody else.
func (s *Server) controlSchedules(method, id string, body []byte) (any, error) {
	var c struct {
		Practitioner string `json:"practitioner"`
	}
	if method != http.MethodPatch || id == "" {
		return nil, errNothingHere
	}
	if err := strict(body, &c); err != nil {
		return nil, err
	}
	return map[string]string{"schedule": id, "practitioner": c.Practitioner}, s.SetSchedulePractitioner(id, c.Practitioner)
}
