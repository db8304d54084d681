package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// TestRefusalsOfTheDesk: each with its status, in the format asked for.
func TestRefusalsOfTheDesk(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"taken", scheduling.Refuse(scheduling.SlotTaken, "", "taken"), 409, "slot-taken"},
		{"expired", scheduling.Refuse(scheduling.HoldExpired, "", "expired"), 409, "hold-expired"},
		{"too many", scheduling.Refuse(scheduling.HoldLimit, "", "limit"), 409, "hold-limit"},
		{"used", scheduling.Refuse(scheduling.UsedID, "", "used"), 410, "used-id"},
		{"the state", fmt.Errorf("x: %w", &scheduling.Error{Code: scheduling.NotAcceptable, Message: "state", Err: booking.ErrState}), 409, "not-acceptable"},
		{"the version", &scheduling.Error{Code: scheduling.NotAcceptable, Message: "version", Err: booking.ErrVersion}, 412, "not-acceptable"},
		{"only for finding", scheduling.Refuse(scheduling.Forbidden, "", "readonly"), 403, "forbidden"},
		{"cannot", scheduling.Blame(scheduling.NotSupported, "napa", nil, "cannot"), 501, "not-supported"},
		{"down", scheduling.Blame(scheduling.SourceDown, "napa", nil, "down"), 503, "source-down"},
		{"slow", scheduling.Blame(scheduling.SourceSlow, "napa", nil, "slow"), 504, "source-slow"},
		{"our login", scheduling.Blame(scheduling.SourceLogin, "napa", nil, "login"), 502, "source-login"},
		{"throttled", scheduling.Blame(scheduling.Throttled, "napa", nil, "wait"), 429, "throttled"},
		{"no store", scheduling.Fault(scheduling.Shedding, nil, "away"), 503, "shedding"},
		{"another body", scheduling.Refuse(scheduling.NotAcceptable, "Idempotency-Key", "another body"), 422, "not-acceptable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, desk := withDesk(t, nil)
			desk.fail = tc.err
			hit := w.anOffer("napa", 0)
			for _, rel := range releases() {
				for _, r := range []reply{
					w.call(rel, fhir.XML, "/Appointment/"+hit.ID+"/$hold", nil),
					w.call(rel, fhir.JSON, "/Appointment/"+hit.ID+"/$book", parameters("patient-id", "p1")),
					w.patch(rel, hit.ID, `[{"op":"replace","path":"/status","value":"cancelled"}]`, "Content-Type: application/json"),
					w.get("/fhir/"+string(rel)+"/Appointment/"+hit.ID, siteKey),
					w.get("/fhir/"+string(rel)+"/Appointment?patient=p1", siteKey),
				} {
					if r.status != tc.status || w.code(r, rel) != tc.code {
						t.Errorf("%s: %d %s", rel, r.status, r.body)
					}
					if (tc.status == 429 || tc.status == 503) != (r.header.Get("Retry-After") != "") {
						t.Errorf("%s: Retry-After %q", rel, r.header.Get("Retry-After"))
					}
				}
			}
		})
	}
}

func TestPrincipalsAreToldApart(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, func(_ *Options, d *Deps) { d.Holds = Holds{Named: 3, Unnamed: 30} })
	hit := w.anOffer("napa", 0)
	ann, bob := "X-Slotgate-Session: session-of-ann-00001", "X-Slotgate-Session: session-of-bob-00002"
	hold := "/Appointment/" + hit.ID + "/$hold"
	if r := w.call(scheduling.R4, fhir.JSON, hold, nil, ann); r.status != 200 {
		t.Fatalf("ann: %d %s", r.status, r.body)
	}
	for name, other := range map[string]string{"bob": bob, "nobody": "X-Nothing: 1"} {
		if r := w.call(scheduling.R4, fhir.JSON, hold, nil, other); r.status != 409 {
			t.Errorf("%s holds: %d", name, r.status)
		}
		if r := w.patch(scheduling.R4, hit.ID, `[{"op":"replace","path":"/status","value":"cancelled"}]`, "Content-Type: application/json", other); r.status != 404 {
			t.Errorf("%s releases: %d", name, r.status)
		}
		if r := w.get("/fhir/r4/Appointment/"+hit.ID, siteKey, other); r.status != 404 {
			t.Errorf("%s reads: %d", name, r.status)
		}
	}
	if r := w.get("/fhir/stu3/Appointment/"+hit.ID, siteKey, ann); r.status != 200 {
		t.Errorf("ann reads on the other base: %d", r.status)
	}
	limits := map[int]bool{}
	for _, c := range desk.callers {
		limits[c.Holds] = true
		if !slices.Equal(c.Trusted, []scheduling.SourceID{"napa"}) {
			t.Errorf("trusted: %v", c.Trusted)
		}
		if strings.Contains(c.Principal, "ann") || strings.Contains(c.Principal, "site") {
			t.Errorf("principal %q", c.Principal)
		}
	}
	if !limits[3] || !limits[30] || len(limits) != 2 {
		t.Errorf("limits %v", limits)
	}
}

func TestBookingNeedsAKeyThatMay(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	hit := w.anOffer("napa", 0)
	for _, tc := range []struct {
		header []string
		status int
	}{
		{nil, 401},
		{[]string{"Authorization: Bearer book-key"}, 403}, // may read the directory
		{[]string{"Authorization: Bearer none"}, 401},
		{[]string{siteKey, "X-Slotgate-Session: short"}, 400},
		{[]string{siteKey, "X-Slotgate-Session: "}, 400},
		{[]string{siteKey, "X-Slotgate-Session:    "}, 400},
		{[]string{siteKey, "X-Slotgate-Session: \t"}, 400},
		{[]string{siteKey, "X-Slotgate-Session: " + strings.Repeat("s", 129)}, 400},
		{[]string{siteKey, "Idempotency-Key: "}, 400},
		{[]string{siteKey, "Idempotency-Key: with a blank"}, 400},
		{[]string{siteKey, "Idempotency-Key: " + strings.Repeat("k", 256)}, 400},
		{[]string{siteKey, "Idempotency-Key: " + strings.Repeat("k", 255)}, 200},
	} {
		r := w.ask(http.MethodPost, "/fhir/r4/Appointment/"+hit.ID+"/$hold", "", tc.header...)
		if r.status != tc.status {
			t.Errorf("%v: %d, want %d: %s", tc.header, r.status, tc.status, r.body)
		}
	}
	if len(desk.holds) != 1 {
		t.Errorf("the desk was asked %d times", len(desk.holds))
	}
	for _, path := range []string{"/Appointment/x", "/Appointment?patient=1"} {
		if r := w.get("/fhir/r4" + path); r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

func TestWithoutADeskNothingIsServed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, tc := range []struct{ method, path string }{
		{"POST", "/Appointment/x/$hold"}, {"POST", "/Appointment/$book"}, {"PATCH", "/Appointment/x"}, {"GET", "/Appointment/x"}, {"GET", "/Appointment?patient=1"},
	} {
		if r := w.ask(tc.method, "/fhir/r4"+tc.path, "", siteKey); r.status != 404 && r.status != 405 {
			t.Errorf("%s %s: %d", tc.method, tc.path, r.status)
		}
	}
}

// TestTheGuidesExamplesAsBodies: the Appointments that Argonaut published are
// read; nobody here offers them.
func TestTheGuidesExamplesAsBodies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "argonaut/examples"), "Appointment-*.json"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	w, desk := withDesk(t, nil)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var example map[string]any
		if err := json.Unmarshal(data, &example); err != nil {
			t.Fatal(err)
		}
		patient := map[string]any{"actor": map[string]any{"reference": "Patient/argo-sch-patient-1"}, "status": "accepted"}
		example["participant"] = append(example["participant"].([]any), patient)
		body, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		r := w.ask(http.MethodPost, "/fhir/stu3/Appointment/$book", string(body), siteKey, "Content-Type: application/fhir+json")
		if r.status != 404 || w.code(r, scheduling.STU3) != "unknown-id" {
			t.Errorf("%s: %d %s", filepath.Base(file), r.status, r.body)
		}
	}
	if len(desk.books) != len(files) || desk.books[0].Start.IsZero() || desk.books[0].Patients[0] != "argo-sch-patient-1" {
		t.Errorf("the desk was asked %+v", desk.books)
	}
}
