package ehrsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// ear takes notifications.
type ear struct {
	mu    sync.Mutex
	heard []word
	deaf  bool
	*httptest.Server
}

type word struct {
	authorization, media string
	body                 string
}

func newEar(t *testing.T) *ear {
	t.Helper()
	e := &ear{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.deaf {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		e.heard = append(e.heard, word{r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)})
	}))
	t.Cleanup(e.Close)
	return e
}

// told are the notifications that are no heartbeats.
func (e *ear) told() (out []word) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.heard {
		if w.body != "" {
			out = append(out, w)
		}
	}
	return out
}

func (e *ear) beats() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, w := range e.heard {
		if w.body == "" {
			n++
		}
	}
	return n
}

func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// asksFor is a Subscription as the guide has it.
func asksFor(endpoint string) string {
	return fmt.Sprintf(`{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"Slot?",
	"_criteria":{"extension":[{"url":%q,"valueString":"slots change"},{"url":%q,"valueCode":"Slot"}]},
	"channel":{"extension":[{"url":%q,"valueUri":%q}],"type":"rest-hook","endpoint":%q,"payload":"application/fhir+json","header":["Authorization: Bearer s"]}}`,
		guideExtension+"extension-subscription-triggerevent", guideExtension+"extension-subscription-eventfocus",
		guideExtension+"extension-subscription-payloadprofile", guideExtension+"argo-sched-notif", endpoint)
}

type talk struct {
	*Server
	base string
}

func talking(t *testing.T, o Options) talk {
	t.Helper()
	o.Notify.Offered = true
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	base, err := s.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return talk{s, base}
}

func (s talk) do(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, strings.Replace(s.base, BasePath, "", 1)+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out map[string]any
	_ = json.NewDecoder(res.Body).Decode(&out)
	return res.StatusCode, out
}

func (s talk) status() string {
	if subs := s.Subscriptions(); len(subs) > 0 {
		return subs[0].Status
	}
	return ""
}

func TestChangesAreToldToWhoeverSubscribed(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Dialect: Argonaut, FHIR: STU3}, {Dialect: Slots, FHIR: R4}} {
		t.Run(string(o.FHIR), func(t *testing.T) {
			t.Parallel()
			e := newEar(t)
			o.Practitioners, o.Days, o.Zone = 2, 5, "America/Denver"
			o.Notify.Heartbeat = 20 * time.Millisecond
			s := talking(t, o)
			if status, out := s.do(t, "POST", "/fhir/Subscription", asksFor(e.URL)); status != http.StatusCreated || out["status"] != "requested" {
				t.Fatal(status, out)
			}
			soon(t, "the channel's check", func() bool { return s.status() == "active" })
			soon(t, "a heartbeat", func() bool { return e.beats() > 2 })
			slot := s.Slots("free")[3]
			for i, change := range []func() error{
				func() error { return s.SetSlotStatus(slot.ID, "busy") },
				func() error { return s.MoveSlot(slot.ID, slot.Start.Add(time.Minute), slot.End) },
				func() error { return s.SetSlotType(slot.ID, "") },
				func() error { return s.DeleteSlot(slot.ID) },
				func() error { return s.SetSchedulePractitioner(slot.Schedule, "prac-302") },
			} {
				if err := change(); err != nil {
					t.Fatal(i, err)
				}
				soon(t, fmt.Sprint("notification ", i), func() bool { return len(e.told()) > i })
				last := e.told()[len(e.told())-1]
				var schedule struct {
					ResourceType, ID string
					Actor            []map[string]string
					PlanningHorizon  map[string]string
				}
				if err := json.Unmarshal([]byte(last.body), &schedule); err != nil {
					t.Fatal(err, last.body)
				}
				if schedule.ResourceType != "Schedule" || "Schedule/"+schedule.ID != slot.Schedule || len(schedule.Actor) == 0 || schedule.PlanningHorizon["end"] == "" {
					t.Errorf("notification %d: %s", i, last.body)
				}
				if last.authorization != "Bearer s" || !strings.HasPrefix(last.media, "application/fhir+json") {
					t.Errorf("notification %d: %+v", i, last)
				}
			}
		})
	}
}

func TestASubscriptionIsReadFoundRenewedAndDeleted(t *testing.T) {
	t.Parallel()
	e := newEar(t)
	s := talking(t, Options{Practitioners: 1, Days: 2, Notify: Notify{MaxLife: time.Hour}})
	for body, want := range map[string]int{
		`{"resourceType":"Patient"}`: 400, `{`: 400,
		strings.Replace(asksFor(e.URL), "rest-hook", "email", 1):                      422,
		strings.Replace(asksFor(e.URL), "valueCode", "valueId", 1):                    422,
		strings.Replace(asksFor(e.URL), `"reason"`, `"end":"2001-01-01","reason"`, 1): 422,
		strings.Replace(asksFor(e.URL), e.URL, "ftp://x", 1):                          422,
	} {
		if status, out := s.do(t, "POST", "/fhir/Subscription", body); status != want {
			t.Errorf("%d %v, want %d: %s", status, out, want, body)
		}
	}
	_, made := s.do(t, "POST", "/fhir/Subscription", asksFor(e.URL))
	path := "/fhir/Subscription/" + made["id"].(string)
	if end, err := time.Parse(time.RFC3339, made["end"].(string)); err != nil || end.After(time.Now().Add(time.Hour)) {
		t.Errorf("end %v, %v", end, err)
	}
	if status, out := s.do(t, "GET", path, ""); status != 200 || out["id"] != made["id"] {
		t.Error(status, out)
	}
	if status, out := s.do(t, "PUT", path, asksFor(e.URL)); status != 200 || out["id"] != made["id"] {
		t.Error(status, out)
	}
	if status, out := s.do(t, "GET", "/fhir/Subscription?url="+e.URL, ""); status != 200 || len(out["entry"].([]any)) != 1 {
		t.Error(status, out)
	}
	if status, _ := s.do(t, "DELETE", path, ""); status != 204 || len(s.Subscriptions()) != 0 {
		t.Error(status, s.Subscriptions())
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if status, _ := s.do(t, method, path, asksFor(e.URL)); status != 404 {
			t.Error(method, status)
		}
	}
}

func TestFaultsOfNotifications(t *testing.T) {
	t.Parallel()
	e := newEar(t)
	s := talking(t, Options{Practitioners: 1, Days: 4, Notify: Notify{Heartbeat: -1}})
	s.do(t, "POST", "/fhir/Subscription", asksFor(e.URL))
	soon(t, "the channel's check", func() bool { return s.status() == "active" })
	n := 0
	flip := func() {
		if err := s.SetSlotStatus(s.Slots("free")[n].ID, "busy-unavailable"); err != nil {
			t.Fatal(err)
		}
		n++
	}
	faults := func(body string) {
		if status, out := s.do(t, "PUT", "/_control/faults", body); status != 200 {
			t.Fatal(status, out)
		}
	}
	faults(`{"kind":"notice-lost","count":1}`)
	flip()
	soon(t, "its loss", func() bool { return s.Subscriptions()[0].Lost == 1 }) // or the next change would come together with it
	flip()
	soon(t, "the one after the lost one", func() bool { return len(e.told()) == 1 })
	faults(`{"kind":"notice-burst","by":7,"count":1}`)
	flip()
	soon(t, "seven", func() bool { return len(e.told()) == 8 })
	faults(`{"kind":"notice-late","delay":"30ms","count":1}`)
	flip()
	soon(t, "a late one", func() bool { return len(e.told()) == 9 })
	e.mu.Lock()
	e.deaf = true
	e.mu.Unlock()
	soon(t, "the end of its patience", func() bool { flip(); return s.status() == "error" })
	if status, out := s.do(t, "DELETE", "/_control/subscriptions", ""); status != 200 || out["ended"] != 1.0 {
		t.Error(status, out)
	}
	faults(`{"kind":"status","status":422,"path":"/Subscription"}`)
	if status, _ := s.do(t, "POST", "/fhir/Subscription", asksFor(e.URL)); status != 422 {
		t.Error(status)
	}
}
