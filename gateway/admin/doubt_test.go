package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
)

// books are entries in doubt, with a patient whom nobody may see.
func books() []scheduling.Entry {
	return []scheduling.Entry{{
		ID: "napa1-x", Source: "napa", State: scheduling.EntryDoubt, Reason: "Kanarienvogel",
		Offer:   scheduling.OfferRecord{Slots: []scheduling.Slot{{ID: "s-1", Start: noon, End: noon.Add(time.Hour)}}},
		Private: scheduling.Private{Comment: "Kanarienvogel", Patients: []scheduling.PatientRef{{Asked: "Kanarienvogel", Native: "Kanarienvogel"}}},
		Doubt:   &scheduling.Doubt{Since: noon, Seen: "a-7", Unresolved: true},
	}}
}

func (f *fixture) post(t *testing.T, path, contentType, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestWhatIsInDoubtIsToldByIDs(t *testing.T) {
	f := start(t, "", func(d *Deps) {
		d.Unsettled = func(context.Context) ([]scheduling.Entry, error) { return books(), nil }
		d.Decide = func(context.Context, string, scheduling.Decision) error { return nil }
	})
	code, body, _ := f.do(t, http.MethodGet, "/api/in-doubt", nil)
	if code != 200 || body != `["napa1-x"]`+"\n" {
		t.Errorf("%d %s", code, body)
	}
	code, body, _ = f.do(t, http.MethodGet, "/api/in-doubt/napa1-x", nil)
	want := `{"id":"napa1-x","source":"napa","state":"doubt","native":"a-7","slots":["s-1"],"start":"2026-11-23T12:00:00Z","since":"2026-11-23T12:00:00Z","unresolved":true}` + "\n"
	if code != 200 || body != want {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := f.do(t, http.MethodGet, "/api/in-doubt/other", nil); code != 404 {
		t.Errorf("another id: %d", code)
	}
	g := start(t, "", func(d *Deps) {
		d.Unsettled = func(context.Context) ([]scheduling.Entry, error) {
			return nil, scheduling.Fault(scheduling.Shedding, errors.New("dial 10.0.0.1"), "the books cannot be read")
		}
	})
	if code, body, _ := g.do(t, http.MethodGet, "/api/in-doubt", nil); code != 503 || strings.Contains(body, "10.0.0.1") {
		t.Errorf("without books: %d %s", code, body)
	}
}

func TestAPersonDecides(t *testing.T) {
	var log strings.Builder
	var got []scheduling.Decision
	f := start(t, "", func(d *Deps) {
		d.Logger = slog.New(slog.NewTextHandler(&log, nil))
		d.Unsettled = func(context.Context) ([]scheduling.Entry, error) { return books(), nil }
		d.Decide = func(_ context.Context, id string, in scheduling.Decision) error {
			switch id {
			case "napa1-x":
				got = append(got, in)
				return nil
			case "napa1-settled":
				return scheduling.Refuse(scheduling.NotAcceptable, "", "nothing is to be decided here")
			case "napa1-away":
				return scheduling.Fault(scheduling.Shedding, nil, "the books cannot be written")
			case "napa1-broken":
				return errors.New("secret")
			default:
				return scheduling.Refuse(scheduling.UnknownID, "id", "no such appointment")
			}
		}
	})
	good := `{"booked":true,"native":"a-7","by":"ann","reason":"Kanarienvogel called"}`
	for _, tc := range []struct {
		name, id, kind, body string
		status               int
	}{
		{"a decision", "napa1-x", "application/json", good, 200},
		{"another one, without an id", "napa1-x", "application/json; charset=utf-8", `{"booked":false,"by":"ann","reason":"the slot is free"}`, 200},
		{"of what is settled", "napa1-settled", "application/json", good, 409},
		{"of what is not there", "nobody", "application/json", good, 404},
		{"while the books are away", "napa1-away", "application/json", good, 503},
		{"that fails", "napa1-broken", "application/json", good, 500},
		{"as a form", "napa1-x", "application/x-www-form-urlencoded", "booked=true", 415},
		{"of no type", "napa1-x", "", good, 415},
		{"half of one", "napa1-x", "application/json", `{"booked":`, 400},
		{"two of them", "napa1-x", "application/json", good + good, 400},
		{"with more in it", "napa1-x", "application/json", `{"booked":true,"by":"a","reason":"b","force":true}`, 400},
		{"without a decision", "napa1-x", "application/json", `{"by":"a","reason":"b"}`, 422},
		{"by nobody", "napa1-x", "application/json", `{"booked":true,"by":" ","reason":"b"}`, 422},
		{"for no reason", "napa1-x", "application/json", `{"booked":true,"by":"a"}`, 422},
		{"for every reason", "napa1-x", "application/json", `{"booked":true,"by":"a","reason":"` + strings.Repeat("x", 501) + `"}`, 422},
		{"an id of what was not booked", "napa1-x", "application/json", `{"booked":false,"native":"a-7","by":"a","reason":"b"}`, 422},
	} {
		status, body := f.post(t, "/api/in-doubt/"+tc.id, tc.kind, tc.body)
		if status != tc.status || strings.Contains(body, "secret") {
			t.Errorf("%s: %d, want %d: %s", tc.name, status, tc.status, body)
		}
	}
	if len(got) != 2 || !got[0].Booked || got[0].Native != "a-7" || got[0].By != "ann" || got[0].Reason == "" || got[0].At.IsZero() || got[1].Booked {
		t.Errorf("decided: %+v", got)
	}
	if !strings.Contains(log.String(), "by=ann") || strings.Contains(log.String(), "Kanarienvogel") {
		t.Errorf("log: %s", log.String())
	}
	if code, _, _ := f.do(t, http.MethodPost, "/api/in-doubt/napa1-x", map[string]string{"Origin": "https://evil.example"}); code != 403 {
		t.Errorf("from another origin: %d", code)
	}
}
