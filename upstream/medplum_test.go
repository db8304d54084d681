package upstream

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/config/testenv"
	"slotgate/scheduling"
)

// TestASlotsSourceThatNobodyHereWrote reads Medplum's FHIR server, which gives
// no next links.
func TestASlotsSourceThatNobodyHereWrote(t *testing.T) {
	t.Parallel()
	base := testenv.StartNode(t, "medplum.mjs")
	load(t, base, 250)
	for name, bend := range map[string]func(*Options){
		"in one page":      nil,
		"in many pages":    func(o *Options) { o.Quirks.PageSize = 30 },
		"in its own pages": func(o *Options) { o.Quirks.PageSize = -1 },
		"a day a call":     func(o *Options) { o.Quirks.MaxDays, o.Quirks.PageSize = 1, 7 },
		"one schedule":     func(o *Options) { o.Quirks.Include = []string{"Slot:schedule", "iterate:Schedule:actor"} },
	} {
		c := client(t, base, func(o *Options) {
			utc(o)
			if bend != nil {
				bend(o)
			}
		})
		scope := scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2030, 1, 1), To: scheduling.Date(2030, 1, 8)}}
		if name == "one schedule" {
			scope.Schedules = []string{"s1"}
		}
		got := fetch(t, c, scope)
		if got.Slots() != 200 || !got.Complete || got.Unusable.Total() != 0 {
			t.Errorf("%s: %d slots, complete %v (%s), unusable %v; want 200", name, got.Slots(), got.Complete, got.Cut, got.Unusable)
		}
		for _, window := range got.Windows {
			setting, reason := scheduling.NewResolver("src", c.known.directory(), time.UTC).Setting(window[0].Schedule)
			if reason != "" || setting.Practitioners[0].Name.Family != "Ng" || setting.Locations[0].Name != "Main" {
				t.Fatalf("%s: %q %+v", name, reason, setting)
			}
		}
	}
}

// load gives the server one schedule with n slots of a quarter of an hour from
// 2030-01-01T08:00Z; every fifth is busy.
func load(t *testing.T, base string, n int) {
	t.Helper()
	all := []any{
		map[string]any{"resourceType": "Practitioner", "id": "p1", "name": []any{map[string]any{"family": "Ng"}}},
		map[string]any{"resourceType": "Location", "id": "l1", "name": "Main"},
		map[string]any{"resourceType": "Schedule", "id": "s1", "actor": []any{
			map[string]any{"reference": "Practitioner/p1"}, map[string]any{"reference": "Location/l1"},
		}},
	}
	at := time.Date(2030, 1, 1, 8, 0, 0, 0, time.UTC)
	for i := range n {
		status := "free"
		if i%5 == 4 {
			status = "busy"
		}
		all = append(all, map[string]any{
			"resourceType": "Slot", "id": fmt.Sprintf("slot-%03d", i), "status": status,
			"schedule": map[string]any{"reference": "Schedule/s1"},
			"start":    at.Format(time.RFC3339), "end": at.Add(15 * time.Minute).Format(time.RFC3339),
		})
		at = at.Add(15 * time.Minute)
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/load", strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
}
