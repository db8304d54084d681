package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// launch runs the command until the returned function is called, which gives
// its exit code; lines are what it printed first.
func launch(t *testing.T, args ...string) (lines []string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), write, io.Discard)
		_ = write.Close()
	}()
	out := bufio.NewScanner(read)
	for len(lines) < 2 && out.Scan() {
		lines = append(lines, out.Text())
	}
	return lines, func() int {
		cancel()
		return <-done
	}
}

func get(t *testing.T, url string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func TestTheServerPrintsItsBaseAndACurlLineThatWorksAndStopsWell(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"argonaut", "slots"} {
		lines, stop := launch(t, "--dialect", dialect, "--hold-for", "2m", "--strict-slots", "--no-transactions", "--practitioners", "4", "--days", "7")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], "http://127.0.0.1:") {
			t.Fatalf("printed %q", lines)
		}
		url := strings.Trim(strings.TrimPrefix(strings.TrimSpace(lines[1]), "curl "), "'")
		if status, body := get(t, url); status != 200 || body["resourceType"] != "Bundle" {
			t.Errorf("%s: %d %v", url, status, body)
		}
		if code := stop(); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
}

func TestALoginIsAskedFor(t *testing.T) {
	t.Parallel()
	lines, stop := launch(t, "--practitioners", "1", "--days", "2", "--login", "secret", "--client-id", "me", "--client-secret", "s3cret", "--token-life", "90s")
	if len(lines) != 2 || !strings.HasSuffix(strings.TrimSpace(lines[1]), "/.well-known/smart-configuration'") {
		t.Fatalf("printed %q", lines)
	}
	if status, _ := get(t, lines[0]+"/Slot"); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	_, told := get(t, lines[0]+"/.well-known/smart-configuration")
	endpoint, _ := told["token_endpoint"].(string)
	res, err := http.PostForm(endpoint, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"system/*.read"}, "client_id": {"me"}, "client_secret": {"s3cret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), `"expires_in":90`) {
		t.Errorf("%d %s %v", res.StatusCode, body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestALimitOfCallsAtOnceIsKept(t *testing.T) {
	t.Parallel()
	lines, stop := launch(t, "--dialect", "slots", "--practitioners", "1", "--days", "7", "--page-size", "20", "--max-count", "20",
		"--calls", "30", "--strangers", "29", "--lockout", "10m", "--time-scale", "10", "--calls-apart")
	if len(lines) < 1 {
		t.Fatal("nothing printed")
	}
	status, page := get(t, lines[0]+"/Slot?_count=1000")
	if entries, _ := page["entry"].([]any); status != 200 || len(entries) != 20 {
		t.Errorf("%d, %d slots on a page", status, len(entries))
	}
	res, err := http.Post(strings.TrimSuffix(lines[0], "/fhir")+"/_control/throttle", "application/json", strings.NewReader(`{"strangers": 30}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	status, body := get(t, lines[0]+"/Slot")
	if text, _ := json.Marshal(body); status != 429 || !strings.Contains(string(text), "Try in another 60 seconds") {
		t.Errorf("%d %s", status, text)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestBundlesAndFaultsOfFilesAreServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	slots := filepath.Join(dir, "bundles")
	faults := filepath.Join(dir, "faults.json")
	if err := os.Mkdir(slots, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(slots, "a.json"), `{"resourceType":"Slot","id":"s","status":"free","start":"2017-08-28T08:00:00","end":"2017-08-28T08:15:00"}`)
	write(t, faults, `[{"kind":"status","status":503,"path":"/Schedule"}]`)
	lines, stop := launch(t, "--load", slots, "--shift-to", "today", "--fhir", "stu3", "--zone", "America/Los_Angeles", "--faults", faults)
	if len(lines) < 1 {
		t.Fatal("nothing printed")
	}
	status, slot := get(t, lines[0]+"/Slot/s")
	start, _ := slot["start"].(string)
	if status != 200 || start <= time.Now().UTC().Add(-24*time.Hour).Format(time.DateOnly) || !strings.HasSuffix(start, "T08:00:00") {
		t.Errorf("%d %v", status, slot)
	}
	if status, _ := get(t, lines[0]+"/Schedule"); status != 503 {
		t.Errorf("the fault of the file: %d", status)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWrongUsageEndsWithTwoAndSaysWhy(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.json")
	write(t, bad, `[{"kind":"explode"}]`)
	for _, args := range [][]string{
		{"--dialect", "hl7v2"},
		{"--fhir", "r5"},
		{"--zone", "Mars/Olympus"},
		{"--practitioners", "-1"},
		{"--listen", "nowhere"},
		{"--listen", "127.0.0.1:99999"},
		{"--practitioners", "0"},
		{"--days", "0"},
		{"--page-size", "0"},
		{"--max-count", "0"},
		{"--calls=-1"},
		{"--lockout", "0s"},
		{"--time-scale=-2"},
		{"--time-scale", "0"},
		{"--time-scale", "NaN"},
		{"--hold-for", "0s"},
		{"--load", "/nowhere/at/all"},
		{"--load", t.TempDir()},
		{"--load", t.TempDir(), "--shift-to", "soon"},
		{"--faults", bad},
		{"--refusal", "politely"},
		{"--hold-for=-1m"},
		{"--login", "password"},
		{"--login", "secret"},
		{"--login", "smart", "--token-life=-1s"},
		{"--login", "smart"},
		{"--login", "smart", "--client-keys", ":::"},
		{"--client-keys", "ftp://127.0.0.1/keys"},
		{"--client-keys", "keys.json"},
		{"--client-keys", "{keys"},
		{"--login", "secret", "--client-secret", "s3cret", "--token-life", "0s"},
		{"--shift-to", "foo"},
		{"--shift-to", "today"},
		{"--strangers", "5"},
		{"--time-scale", "1e300"},
		{"--time-scale", "+Inf"},
		{"--frobnicate"},
	} {
		var said strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that is taken serves, and then fails here
		code := run(ctx, args, io.Discard, &said)
		cancel()
		if code != 2 || !strings.HasPrefix(said.String(), "ehrsim:") {
			t.Errorf("%v: exit %d, %q", args, code, said.String())
		}
	}
}

func TestKeysAreTakenByURLAndAsJSON(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"http://127.0.0.1:8080/jwks.json", `{"keys":[]}`} {
		lines, stop := launch(t, "--practitioners", "1", "--days", "1", "--login", "smart", "--client-keys", keys)
		if code := stop(); code != 0 || len(lines) != 2 {
			t.Errorf("%s: exit %d, printed %q", keys, code, lines)
		}
	}
}

func TestHelpEndsWell(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	if code := run(t.Context(), []string{"--help"}, &said, io.Discard); code != 0 || !strings.Contains(said.String(), "--shift-to") {
		t.Errorf("exit %d, %q", code, said.String())
	}
}

func TestAnAddressInUseFails(t *testing.T) {
	t.Parallel()
	lines, stop := launch(t, "--practitioners", "1", "--days", "1")
	address := strings.TrimSuffix(strings.TrimPrefix(lines[0], "http://"), "/fhir")
	if code := run(t.Context(), []string{"--listen", address, "--practitioners", "1", "--days", "1"}, io.Discard, io.Discard); code != 1 {
		t.Errorf("exit %d", code)
	}
	stop()
}
