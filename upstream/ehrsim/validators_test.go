package ehrsim

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// lookedUp gives the status, the validator and the body of an answer to a search.
func lookedUp(t *testing.T, base, path string, header http.Header) (status int, validator, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
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
	return resp.StatusCode, resp.Header.Get("ETag") + resp.Header.Get("Last-Modified"), string(data)
}

func TestASearchIsKnownAgainByItsValidators(t *testing.T) {
	t.Parallel()
	for validators, condition := range map[Validators]string{ETags: "If-None-Match", WeakETags: "If-None-Match", Modified: "If-Modified-Since"} {
		t.Run(string(validators), func(t *testing.T) {
			t.Parallel()
			srv, err := New(Options{Dialect: Slots, Seed: 3, Practitioners: 2, Days: 3, Validators: validators})
			if err != nil {
				t.Fatal(err)
			}
			base, err := srv.Start(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = srv.Close() })
			const search = "/Slot?status=free"
			status, first, body := lookedUp(t, base, search, nil)
			if status != http.StatusOK || first == "" || strings.HasPrefix(first, "W/") != (validators == WeakETags) {
				t.Fatalf("%d, validator %q", status, first)
			}
			has := func(validator string) http.Header { return http.Header{condition: {validator}} }
			if status, again, body := lookedUp(t, base, search, has(first)); status != http.StatusNotModified || again != first || body != "" {
				t.Errorf("nothing changed: %d, %q, %d bytes", status, again, len(body))
			}
			gone := srv.Slots("free")[0].ID
			if err := srv.DeleteSlot(gone); err != nil {
				t.Fatal(err)
			}
			status, second, after := lookedUp(t, base, search, has(first))
			if status != http.StatusOK || second == first || strings.Contains(after, `"`+gone+`"`) || after == body {
				t.Errorf("a slot went: %d, validator %q, before %q", status, second, first)
			}
			if _, err := srv.AddFaults(Fault{Kind: FaultOldTag, Count: 1}); err != nil {
				t.Fatal(err)
			}
			if err := srv.DeleteSlot(srv.Slots("free")[0].ID); err != nil {
				t.Fatal(err)
			}
			if status, _, _ := lookedUp(t, base, search, has(second)); status != http.StatusNotModified {
				t.Errorf("it should lie: %d", status)
			}
			if status, _, _ := lookedUp(t, base, search, has(second)); status != http.StatusOK {
				t.Errorf("it should lie once: %d", status)
			}
			if _, err := srv.AddFaults(Fault{Kind: FaultUnasked304, Count: 1}); err != nil {
				t.Fatal(err)
			}
			if status, _, _ := lookedUp(t, base, search, nil); status != http.StatusNotModified {
				t.Errorf("unasked: %d", status)
			}
			if status, _, _ := lookedUp(t, base, "/Slot/"+srv.Slots("free")[0].ID, has("nothing")); status != http.StatusOK {
				t.Errorf("a read: %d", status)
			}
		})
	}
}

func TestASlotThatIsDeletedLeavesATraceWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	for _, marks := range []bool{true, false} {
		srv, err := New(Options{Dialect: Slots, Seed: 3, Practitioners: 2, Days: 3, MarkDeleted: marks})
		if err != nil {
			t.Fatal(err)
		}
		base, err := srv.Start(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = srv.Close() })
		id := srv.Slots("free")[0].ID
		since := srv.Now().Add(-time.Millisecond).UTC().Format(time.RFC3339Nano)
		if err := srv.DeleteSlot(id); err != nil {
			t.Fatal(err)
		}
		_, _, body := lookedUp(t, base, "/Slot?_lastUpdated=ge"+since, nil)
		if strings.Contains(body, `"`+id+`"`) != marks || strings.Contains(body, "entered-in-error") != marks {
			t.Errorf("marked %v: %s", marks, body)
		}
		if _, _, body = lookedUp(t, base, "/Slot?status=free", nil); strings.Contains(body, `"`+id+`"`) {
			t.Error("it is still free")
		}
	}
}
