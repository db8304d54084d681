package ehrsim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// crowd lets n clients, who keep their connections, go after what ask names.
func (w *wire) crowd(n int, ask func(client int, post func(path, body string, header ...string) (int, string))) {
	w.t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: n}
	defer tr.CloseIdleConnections()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			ask(i, func(path, body string, header ...string) (int, string) {
				a, err := w.over(w.t.Context(), tr, http.MethodPost, path, body, append([]string{"Content-Type", "application/fhir+json"}, header...)...)
				if err != nil {
					w.t.Error(err)
					return 0, ""
				}
				return a.StatusCode, a.text
			})
		})
	}
	group.Wait()
}

func TestTwoHundredClientsBookFiftySlotsOnceEach(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o   Options
		ask func(client int, sl Slot, post func(path, body string, header ...string) (int, string)) bool
	}{
		"by offer": {Options{}, func(_ int, sl Slot, post func(string, string, ...string) (int, string)) bool {
			_, text := post("/Appointment/offer-"+sl.ID+"/$book", params("patient-id", "Patient/pat-1"))
			return strings.Contains(text, `"booked"`)
		}},
		"by resource, held first": {Options{}, func(_ int, sl Slot, post func(string, string, ...string) (int, string)) bool {
			status, text := post("/Appointment/$hold", built(sl, ""))
			if status != http.StatusCreated {
				return false
			}
			_, id, _ := strings.Cut(text, `"resourceType":"Appointment","id":"`)
			id, _, _ = strings.Cut(id, `"`)
			status, _ = post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-2"))
			return status == http.StatusOK
		}},
		"by transaction": {Options{Dialect: Slots}, func(client int, sl Slot, post func(string, string, ...string) (int, string)) bool {
			slot := `{"resourceType":"Slot","id":"` + sl.ID + `","schedule":{"reference":"` + sl.Schedule + `"},"status":"busy","start":"2026-02-03T10:00:00Z","end":"2026-02-03T10:20:00Z"}`
			status, _ := post("/", transactionOf(slot, sl.ID, "1", bookedOn(sl.ID, fmt.Sprint("k", client), "pat-1"), ""))
			return status == http.StatusOK
		}},
		"by a plain create at a strict server": {Options{Dialect: Slots, StrictSlots: true}, func(client int, sl Slot, post func(string, string, ...string) (int, string)) bool {
			status, _ := post("/Appointment", bookedOn(sl.ID, fmt.Sprint("k", client), "pat-1"))
			return status == http.StatusCreated
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tc.o
			o.Practitioners, o.Days = small.Practitioners, small.Days
			w := start(t, o)
			free := w.open(50)
			var won [50]atomic.Int32
			w.crowd(200, func(client int, post func(string, string, ...string) (int, string)) {
				for try := range 3 { // each slot is wanted by a dozen
					if at := (client*7 + try*17) % 50; tc.ask(client, free[at], post) {
						won[at].Add(1)
					}
				}
			})
			for i := range won {
				if n := won[i].Load(); n != 1 || w.status(free[i].ID) != "busy" {
					t.Errorf("%s: %d told that they won, slot %s", free[i].ID, n, w.status(free[i].ID))
				}
			}
			lines := w.srv.Book()
			if len(lines) != 50 || len(w.srv.DoubleBooked()) != 0 {
				t.Errorf("%d lines, twice: %v", len(lines), w.srv.DoubleBooked())
			}
			for _, l := range lines {
				if l.Status != "booked" || len(l.Patients) != 1 {
					t.Errorf("%s", l)
				}
			}
		})
	}
}

func TestTheClinicAndARivalChangeTheBookByTheControlAPI(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{Argonaut, Slots} {
		w := start(t, smallWith(func(o *Options) { o.Dialect = dialect }))
		free := w.open(3)
		taken := w.control(http.MethodPost, "appointments", `{"slot":"`+free[0].ID+`"}`)
		id := digString(taken, "id")
		if digString(taken, "patients", 0) != rivalPatient || digString(taken, "history", 0, "by") != "rival" || w.status(free[0].ID) != "busy" {
			t.Errorf("%v", taken)
		}
		if a := w.send(http.MethodPost, controlPath+"appointments", "application/json", `{"slot":"`+free[0].ID+`","force":true}`); a.StatusCode != 409 {
			t.Errorf("taken again: %d", a.StatusCode)
		}
		moved := w.control(http.MethodPatch, "appointments/"+id, `{"slot":"`+free[1].ID+`"}`)
		if digString(moved, "slots", 0) != free[1].ID || w.status(free[0].ID) != "free" || w.status(free[1].ID) != "busy" || digString(w.ok("/Appointment/"+id), "start") == "" || w.srv.Appointments()[0].Start != free[1].Start {
			t.Errorf("moved: %v", moved)
		}
		if got := w.control(http.MethodPatch, "appointments/"+id, `{"status":"arrived"}`); digString(got, "status") != "arrived" || w.status(free[1].ID) != "busy" {
			t.Errorf("arrived: %v", got)
		}
		gone := w.control(http.MethodPatch, "appointments/"+id, `{"status":"cancelled","reason":"the doctor is ill"}`)
		if digString(gone, "reason") != "the doctor is ill" || w.status(free[1].ID) != "free" || len(w.srv.Book()) != 0 {
			t.Errorf("cancelled: %v", gone)
		}
		w.control(http.MethodPost, "appointments", `{"slot":"`+free[2].ID+`","patient":"Patient/pat-1"}`)
		list := w.control(http.MethodGet, "appointments?status=booked&patient=pat-1&slot="+free[2].ID, "")
		lines := w.control(http.MethodGet, "book", "")
		if len(list["appointments"].([]any)) != 1 || digString(lines, "lines", 0, "slot") != free[2].ID || len(lines["lines"].([]any)) != 1 {
			t.Errorf("%v %v", list, lines)
		}
		if !strings.Contains(w.srv.Book()[0].String(), free[2].ID+" busy: clinic-") {
			t.Errorf("%s", w.srv.Book()[0])
		}
	}
}

func TestAHoldIsLetLapseByTheControlAPI(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	free := w.open(3)
	for _, sl := range free {
		w.post("/Appointment/offer-"+sl.ID+"/$hold", "")
	}
	w.control(http.MethodDelete, "holds/offer-"+free[0].ID, "")
	if w.status(free[0].ID) != "free" || w.status(free[1].ID) != "busy-tentative" {
		t.Error("one hold")
	}
	if _, err := w.srv.TakeSlot(free[1].ID, "", false); !errors.Is(err, ErrTaken) {
		t.Errorf("from under a hold, without force: %v", err)
	}
	if _, err := w.srv.TakeSlot(free[1].ID, "", true); err != nil || w.status(free[1].ID) != "busy" {
		t.Errorf("from under a hold: %v", err)
	}
	if got := w.control(http.MethodDelete, "holds", ""); got["lapsed"] != 1.0 || w.status(free[2].ID) != "free" {
		t.Errorf("%v", got)
	}
	for name, tc := range map[string]struct {
		method, path, body string
		want               int
	}{
		"lapse no hold":             {"DELETE", "holds/none", "", 404},
		"no such appointment":       {"GET", "appointments/none", "", 404},
		"cancel no appointment":     {"PATCH", "appointments/none", `{"status":"cancelled"}`, 404},
		"take no slot":              {"POST", "appointments", `{"slot":"none"}`, 404},
		"change nothing":            {"PATCH", "appointments/offer-" + free[0].ID, `{}`, 400},
		"a status that is none":     {"PATCH", "appointments/offer-" + free[0].ID, `{"status":"lost"}`, 400},
		"move to no slot":           {"PATCH", "appointments/offer-" + free[0].ID, `{"slot":"none"}`, 404},
		"move to a slot taken":      {"PATCH", "appointments/offer-" + free[0].ID, `{"slot":"` + free[1].ID + `"}`, 409},
		"a member that is not ours": {"POST", "appointments", `{"slots":["x"]}`, 400},
		"delete an appointment":     {"DELETE", "appointments/offer-" + free[0].ID, "", 404},
	} {
		if a := w.send(tc.method, controlPath+tc.path, "application/json", tc.body); a.StatusCode != tc.want {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
		}
	}
}

func TestAppointmentsAreFoundByWhatTheyAre(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	free := w.open(60)
	a, b := free[0], free[59]
	w.post("/Appointment/$book", built(a, `,"identifier":[{"system":"urn:ours","value":"k"}]`))
	w.post("/Appointment/offer-"+b.ID+"/$book", params("patient-id", "Patient/pat-2"))
	w.cancelBy("offer-" + b.ID)
	practitioner := w.srv.Appointments()[0].Practitioner
	for query, want := range map[string]int{
		"":                             2,
		"patient=Patient/pat-1":        1,
		"patient=pat-2":                1,
		"patient=pat-3":                0,
		"patient=prac-301":             0,
		"status=booked":                1,
		"status=booked,cancelled":      2,
		"practitioner=" + practitioner: 1 + same(practitioner, w.srv.Appointments()[1].Practitioner),
		"slot=Slot/" + a.ID:            1,
		"slot=" + b.ID:                 1,
		"identifier=urn:ours%7Ck":      1,
		"identifier=k":                 1,
		"_id=offer-" + b.ID:            1,
		"date=ge" + b.Start.Format("2006-01-02T15:04:05Z"): 1,
		"date=lt" + b.Start.Format("2006-01-02T15:04:05Z"): 1,
		"date=" + a.Start.Format("2006-01-02"):             1,
		"date=ge2026-02-01&date=lt2026-02-20":              2,
		"_lastUpdated=ge2026-02-02T09:00:00Z":              2,
		"_lastUpdated=gt2026-02-02T09:00:00Z":              0,
		"patient=pat-1&status=cancelled":                   0,
	} {
		if got := total(w.ok("/Appointment?" + query)); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
		posted := w.send(http.MethodPost, "/Appointment/_search", "application/x-www-form-urlencoded", query)
		if got := total(posted.json(t)); got != want {
			t.Errorf("_search %s: %d, want %d", query, got, want)
		}
	}
	none := start(t, smallWith(func(o *Options) { o.NoAppointmentSearch = true }))
	if a := none.get("/Appointment?patient=pat-1"); a.StatusCode != 405 {
		t.Errorf("not to be searched: %d", a.StatusCode)
	}
}

func same(a, b string) int {
	if a == b {
		return 1
	}
	return 0
}
