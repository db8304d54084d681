package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/gateway/auth"
	"slotgate/upstream/ehrsim"
)

// aviary is a house in which everything that is written or said is kept, to be
// looked through for the canary.
type aviary struct {
	*house
	redis *embedded.Server
	kill  *killWorld // for gateways that die; shares the house's configuration
	dir   string     // where Redis keeps its files
	words int        // how much go-redis had said before
	mu    sync.Mutex
	told  map[string]*strings.Builder
	seen  map[int]bool // statuses that were answered
}

// The EHRs of the aviary; the last cannot hold.
var aviaryClinics = []struct {
	id, dialect, fhir, more string
}{
	{"a3", "argonaut", "stu3", ""},
	{"a4", "argonaut", "r4", "coverage: before, "},
	{"sl", "slots", "r4", ""},
	{"s3", "slots", "stu3", "register: search-then-post, "},
	{"no", "argonaut", "r4", "quirks: {hold: none}, "},
}

// aviaryToken is the gateways' own at every EHR.
const aviaryToken = "token-of-the-gateways"

// debugLogger writes all that there is to say.
func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func newAviary(t *testing.T) *aviary {
	t.Helper()
	a := &aviary{dir: t.TempDir(), words: len(redisWords.String()), told: map[string]*strings.Builder{}, seen: map[int]bool{}}
	// What is compressed could not be searched.
	a.redis = redistest.StartWith(t, embedded.Options{
		Dir: a.dir, Args: []string{"--rdbcompression", "no"}, Logger: debugLogger(a.writer("log of Redis")),
	})
	a.house = &house{
		sims: map[string]*ehrsim.Server{}, bases: map[string]string{},
		client: &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 4 * time.Minute},
	}
	t.Cleanup(a.client.CloseIdleConnections)
	path := write(t, t.TempDir(), "slotgate.yaml", a.text(t))
	var err error
	if a.file, err = loadFile(path); err != nil {
		t.Fatal(err)
	}
	a.kill = &killWorld{t: t, config: path}
	listening := make(chan struct{})
	go a.monitor(t.Context(), listening)
	<-listening
	for i, r := range []role{{gateway: true, prefetch: true}, {gateway: true}} {
		n, err := startNode(t.Context(), a.file, r, debugLogger(a.writer(fmt.Sprint("log of gateway ", i))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.stop)
		a.nodes = append(a.nodes, n)
	}
	a.rebuilt(t)
	return a
}

// text is the configuration.
func (a *aviary) text(t *testing.T) string {
	var b strings.Builder
	secret := strings.Repeat("A", 43) + "="
	fmt.Fprintf(&b, `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
gateway: {request_timeout: 2m, booking_timeout: 2m, write_timeout: 3m}
redis: {dial_timeout: 30s, read_timeout: 30s, write_timeout: 30s, url: %q, put_back: 1s}
vault: {keys: [{id: k, key: %q}]}
anonymous: [find]
callers:
  - {id: site, key_sha256: %s, trusted: [a4], holds_unnamed: 1000}
  - {id: reader, key_sha256: %s, rights: [find]}
booking: {secret: %q, holds: 5, margin: 300ms, settle_every: 200ms, settle_lease: 2s, look_every: 200ms, look_max: 500ms, wait_running: 100ms, list_deadline: 1s}
sources:
`, a.redis.URL(), secret, auth.Digest(canaryAPIKey), auth.Digest("reader"), secret)
	for _, c := range aviaryClinics {
		sim, base := simulate(t, ehrsim.Options{
			Dialect: ehrsim.Dialect(c.dialect), FHIR: ehrsim.FHIR(c.fhir), Practitioners: 2, Days: 7, Zone: "UTC", HoldFor: 2 * time.Minute,
			RequireBearer: aviaryToken, Users: []ehrsim.User{{Token: canaryToken, Patient: "pat-1"}},
		})
		a.sims[c.id], a.bases[c.id] = sim, base
		fmt.Fprintf(&b, `  - {id: %s, base: %q, dialect: %s, fhir: %s, timezone: UTC, auth: {kind: bearer, token: %s}, %sprefetch: {cron: "@every 2s"},
     limits: {rate: 5000, concurrency: 50, breaker_failures: 10000}, booking: {call_timeout: 1s, read_timeout: 1s, settle: 3s%s}}
`, c.id, base, c.dialect, c.fhir, aviaryToken, c.more, map[bool]string{true: ", gateway_holds: false"}[c.id == "no"])
	}
	return b.String()
}

// keep adds to what stands at a place.
func (a *aviary) keep(place, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.told[place] == nil {
		a.told[place] = &strings.Builder{}
	}
	a.told[place].WriteString(text + "\n")
}

type keeping struct {
	a     *aviary
	place string
}

func (k keeping) Write(p []byte) (int, error) {
	k.a.keep(k.place, string(p))
	return len(p), nil
}

// writer keeps what is written to it.
func (a *aviary) writer(place string) io.Writer { return keeping{a, place} }

// monitor keeps every command that Redis is sent, over its restarts.
func (a *aviary) monitor(ctx context.Context, listening chan<- struct{}) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(a.redis.URL(), "unix://"))
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, "MONITOR\r\n")
		if listening != nil {
			_, _ = io.ReadFull(conn, make([]byte, len("+OK\r\n")))
			close(listening)
			listening = nil
		}
		_, _ = io.Copy(a.writer("commands of Redis"), conn)
		stop()
		_ = conn.Close()
	}
}

// look gathers what can be asked for: metrics, the admin listener, addresses at
// EHRs. It is called when there is something to see.
func (a *aviary) look(t *testing.T) {
	t.Helper()
	var ids []string
	for i, n := range a.nodes {
		pages := []string{"/"}
		for _, route := range n.current.admin.App().GetRoutes(true) {
			if route.Method == http.MethodGet && !strings.Contains(route.Path, ":") {
				pages = append(pages, route.Path)
			}
		}
		doubts, _ := a.unsettled(t.Context(), i)
		for _, id := range doubts {
			pages = append(pages, "/api/in-doubt/"+id)
		}
		ids = append(ids, doubts...)
		for _, page := range pages {
			res, err := a.client.Get(n.admin.url() + page)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			place := "admin listener"
			if page == "/metrics" {
				place = "metrics"
			}
			a.keep(place, fmt.Sprint(page, res.Header, string(body)))
		}
	}
	t.Logf("%s: in doubt: %d", time.Now().Format(time.TimeOnly), len(ids))
	for _, sim := range a.sims {
		for _, r := range sim.Requests(0) {
			a.keep("addresses at EHRs", r.Method+" "+r.Path+"?"+r.Query)
		}
		sim.ClearRequests()
	}
}

// dump gathers all of Redis: what is read, what DUMP gives, and the files.
func (a *aviary) dump(t *testing.T) {
	t.Helper()
	c := a.redisClient(t)
	defer func() { _ = c.Close() }()
	if err := c.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, key := range c.Keys(t.Context(), "*").Val() {
		a.keep("keys and values of Redis", fmt.Sprint(key, " ", valueOf(t, c, key)))
		a.keep("DUMP of Redis", c.Dump(t.Context(), key).Val())
	}
	err := filepath.WalkDir(a.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		a.keep("files of Redis", path+"\n"+string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// valueOf is what stands in Redis under a key, whatever its type is; nil where it
// is gone meanwhile.
func valueOf(t *testing.T, c *redis.Client, key string) any {
	t.Helper()
	switch kind := c.Type(t.Context(), key).Val(); kind {
	case "string":
		return c.Get(t.Context(), key).Val()
	case "hash":
		return c.HGetAll(t.Context(), key).Val()
	case "set":
		return c.SMembers(t.Context(), key).Val()
	case "zset":
		return c.ZRangeWithScores(t.Context(), key, 0, -1).Val()
	case "stream":
		return c.XRange(t.Context(), key, "-", "+").Val()
	case "list":
		return c.LRange(t.Context(), key, 0, -1).Val()
	case "none":
	default:
		t.Errorf("%s is a %s", key, kind)
	}
	return nil
}

// places are all that there are, with what stands in them.
func (a *aviary) places() []place {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []place
	for name, text := range a.told {
		all = append(all, place{name, []byte(text.String())})
	}
	all = append(all, place{"log of go-redis", []byte(redisWords.String()[a.words:])})
	for i, died := range a.kill.logs {
		all = append(all, place{fmt.Sprint("log of gateway that died ", i), []byte(died.String())})
	}
	return all
}

// issueXML is an issue of an OperationOutcome.
var issueXML = regexp.MustCompile(`(?s)<issue>.*?</issue>`)

// hear keeps of an answer what must not tell of the canary: headers, what is
// refused, and every issue of an outcome, beside an appointment too.
func (a *aviary) hear(res *http.Response, body []byte) {
	a.mu.Lock()
	a.seen[res.StatusCode] = true
	a.mu.Unlock()
	a.keep("headers of answers", fmt.Sprint(res.StatusCode, res.Header))
	if res.StatusCode >= 300 {
		a.keep("refusals", fmt.Sprintf("%d %s", res.StatusCode, body))
		return
	}
	for _, issue := range issueXML.FindAll(body, -1) {
		a.keep("issues", string(issue))
	}
	var resource any
	if json.Unmarshal(body, &resource) == nil {
		a.issues(resource)
	}
}

func (a *aviary) issues(v any) {
	switch v := v.(type) {
	case map[string]any:
		if issue, ok := v["issue"]; ok {
			text, _ := json.Marshal(issue)
			a.keep("issues", string(text))
		}
		for _, member := range v {
			a.issues(member)
		}
	case []any:
		for _, element := range v {
			a.issues(element)
		}
	}
}
