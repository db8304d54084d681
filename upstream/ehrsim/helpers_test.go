package ehrsim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// monday is a quiet winter morning; the simulated clock stands still there
// unless a test says otherwise.
var monday = time.Date(2026, 2, 2, 9, 0, 0, 0, time.UTC)

func frozen(at time.Time) func() time.Time { return func() time.Time { return at } }

// wire is a running server and a client that keeps nothing between calls.
type wire struct {
	t    *testing.T
	srv  *Server
	base string
}

func start(t *testing.T, o Options) *wire {
	t.Helper()
	if o.Now == nil {
		o.Now = frozen(monday)
	}
	setDefault(&o.Days, 9) // long answers cost time under the race detector
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	base, err := srv.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return &wire{t: t, srv: srv, base: base}
}

// answer is a response with its whole body, as far as it came.
type answer struct {
	*http.Response
	text string
	err  error // of reading the body
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.text), &out); err != nil {
		t.Fatalf("not JSON: %v in %.200s", err, a.text)
	}
	return out
}

// do sends a request to a path below the base, or to a whole URL, over a
// connection of its own; header is name, value, name, value...
func (w *wire) do(ctx context.Context, method, path, body string, header ...string) (answer, error) {
	w.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer tr.CloseIdleConnections()
	return w.over(ctx, tr, method, path, body, header...)
}

// over is do over a transport that is given.
func (w *wire) over(ctx context.Context, tr *http.Transport, method, path, body string, header ...string) (answer, error) {
	url := path
	switch {
	case strings.HasPrefix(path, controlPath):
		url = strings.TrimSuffix(w.base, BasePath) + path
	case !strings.HasPrefix(path, "http"):
		url = w.base + path
	}
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answer{resp, string(data), err}, nil
}

func (w *wire) get(path string, header ...string) answer {
	w.t.Helper()
	a, err := w.do(w.t.Context(), http.MethodGet, path, "", header...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// ok is a 200 answer read as JSON.
func (w *wire) ok(path string, header ...string) map[string]any {
	w.t.Helper()
	a := w.get(path, header...)
	if a.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %d %.300s", path, a.StatusCode, a.text)
	}
	return a.json(w.t)
}

// control calls the control API and wants 200.
func (w *wire) control(method, path, body string) map[string]any {
	w.t.Helper()
	a, err := w.do(w.t.Context(), method, controlPath+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if a.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, a.StatusCode, a.text)
	}
	return a.json(w.t)
}

// dig walks a path of names and numbers into JSON; nil when it ends early.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func digString(v any, path ...any) string {
	s, _ := dig(v, path...).(string)
	return s
}

// resources of a bundle, of one search mode.
func resources(bundle map[string]any, mode string) []map[string]any {
	var out []map[string]any
	entries, _ := bundle["entry"].([]any)
	for _, e := range entries {
		if digString(e, "search", "mode") == mode {
			r, _ := dig(e, "resource").(map[string]any)
			out = append(out, r)
		}
	}
	return out
}

func link(bundle map[string]any, relation string) string {
	links, _ := bundle["link"].([]any)
	for _, l := range links {
		if digString(l, "relation") == relation {
			return digString(l, "url")
		}
	}
	return ""
}

func total(bundle map[string]any) int {
	n, _ := bundle["total"].(float64)
	return int(n)
}

// shared finds the folder of real data beside the repository, or skips.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	found := filepath.Join(dir, "..", "shared", path)
	if _, err := os.Stat(found); err == nil {
		return found
	}
	if os.Getenv("SLOTGATE_NEED_SHARED") == "1" {
		t.Fatalf("%s is not there, and SLOTGATE_NEED_SHARED=1 wants it", found)
	}
	t.Skipf("the real data (%s) is not here", found)
	return ""
}

// send sends a body and wants an answer of some kind.
func (w *wire) send(method, path, media, body string, header ...string) answer {
	w.t.Helper()
	a, err := w.do(w.t.Context(), method, path, body, append([]string{"Content-Type", media}, header...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// post sends JSON.
func (w *wire) post(path, body string, header ...string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, path, "application/fhir+json", body, header...)
}

// cancelBy cancels by JSON Patch.
func (w *wire) cancelBy(id string, header ...string) answer {
	w.t.Helper()
	return w.send(http.MethodPatch, "/Appointment/"+id, "application/json-patch+json", `[{"op":"replace","path":"/status","value":"cancelled"}]`, header...)
}

// params writes Parameters: name, value, name, value... as valueUri.
func params(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, `{"name":"`+pairs[i]+`","valueUri":"`+pairs[i+1]+`"}`)
	}
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(parts, ",") + `]}`
}

// built is an appointment that a client makes of a prefetched slot.
func built(sl Slot, more string) string {
	return `{"resourceType":"Appointment","status":"proposed","slot":[{"reference":"Slot/` + sl.ID + `"}],"start":"` + sl.Start.Format(time.RFC3339) +
		`","end":"` + sl.End.Format(time.RFC3339) + `","participant":[{"actor":{"reference":"Patient/pat-1"},"status":"accepted"}]` + more + `}`
}

// open gives n free slots that have not begun.
func (w *wire) open(n int) []Slot {
	w.t.Helper()
	var out []Slot
	for _, sl := range w.srv.Slots("free") {
		if sl.Start.After(w.srv.Now()) && len(out) < n {
			out = append(out, sl)
		}
	}
	if len(out) < n {
		w.t.Fatalf("%d open slots of %d", len(out), n)
	}
	return out
}

// status of a slot.
func (w *wire) status(slot string) string {
	w.t.Helper()
	sl, err := w.srv.Slot(slot)
	if err != nil {
		w.t.Fatal(err)
	}
	return sl.Status
}

// first is the one appointment in a Bundle.
func first(t *testing.T, a answer) map[string]any {
	t.Helper()
	o, _ := dig(a.json(t), "entry", 0, "resource").(map[string]any)
	return o
}

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
