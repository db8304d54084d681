package ehrsim

import (
	"strings"
	"testing"
)

// severalSlots are three free slots of one schedule, each after the other.
func severalSlots(t *testing.T, srv *Server) []Slot {
	t.Helper()
	all := srv.Slots("free")
	for i := range all {
		chain := all[i : i+1 : i+1]
		for _, next := range all[i+1:] {
			if len(chain) < 3 && next.Schedule == chain[0].Schedule && next.Start.Equal(chain[len(chain)-1].End) {
				chain = append(chain, next)
			}
		}
		if len(chain) == 3 {
			return chain
		}
	}
	t.Fatal("no three slots follow one another")
	return nil
}

// asAppointment writes them as an Appointment of these slots.
func asAppointment(status string, slots ...Slot) string {
	var refs []string
	for _, s := range slots {
		refs = append(refs, `{"reference":"Slot/`+s.ID+`"}`)
	}
	last := slots[len(slots)-1]
	return `{"resourceType":"Appointment","status":"` + status + `","start":"` + slots[0].Start.Format("2006-01-02T15:04:05Z07:00") +
		`","end":"` + last.End.Format("2006-01-02T15:04:05Z07:00") + `","slot":[` + strings.Join(refs, ",") +
		`],"participant":[{"actor":{"reference":"Patient/pat-1"},"status":"accepted"}]}`
}

func TestAnAppointmentOverSeveralSlotsTakesThemAllOrNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*Options)
		path string
		body func(slots []Slot) string
	}{
		"argonaut": {func(*Options) {}, "/Appointment/$book", func(s []Slot) string {
			return `{"resourceType":"Parameters","parameter":[{"name":"appt-resource","resource":` + asAppointment("proposed", s...) + `}]}`
		}},
		"ihe": {func(o *Options) { o.Dialect = IHE }, "/Appointment/$book", func(s []Slot) string {
			return `{"resourceType":"Parameters","parameter":[{"name":"appointment-resource","resource":` + asAppointment("pending", s...) + `}]}`
		}},
		"slots": {func(o *Options) { o.Dialect, o.StrictSlots = Slots, true }, "/Appointment", func(s []Slot) string {
			return asAppointment("booked", s...)
		}},
		"transaction": {func(o *Options) { o.Dialect, o.StrictSlots = Slots, true }, "", func(s []Slot) string {
			return `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + asAppointment("booked", s...) + `,"request":{"method":"POST","url":"Appointment"}}]}`
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, smallWith(c.bend))
			slots := severalSlots(t, w.srv)
			for taken := range slots {
				if _, err := w.srv.TakeSlot(slots[taken].ID, "", false); err != nil {
					t.Fatal(err)
				}
				if a := w.post(c.path, c.body(slots)); a.StatusCode < 400 && !strings.Contains(a.text, "OperationOutcome") {
					t.Errorf("slot %d is taken: %d %s", taken, a.StatusCode, a.text)
				}
				for i, s := range slots {
					if got, _ := w.srv.Slot(s.ID); i != taken && got.Status != "free" {
						t.Errorf("slot %d is taken, and slot %d is %s", taken, i, got.Status)
					}
				}
				for _, a := range w.srv.Appointments("booked") {
					if err := w.srv.CancelAppointment(a.ID, ""); err != nil {
						t.Fatal(err)
					}
				}
			}
			if a := w.post(c.path, c.body(slots)); a.StatusCode >= 300 {
				t.Fatalf("%d %s", a.StatusCode, a.text)
			}
			for i, s := range slots {
				if got, _ := w.srv.Slot(s.ID); got.Status != "busy" {
					t.Errorf("booked: slot %d is %s", i, got.Status)
				}
			}
			made := w.srv.Appointments("booked")
			if len(made) != 1 || len(made[0].Slots) != 3 || !made[0].Start.Equal(slots[0].Start) || !made[0].End.Equal(slots[2].End) {
				t.Fatalf("%+v", made)
			}
			if err := w.srv.CancelAppointment(made[0].ID, ""); err != nil {
				t.Fatal(err)
			}
			for i, s := range slots {
				if got, _ := w.srv.Slot(s.ID); got.Status != "free" {
					t.Errorf("cancelled: slot %d is %s", i, got.Status)
				}
			}
		})
	}
}
