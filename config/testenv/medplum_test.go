package testenv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bundle is what these tests look at in a searchset.
type bundle struct {
	Total *int
	Link  []any
	Entry []struct {
		Search   struct{ Mode string }
		Resource struct{ ResourceType, ID, Start string }
	}
}

// counts tells how many entries there are of each type and mode, as "Slot:match=3 Schedule:include=1".
func (b bundle) counts() string {
	var order []string
	n := map[string]int{}
	for _, e := range b.Entry {
		key := e.Resource.ResourceType + ":" + e.Search.Mode
		if n[key] == 0 {
			order = append(order, key)
		}
		n[key]++
	}
	for i, key := range order {
		order[i] = fmt.Sprintf("%s=%d", key, n[key])
	}
	return strings.Join(order, " ")
}

func call(t *testing.T, method, url, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, data
}

// practice is one schedule with 25 slots of 15 minutes from 2030-01-01T08:00Z, every fifth of them busy.
func practice(t *testing.T) string {
	t.Helper()
	all := []any{
		map[string]any{"resourceType": "Practitioner", "id": "p1", "name": []any{map[string]any{"family": "Ng"}}},
		map[string]any{"resourceType": "Location", "id": "l1", "name": "Main"},
		map[string]any{"resourceType": "Schedule", "id": "s1", "actor": []any{
			map[string]any{"reference": "Practitioner/p1"}, map[string]any{"reference": "Location/l1"},
		}},
	}
	start := time.Date(2030, 1, 1, 8, 0, 0, 0, time.UTC)
	for i := range 25 {
		status := "free"
		if i%5 == 4 {
			status = "busy"
		}
		at := start.Add(time.Duration(i) * 15 * time.Minute)
		all = append(all, map[string]any{
			"resourceType": "Slot", "id": fmt.Sprintf("slot-%02d", i), "status": status,
			"schedule": map[string]any{"reference": "Schedule/s1"},
			"start":    at.Format(time.RFC3339), "end": at.Add(15 * time.Minute).Format(time.RFC3339),
		})
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestMedplumDoesWhatItsScriptSays holds the list at the top of .ci/npm/medplum.mjs, which the `slots` dialect relies on.
func TestMedplumDoesWhatItsScriptSays(t *testing.T) {
	t.Parallel()
	base := StartNode(t, "medplum.mjs")
	resp, data := call(t, http.MethodPost, base+"/load", practice(t))
	if resp.StatusCode != http.StatusOK || string(data) != `{"loaded":28}` {
		t.Fatalf("load: %d %s", resp.StatusCode, data)
	}
	free := "/Slot?status=free&start=ge2030-01-01T00:00:00Z&start=lt2030-01-02T00:00:00Z"
	for _, c := range []struct {
		name, path, counts string
		total              int
	}{
		{"a period of free slots comes whole", free, "Slot:match=20", 20},
		{"an included schedule does not count", free + "&_include=Slot:schedule&_count=3", "Slot:match=3 Schedule:include=1", 20},
		{"includes go on", free + "&_include=Slot:schedule&_include:iterate=Schedule:actor&_count=3", "Slot:match=3 Schedule:include=1 Practitioner:include=1 Location:include=1", 20},
		{"the last page by offset is short", free + "&_count=8&_offset=16", "Slot:match=4", 20},
		{"past the end is nothing", free + "&_count=8&_offset=100", "", 20},
		{"count 0 is only the total", free + "&_count=0", "", 20},
		{"bounds have offsets", "/Slot?status=free&start=ge2030-01-01T10:00:00%2B02:00&start=lt2030-01-01T12:00:00%2B02:00", "Slot:match=7", 7},
		{"an unknown parameter matches nothing", "/Slot?foo=bar", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, data := call(t, http.MethodGet, base+c.path, "")
			var b bundle
			err := json.Unmarshal(data, &b)
			if err != nil || resp.StatusCode != http.StatusOK || b.Total == nil {
				t.Fatalf("%d %s: %v", resp.StatusCode, data, err)
			}
			if *b.Total != c.total || b.counts() != c.counts || len(b.Link) != 0 {
				t.Errorf("total %d, %s, %d links; want %d, %s, none", *b.Total, b.counts(), len(b.Link), c.total, c.counts)
			}
		})
	}
}

func TestMedplumHonoursConditionsOnWrites(t *testing.T) {
	t.Parallel()
	base := StartNode(t, "medplum.mjs")
	resp, data := call(t, http.MethodPost, base+"/Slot", `{"resourceType": "Slot", "status": "free"}`)
	var slot struct{ ID string }
	err := json.Unmarshal(data, &slot)
	if err != nil || resp.StatusCode != http.StatusCreated || resp.Header.Get("ETag") == "" {
		t.Fatalf("create: %d %s", resp.StatusCode, data)
	}
	body := `{"resourceType": "Slot", "status": "busy", "id": "` + slot.ID + `"}`
	etag := resp.Header.Get("ETag")
	for _, c := range []struct {
		name, etag string
		want       int
	}{
		{"a stale If-Match is refused", `W/"stale"`, http.StatusPreconditionFailed},
		{"the current one is taken", etag, http.StatusOK},
		{"and is stale from then on", etag, http.StatusPreconditionFailed},
	} {
		resp, data = call(t, http.MethodPut, base+"/Slot/"+slot.ID, body, "If-Match", c.etag)
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, resp.StatusCode, data, c.want)
		}
	}
	appointment := `{"resourceType": "Appointment", "status": "booked", "identifier": [{"system": "urn:x", "value": "1"}]}`
	for i, want := range []int{http.StatusCreated, http.StatusOK} {
		resp, data = call(t, http.MethodPost, base+"/Appointment", appointment, "If-None-Exist", "identifier=urn:x|1")
		if resp.StatusCode != want {
			t.Errorf("conditional create %d: %d %s, want %d", i+1, resp.StatusCode, data, want)
		}
	}
	resp, _ = call(t, http.MethodGet, base+"/Slot/$prefetch", "")
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("$prefetch: %d, want 404", resp.StatusCode)
	}
}
