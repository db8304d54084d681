package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// readsAs gives what a client makes of an Appointment.
func readsAs(t *testing.T, body string, bend func(*Options)) (scheduling.Appointment, error) {
	t.Helper()
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/Appointment/a1") {
			_, _ = w.Write([]byte(body))
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}), bend)
	return c.Read(t.Context(), "a1", scheduling.ForRead)
}

func TestAnAppointmentIsReadTolerantly(t *testing.T) {
	t.Parallel()
	vienna := func(o *Options) { o.Timezone = configZone(t, "Europe/Vienna") }
	eight := time.Date(2026, 10, 25, 7, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		body string
		bend func(*Options)
		want scheduling.Appointment
	}{
		"without a status": {`{"resourceType":"Appointment","id":"a1"}`, utc, scheduling.Appointment{ID: "a1"}},
		"a cancelled one that lost its status": {
			`{"resourceType":"Appointment","id":"a1","cancelationReason":{"text":"x"}}`, utc,
			scheduling.Appointment{ID: "a1", Status: scheduling.ApptCancelled},
		},
		"with a version in its meta only": {
			`{"resourceType":"Appointment","id":"a1","status":"booked","meta":{"versionId":"7"}}`, utc,
			scheduling.Appointment{ID: "a1", Status: scheduling.ApptBooked, ETag: `W/"7"`},
		},
		"on the day of 25 hours, without offsets": {
			`{"resourceType":"Appointment","id":"a1","status":"booked","start":"2026-10-25T08:00:00","end":"2026-10-25T08:30:00"}`, vienna,
			scheduling.Appointment{ID: "a1", Status: scheduling.ApptBooked, Start: eight, End: eight.Add(30 * time.Minute)},
		},
		"made at a time without an offset": {
			`{"resourceType":"Appointment","id":"a1","status":"booked","created":"2026-10-25T08:00:00"}`, vienna,
			scheduling.Appointment{ID: "a1", Status: scheduling.ApptBooked, Created: eight},
		},
		"made on a day: nobody knows when": {
			`{"resourceType":"Appointment","id":"a1","status":"booked","created":"2026-10-25"}`, vienna,
			scheduling.Appointment{ID: "a1", Status: scheduling.ApptBooked},
		},
		"with a time that cannot be read": {
			`{"resourceType":"Appointment","id":"a1","status":"booked","start":"soon","end":"2026-10-25T07:30:00Z"}`, vienna,
			scheduling.Appointment{ID: "a1", Status: scheduling.ApptBooked, End: eight.Add(30 * time.Minute)},
		},
		"with all kinds of participants": {
			`{"resourceType":"Appointment","id":"a1","status":"arrived","slot":[{"reference":"https://ehr/fhir/Slot/s1/_history/2"},{"reference":"#c"}],` +
				`"identifier":[{"system":"urn:x","value":"1"},{"system":"` + IdentifierSystem + `","value":"k"}],` +
				`"participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"Practitioner/d"},"status":"accepted"},` +
				`{"actor":{"reference":"https://ehr/Location/l"},"status":"accepted"},{"actor":{"display":"A room"},"status":"accepted"},{"type":[{"text":"x"}],"status":"accepted"}]}`, utc,
			scheduling.Appointment{
				ID: "a1", Status: scheduling.ApptArrived, Slots: []string{"s1"}, Patient: []string{"p"}, Identifiers: []string{"k"},
				Actors: []scheduling.Actor{{Kind: "Practitioner", ID: "d"}, {Kind: "Location", ID: "l"}, {Display: "A room"}},
			},
		},
	} {
		got, err := readsAs(t, tc.body, tc.bend)
		if since := time.Since(got.Shown); since < -time.Second || since > time.Minute {
			t.Errorf("%s: shown at %s", name, got.Shown)
		}
		got.Shown = time.Time{}
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tc.want) {
			t.Errorf("%s: %+v %v\nwant %+v", name, got, err, tc.want)
		}
	}
	for name, body := range map[string]string{
		"another id": `{"resourceType":"Appointment","id":"a2","status":"booked"}`, "an outcome": outcomeJSON("error", "not-found", ""),
		"HTML": "<html/>", "nothing": "", "a Patient": `{"resourceType":"Patient","id":"a1"}`,
	} {
		_, err := readsAs(t, body, once)
		wantCode(t, name, err, scheduling.SourceNonsense)
	}
}

// A search that says nothing must never be taken for none.
func TestASearchThatCannotBeBelievedIsNoAnswer(t *testing.T) {
	t.Parallel()
	whose := `{"resourceType":"Appointment","id":"a9","status":"booked","participant":[{"actor":{"reference":"Patient/other"},"status":"accepted"}]}`
	for name, tc := range map[string]struct {
		status int
		body   string
		want   scheduling.Code
	}{
		"400":                      {400, "", scheduling.NotSupported},
		"404":                      {404, "", scheduling.NotSupported},
		"501":                      {501, "", scheduling.NotSupported},
		"403":                      {403, "", scheduling.SourceLogin},
		"503":                      {503, "", scheduling.SourceDown},
		"nonsense":                 {200, "<html/>", scheduling.SourceNonsense},
		"an error within":          {200, bundleJSON(outcomeJSON("error", "processing", "x")), scheduling.SourceNonsense},
		"an entry that is broken":  {200, bundleJSON(`{"resourceType":"Appointment","id":7}`), scheduling.SourceNonsense},
		"a total that is not come": {200, `{"resourceType":"Bundle","type":"searchset","total":2}`, scheduling.SourceNonsense},
		"everybody's":              {200, bundleJSON(whose), ""},
		"nothing":                  {200, `{"resourceType":"Bundle","type":"searchset","total":0}`, ""},
	} {
		c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/metadata") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body))
		}), func(o *Options) { once(o); o.Limits.BreakerFailures = 100 })
		for _, call := range []scheduling.FindCall{{Identifier: "k"}, {Patients: []string{"p"}}, {Identifier: "k", Patients: []string{"p"}}} {
			got, err := c.Find(t.Context(), call)
			wantCode(t, name, err, tc.want)
			if len(got) > 0 {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

func TestOursFindsWhatCarriesOurMarkAndNothingElse(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, nil)
	booked, held := w.offer(), w.offer()
	made := w.book(t, booked, nil)
	w.hold(t, held)
	if _, err := w.srv.TakeSlot(w.offer().Slots[0].ID, "Patient/pat-2", false); err != nil {
		t.Fatal(err)
	}
	got, err := w.Ours(t.Context())
	if err != nil || len(got) != 2 || got[0].ID != made.ID || got[1].ID != "" || got[1].Status != scheduling.ApptPending ||
		!slices.Equal(got[1].Slots, held.SlotIDs()) || !got[1].HasIdentifier("key-1") || got[1].ETag == "" {
		t.Errorf("%+v %v", got, err)
	}
	w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503})
	if _, err = w.Ours(t.Context()); err == nil {
		t.Error("a source that is down has nothing of ours")
	}
}

// Law 11, for what is written: a token goes to its own origin only, and a write
// follows no redirect.
func TestLaw11NoTokenGoesToAnotherOriginWithAWrite(t *testing.T) {
	t.Parallel()
	var leaks, repeats atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaks.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{other.URL + "/fhir/Appointment/a1", "/fhir/elsewhere"} {
			c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/elsewhere") {
					repeats.Add(1)
				}
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Appointment/a1") {
					_, _ = w.Write([]byte(appointmentJSON("booked")))
					return
				}
				if r.Method != http.MethodGet {
					_, _ = io.Copy(io.Discard, r.Body)
					w.Header().Set("Location", to)
					w.WriteHeader(status)
					return
				}
				w.WriteHeader(http.StatusNotFound)
			}), func(o *Options) { argonautR4(o); o.Auth.Kind, o.Auth.Token = "bearer", secret("s3cret") })
			_, err := c.Book(t.Context(), bookCall(anOffer(), nil))
			if err == nil {
				t.Errorf("%d to %s is a booking", status, to)
			}
			if err = c.Cancel(t.Context(), scheduling.CancelCall{Offer: anOffer(), Native: "a1"}); err == nil {
				t.Errorf("%d to %s is a cancel", status, to)
			}
		}
	}
	if leaks.Load() != 0 || repeats.Load() != 0 {
		t.Errorf("%d went to another origin, %d writes were sent again", leaks.Load(), repeats.Load())
	}
}

func TestTheHoldLastsAsLongAsTheEHRSaysByItsOwnClock(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"an hour ahead of us": {[]string{"Date", "Tue, 03 Feb 2026 13:00:00 GMT", "Expires", "Tue, 03 Feb 2026 13:05:00 GMT"}, 5 * time.Minute},
		"it does not say":     {nil, 0},
		"no caching":          {[]string{"Expires", "0"}, 0},
		"long ago":            {[]string{"Date", "Tue, 03 Feb 2026 13:00:00 GMT", "Expires", "Thu, 01 Jan 1970 00:00:00 GMT"}, 0},
	} {
		c := client(t, serve(t, answers(200, appointmentJSON("pending"), tc.header...)), argonautR4)
		got, err := c.Hold(t.Context(), scheduling.HoldCall{Offer: anOffer()})
		if err != nil || got.Native != "a1" || got.Length != tc.want {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	c := client(t, serve(t, answers(200, "")), argonautR4)
	_, err := c.Hold(t.Context(), scheduling.HoldCall{Offer: anOffer()})
	wantCode(t, "a hold without an id", err, scheduling.InDoubt)
	c = client(t, serve(t, answers(200, appointmentJSON("proposed"))), argonautR4)
	_, err = c.Hold(t.Context(), scheduling.HoldCall{Offer: anOffer()})
	wantCode(t, "given back as it was", err, scheduling.SourceRefused)
}

func TestBadBookingOptionsAreToldByKey(t *testing.T) {
	t.Parallel()
	for key, bend := range map[string]func(*Options){
		"booking: settle: is 20s": func(o *Options) { o.Booking.Settle = config.Duration(20 * time.Second) },
		"booking: lag":            func(o *Options) { o.Booking.Lag = config.Duration(time.Hour) },
		"booking: hold_max":       func(o *Options) { o.Booking.HoldMax = config.Duration(time.Second) },
		"booking: call_timeout":   func(o *Options) { o.Booking.CallTimeout = -1 },
		"quirks: hold":            func(o *Options) { o.Quirks.Hold = "maybe" },
		"quirks: book: is \"x\"":  func(o *Options) { o.Quirks.Book = "x" },
		"quirks: reschedule":      func(o *Options) { o.Dialect, o.Quirks.Reschedule = Argonaut, "move" },
		"quirks: name":            func(o *Options) { o.Quirks.Name = "id" },
		"quirks: patients":        func(o *Options) { o.Quirks.Patients = -1 },
	} {
		o := Options{ID: "x", Base: "http://x/fhir", Dialect: Slots}
		o.SetDefaults()
		bend(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestWhatASourceCanDoIsLearntFromItsStatement(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		dialect  string
		simulate func(*ehrsim.Options)
		bend     func(*Options)
		want     func(scheduling.Abilities) bool
	}{
		"argonaut": {Argonaut, nil, nil, func(a scheduling.Abilities) bool { return a.Hold == scheduling.HoldEHR && a.Exclusive && a.Search }},
		"argonaut without hold": {Argonaut, func(o *ehrsim.Options) { o.NoHold = true }, nil, func(a scheduling.Abilities) bool {
			return a.Hold == scheduling.HoldNone && a.Exclusive && a.GatewayHolds
		}},
		"argonaut without search": {Argonaut, func(o *ehrsim.Options) { o.NoAppointmentSearch = true }, func(o *Options) { o.Quirks.Search = "" }, func(a scheduling.Abilities) bool { return !a.Search }},
		"slots": {Slots, nil, nil, func(a scheduling.Abilities) bool {
			return a.Hold == scheduling.HoldEHR && a.Exclusive && a.Conditional && a.Slots && a.Reschedule == scheduling.BookFirst
		}},
		"slots, plainly": {Slots, nil, func(o *Options) { o.Quirks.Book = BookPlain }, func(a scheduling.Abilities) bool {
			return a.Hold == scheduling.HoldNone && !a.Exclusive
		}},
		"readonly": {Slots, nil, func(o *Options) { o.Readonly = true }, func(a scheduling.Abilities) bool { return a.Readonly && a.Bookable }},
	} {
		w := worldOf(t, tc.dialect, scheduling.R4, tc.simulate, tc.bend)
		w.learn(context.WithoutCancel(t.Context()), laneRead)
		if can := w.Can(); !tc.want(can) || can.Source != "src" || can.CallTimeout != 20*time.Second || can.Settle != 2*time.Minute {
			t.Errorf("%s: %+v", name, can)
		}
	}
}
