package testenv

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTheRootIsTheFolderOfGoMod(t *testing.T) {
	t.Parallel()
	_, err := os.Stat(filepath.Join(Root(t), "config", "testenv", "testenv.go"))
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyANodeThatMedplumRunsOnWillDo(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"v22.18.0\n": true, "v22.23.3": true, "v24.2.0": true, "v26.10.0": true,
		"v22.17.9": false, "v23.1.0": false, "v24.1.0": false, "v20.20.2": false, "v18.19.0": false, "": false, "node": false,
	} {
		if got := nodeWillDo(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

// probe is a testing.TB that records how a test ended, instead of ending it.
type probe struct {
	testing.TB
	how []string
}

func (p *probe) Helper()                  {}
func (p *probe) Skipf(f string, a ...any) { p.how = append(p.how, "skipped: "+fmt.Sprintf(f, a...)) }

func (p *probe) Fatalf(f string, a ...any) { p.how = append(p.how, "failed: "+fmt.Sprintf(f, a...)) }

func TestWhatIsMissingSkipsUnlessItWasPromised(t *testing.T) {
	t.Setenv("SLOTGATE_NEED_SHARED", "")
	p := &probe{TB: t}
	Shared(p, "no/such/folder")
	if len(p.how) != 1 || !strings.HasPrefix(p.how[0], "skipped: no real data at ") {
		t.Errorf("got %q", p.how)
	}
	t.Setenv("SLOTGATE_NEED_SHARED", "1")
	p.how = nil
	Shared(p, "no/such/folder")
	if len(p.how) == 0 || !strings.HasPrefix(p.how[0], "failed: SLOTGATE_NEED_SHARED=1, but no real data at ") {
		t.Errorf("got %q", p.how)
	}
}

func TestSharedDataIsReadInPlace(t *testing.T) {
	t.Parallel()
	_, err := os.Stat(filepath.Join(Shared(t, "argonaut/connectathon"), "source.yaml"))
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheForeignClientWalksAllPages shows that client.mjs reports what a server says, against one whose answers are known.
func TestTheForeignClientWalksAllPages(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(pagedServer))
	t.Cleanup(srv.Close)
	out := RunNode(t, "client.mjs", srv.URL+"/fhir/r4", `{"find": {"specialty": "1", "_count": 2}, "search": {"Location": {"name": "Main"}}}`)
	var got map[string]map[string]any
	err := json.Unmarshal(out, &got)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := map[string]map[string]any{
		"metadata": {"fhirVersion": "4.0.1", "formats": []any{"json"}, "types": []any{"Appointment"}, "operations": []any{"find"}},
		"findGet":  {"total": 3.0, "entries": 2.0, "ids": []any{"a", "b"}, "starts": []any{}, "relations": []any{"next"}, "outcomes": 1.0},
		"findPost": {"total": 3.0, "entries": 2.0, "ids": []any{"a", "b"}, "starts": []any{}, "relations": []any{"next"}, "outcomes": 1.0},
		"pages":    {"pages": 2.0, "entries": 3.0, "ids": []any{"a", "b", "c"}, "unique": 3.0, "totals": []any{3.0}},
		"search":   {"Location": map[string]any{"status": 404.0, "codes": []any{}}},
		"read":     {},
		"refused":  {"status": 400.0, "resourceType": "OperationOutcome", "codes": []any{"bad-request"}},
	}
	for part := range want {
		if !reflect.DeepEqual(got[part], want[part]) {
			t.Errorf("%s:\n got %v\nwant %v", part, got[part], want[part])
		}
	}
}

// pagedServer answers $find in two pages and everything else as a server that does not know it.
func pagedServer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/fhir+json")
	base := "http://" + r.Host + "/fhir/r4"
	entry := func(id string) string {
		return `{"resource": {"resourceType": "Appointment", "id": "` + id + `"}, "search": {"mode": "match"}}`
	}
	switch {
	case r.URL.Path == "/fhir/r4/metadata":
		fmt.Fprint(w, `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"],
			"rest": [{"resource": [{"type": "Appointment", "operation": [{"name": "find"}]}]}]}`)
	case r.URL.Path != "/fhir/r4/Appointment/$find":
		http.NotFound(w, r)
	case r.URL.Query().Get("start") == "not-a-date":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"resourceType": "OperationOutcome", "issue": [{"details": {"coding": [{"code": "bad-request"}]}}]}`)
	case r.URL.Query().Get("page") == "2":
		fmt.Fprintf(w, `{"resourceType": "Bundle", "total": 3, "entry": [%s]}`, entry("c"))
	default:
		fmt.Fprintf(w, `{"resourceType": "Bundle", "total": 3, "link": [{"relation": "next", "url": "%s/Appointment/$find?page=2"}],
			"entry": [%s, %s, {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}]}`,
			base, entry("a"), entry("b"))
	}
}
