package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/redistest"
	"slotgate/config"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// The users of napa and york, and our own logins there.
const (
	tokenOne   = "user-token-of-pat-1-at-napa"
	tokenTwo   = "user-token-of-pat-2-at-napa"
	tokenOver  = "user-token-of-pat-1-that-is-over"
	tokenYork  = "user-token-of-pat-1-at-york"
	ownNapa    = "our-own-login-at-napa"
	ownYork    = "our-own-login-at-york"
	userHeader = "X-Source-Authorization"
)

// tellAll is everything that was logged.
type tellAll struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *tellAll) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *tellAll) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// usersHouse is a house of one gateway and three EHRs: napa and york want a
// login, open wants none. Nobody is trusted, but the caller whose key is
// trusted-key, at napa.
func usersHouse(t *testing.T) (*house, *tellAll) {
	t.Helper()
	h := &house{
		sims: map[string]*ehrsim.Server{}, bases: map[string]string{},
		client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute},
	}
	t.Cleanup(h.client.CloseIdleConnections)
	login := func(token string) func(*upstream.Options) {
		return func(o *upstream.Options) {
			o.Auth.Kind, o.Auth.Token = "bearer", config.NewSecret(token)
			o.Booking.CallTimeout, o.Booking.Settle = config.Duration(time.Second), config.Duration(4*time.Second)
		}
	}
	h.file = h.config(t, redistest.Start(t).URL(), []clinic{
		{"napa", ehrsim.Options{
			Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3, Zone: "America/Los_Angeles", Practitioners: 2, Days: 6, RequireBearer: ownNapa,
			Users: []ehrsim.User{
				{Token: tokenOne, Patient: "pat-1"},
				{Token: tokenTwo, Patient: "pat-2"},
				{Token: tokenOver, Patient: "pat-1", Until: time.Now().Add(-time.Hour)},
			},
		}, login(ownNapa)},
		{"york", ehrsim.Options{
			Dialect: ehrsim.Slots, FHIR: ehrsim.R4, Zone: "America/New_York", Practitioners: 2, Days: 6, RequireBearer: ownYork,
			Users: []ehrsim.User{{Token: tokenYork, Patient: "pat-1"}},
		}, login(ownYork)},
		{"open", ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4, Zone: "UTC", Practitioners: 2, Days: 6}, nil},
	})
	h.file.Auth.Callers = []auth.Caller{
		{ID: "demo", KeySHA256: auth.Digest("demo"), HoldsUnnamed: 30},
		{ID: "trusted", KeySHA256: auth.Digest("trusted-key"), Trusted: []scheduling.SourceID{"napa"}},
	}
	log := &tellAll{}
	n, err := startNode(t.Context(), h.file, role{gateway: true, prefetch: true}, debugLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	h.nodes = append(h.nodes, n)
	h.rebuilt(t)
	return h, log
}

// with is a request of this user's with the token, "" for none.
func (u user) with(t *testing.T, token, method, path, body string, header ...string) answer {
	t.Helper()
	if token != "" {
		header = append(header, userHeader, "Bearer "+token)
	}
	a := u.tell(t.Context(), 0, method, path, body, header...)
	if a.failure != nil {
		t.Fatal(a.failure)
	}
	return a
}

func wantAnswer(t *testing.T, what string, a answer, status int, code string) {
	t.Helper()
	if a.code != status || code != "" && !a.has(code) {
		t.Fatalf("%s: %s, want %d %s\n%s", what, a, status, code, a.raw)
	}
}

// matches are the resources of a searchset.
func matches(t *testing.T, a answer) (list []map[string]any) {
	t.Helper()
	var bundle struct {
		Entry []struct {
			FullURL  string `json:"fullUrl"`
			Resource map[string]any
			Search   struct{ Mode string }
		}
	}
	if a.code != http.StatusOK || json.Unmarshal([]byte(a.raw), &bundle) != nil {
		t.Fatalf("%s\n%s", a, a.raw)
	}
	for _, e := range bundle.Entry {
		if e.Search.Mode == "match" {
			e.Resource["fullUrl"] = e.FullURL
			list = append(list, e.Resource)
		}
	}
	return list
}

const bookOne = `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueString":"pat-1"}]}`

// elsewhere makes an appointment of pat-1 at napa, not through us, and lists it.
func elsewhere(t *testing.T, h *house, u user, token string, header ...string) (id, native string) {
	t.Helper()
	slot := h.slots(t, "napa", 1)[0]
	made, err := h.sims["napa"].TakeSlot(slot.native, "Patient/pat-1", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range matches(t, u.with(t, token, http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=napa", "", header...)) {
		if r["status"] == "booked" && scheduling.IsElsewhereID(fmt.Sprint(r["id"])) && strings.Contains(fmt.Sprint(r["start"]), made.Start.In(mustZone(t, "America/Los_Angeles")).Format("2006-01-02T15:04:05")) {
			return fmt.Sprint(r["id"]), made.ID
		}
	}
	t.Fatal("what was made elsewhere is not listed")
	return "", ""
}

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

const testedPatch = `[{"op":"test","path":"/status","value":"booked"},{"op":"replace","path":"/status","value":"cancelled"}]`

func (h *house) metricsText(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.nodes[0].admin.url()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return readAll(t, res.Body)
}

// redisText is every key with what is in it, as far as it is text.
func redisText(t *testing.T, address string) string {
	t.Helper()
	opts, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	var text strings.Builder
	for _, key := range client.Keys(context.WithoutCancel(t.Context()), "*").Val() {
		text.WriteString(key + "=" + client.Dump(t.Context(), key).Val() + "\n")
	}
	return text.String()
}

// jwtOf is a JWT of these claims that nobody has signed.
func jwtOf(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "." + part([]byte("signature"))
}

func readAll(t *testing.T, from io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
