package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
)

func TestOrphansAreToldByIDs(t *testing.T) {
	f := start(t, "", func(d *Deps) {
		d.Orphans = func(context.Context) ([]scheduling.Orphan, error) {
			return []scheduling.Orphan{
				{ID: "OURS", Source: "napa", Native: "p-7", Principal: "Kanarienvogel", Patient: "Kanarienvogel", Since: noon},
				{ID: "BLIND", Source: "sonoma", Since: noon, Blind: true},
			}, nil
		}
		d.TickOff = func(context.Context, string, string, string) error { return nil }
	})
	code, body, _ := f.do(t, http.MethodGet, "/api/orphans", nil)
	want := `[{"id":"OURS","source":"napa","native":"p-7","since":"2026-11-23T12:00:00Z"},{"id":"BLIND","source":"sonoma","since":"2026-11-23T12:00:00Z"}]` + "\n"
	if code != 200 || body != want {
		t.Errorf("%d %s", code, body)
	}
	g := start(t, "", func(d *Deps) {
		d.Orphans = func(context.Context) ([]scheduling.Orphan, error) {
			return nil, scheduling.Fault(scheduling.Shedding, errors.New("dial 10.0.0.1"), "the books cannot be read")
		}
	})
	if code, body, _ := g.do(t, http.MethodGet, "/api/orphans", nil); code != 503 || strings.Contains(body, "10.0.0.1") {
		t.Errorf("without a store: %d %s", code, body)
	}
	none := start(t, "", func(*Deps) {})
	if code, body, _ := none.do(t, http.MethodGet, "/api/orphans", nil); code != 200 || body != "[]\n" {
		t.Errorf("where nobody is registered: %d %s", code, body)
	}
	if code, _ := none.post(t, "/api/orphans/OURS", "application/json", `{"by":"a","reason":"b"}`); code != 404 && code != 405 {
		t.Errorf("ticked off where nobody is registered: %d", code)
	}
}

func TestAPersonTicksOrphansOff(t *testing.T) {
	got := map[string]string{}
	f := start(t, "", func(d *Deps) {
		d.Orphans = func(context.Context) ([]scheduling.Orphan, error) { return nil, nil }
		d.TickOff = func(_ context.Context, id, by, reason string) error {
			switch id {
			case "OURS":
				got[by] = reason
				return nil
			case "AWAY":
				return scheduling.Fault(scheduling.Shedding, nil, "the store cannot be written")
			default:
				return scheduling.Refuse(scheduling.UnknownID, "id", "no such orphan is listed")
			}
		}
	})
	good := `{"by":" ann ","reason":"called them"}`
	for _, tc := range []struct {
		name, id, kind, body string
		status               int
	}{
		{"one", "OURS", "application/json", good, 200},
		{"nobody", "OTHER", "application/json", good, 404},
		{"while the store is away", "AWAY", "application/json", good, 503},
		{"as a form", "OURS", "application/x-www-form-urlencoded", "by=a", 415},
		{"half", "OURS", "application/json", `{"by":`, 400},
		{"twice", "OURS", "application/json", good + good, 400},
		{"with more in it", "OURS", "application/json", `{"by":"a","reason":"b","all":true}`, 400},
		{"by nobody", "OURS", "application/json", `{"by":" ","reason":"b"}`, 422},
		{"for no reason", "OURS", "application/json", `{"by":"a"}`, 422},
		{"for every reason", "OURS", "application/json", `{"by":"a","reason":"` + strings.Repeat("x", 501) + `"}`, 422},
	} {
		if status, body := f.post(t, "/api/orphans/"+tc.id, tc.kind, tc.body); status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, status, tc.status, body)
		}
	}
	if len(got) != 1 || got["ann"] != "called them" {
		t.Errorf("ticked off: %v", got)
	}
	if code, _, _ := f.do(t, http.MethodPost, "/api/orphans/OURS", map[string]string{"Origin": "https://evil.example"}); code != 403 {
		t.Errorf("from another origin: %d", code)
	}
}
