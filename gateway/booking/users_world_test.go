package booking_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// clinicsUsers is the EHR as it shows itself to users: by token, whose it is.
type clinicsUsers struct {
	*bookingtest.EHR
	mu     sync.Mutex
	tokens map[string]string
	open   bool  // it looks at no token
	fail   error // of the next calls
	asked  map[string]int
	appts  map[string]scheduling.ElsewhereAppointment
	deaf   bool // a cancel is taken, and nothing done
	hides  bool // a cancelled one is shown no more
}

func (c *clinicsUsers) may(who scheduling.As, what, patient string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[what]++
	token, user := who.User()
	switch {
	case c.fail != nil:
		return c.fail
	case c.open || who.Ours():
		return nil
	case !user || c.tokens[token.Reveal()] == "":
		return scheduling.Refuse(scheduling.Unauthorized, "X-Source-Authorization", "no such token")
	case patient != "" && c.tokens[token.Reveal()] != patient:
		return scheduling.Refuse(scheduling.Forbidden, "X-Source-Authorization", "not theirs")
	}
	return nil
}

func (c *clinicsUsers) ChecksTokens(context.Context, string) error {
	none, _ := scheduling.NewUserToken("none")
	if c.may(scheduling.AsUser(none), "check", "") == nil {
		return scheduling.Blame(scheduling.NotSupported, napa, nil, "it looks at no token")
	}
	return nil
}

func (c *clinicsUsers) UserPatient(_ context.Context, who scheduling.As, patient string) (scheduling.Registration, error) {
	return scheduling.Registration{ID: patient}, c.may(who, "patient", patient)
}

func (c *clinicsUsers) UserPatients(_ context.Context, who scheduling.As, _ scheduling.PatientSearch, _ int) ([]scheduling.Registration, bool, error) {
	return []scheduling.Registration{{ID: "p1"}, {ID: "p2"}}, false, c.may(who, "patients", "")
}

func (c *clinicsUsers) UserAppointments(_ context.Context, who scheduling.As, patient string, _, _ time.Time) ([]scheduling.ElsewhereAppointment, error) {
	if err := c.may(who, "list", patient); err != nil {
		return nil, err
	}
	var list []scheduling.ElsewhereAppointment
	for _, a := range c.appts {
		list = append(list, a)
	}
	for _, a := range c.EHR.Appointments() {
		list = append(list, scheduling.ElsewhereAppointment{Appointment: a})
	}
	return list, nil
}

func (c *clinicsUsers) UserAppointment(_ context.Context, who scheduling.As, native string) (scheduling.ElsewhereAppointment, error) {
	a, ok := c.appts[native]
	if !ok || c.hides && a.Status.Void() {
		return a, scheduling.Blame(scheduling.UnknownID, napa, nil, "none")
	}
	return a, c.may(who, "read", a.Patient[0])
}

func (c *clinicsUsers) UserCancel(_ context.Context, who scheduling.As, call scheduling.CancelCall) error {
	a := c.appts[call.Native]
	if err := c.may(who, "cancel", a.Patient[0]); err != nil || c.deaf {
		return err
	}
	if call.ETag != a.ETag {
		return scheduling.Blame(scheduling.SourceRefused, napa, nil, "another version")
	}
	a.Status = scheduling.ApptCancelled
	c.appts[call.Native] = a
	return nil
}

// notebook remembers what ids lead to.
type notebook struct {
	mu      sync.Mutex
	clock   *bookingtest.Clock
	records map[string]scheduling.ElsewhereRecord
	undoing map[string]time.Time
}

func (n *notebook) left(name string) time.Duration {
	return max(n.undoing[name].Sub(n.clock.Now()), 0)
}

func (n *notebook) Remember(_ context.Context, principal string, records map[string]scheduling.ElsewhereRecord, _ time.Duration) (map[string]time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	undoing := map[string]time.Duration{}
	for id, r := range records {
		n.records[principal+id] = r
		if left := n.left(principal + id); left > 0 {
			undoing[id] = left
		}
	}
	return undoing, nil
}

func (n *notebook) Recall(_ context.Context, principal, id string) (scheduling.ElsewhereRecord, time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.records[principal+id]
	if !ok {
		return r, 0, scheduling.Refuse(scheduling.UnknownID, "id", "none")
	}
	return r, n.left(principal + id), nil
}

func (n *notebook) BeginUndo(_ context.Context, principal, id string, doubt time.Duration) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left(principal+id) > 0 {
		return false, nil
	}
	n.undoing[principal+id] = n.clock.Now().Add(doubt)
	return true, nil
}

func (n *notebook) EndUndo(_ context.Context, principal, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.undoing, principal+id)
	return nil
}

type usersWorld struct {
	*world
	clinic *clinicsUsers
	desk   *booking.Desk
}

func newUsersWorld(t *testing.T) *usersWorld {
	t.Helper()
	w := &usersWorld{world: newWorld(t, 4)}
	w.clinic = &clinicsUsers{
		EHR: w.ehr, tokens: map[string]string{"anns": "p1", "bobs": "p2"}, asked: map[string]int{}, appts: map[string]scheduling.ElsewhereAppointment{
			"far-1": {Appointment: scheduling.Appointment{
				ID: "far-1", ETag: "v1", Status: scheduling.ApptBooked, Patient: []string{"p1", "p9"},
				Start: opening.Add(24 * time.Hour), End: opening.Add(25 * time.Hour), Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "dr"}},
			}},
		},
	}
	w.desk = w.newDesk(t, w.store, w.clinic)
	w.desk.Elsewhere = &notebook{clock: w.clock, records: map[string]scheduling.ElsewhereRecord{}, undoing: map[string]time.Time{}}
	return w
}

// withToken is a caller that nobody trusts, whose user has brought a token.
func withToken(t *testing.T, name, text string) booking.Caller {
	t.Helper()
	c := booking.Caller{Principal: name, Holds: 3}
	if text == "" {
		return c
	}
	token, ok := scheduling.NewUserToken(text)
	if !ok {
		t.Fatal("not a token")
	}
	c.User = token
	return c
}
