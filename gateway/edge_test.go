package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"slotgate/fhir/model"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
)

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *Options, d *Deps) { o.PublicURL, d.KeySet = "https://slots.example.org", []byte(`{"keys":[]}`) })
	for _, tc := range []struct{ method, path, cache string }{
		{"GET", "/fhir/r4/Appointment/$find", "no-store"},
		{"GET", "/fhir/stu3/Practitioner", "no-store"},
		{"GET", "/fhir/r4/metadata", "public, max-age=300"},
		{"GET", "/.well-known/jwks.json", "public, max-age=300"},
		{"GET", "/nowhere", "no-store"},
		{"DELETE", "/fhir/r4/metadata", "no-store"},
		{"GET", "/fhir/r4/Appointment/$find?start=x", "no-store"},
	} {
		r := w.ask(tc.method, tc.path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Cache-Control":           tc.cache, "Server": "", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", tc.method, tc.path, name, got, want)
			}
		}
		if r.header.Get("Date") == "" || r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: no Date or no X-Request-Id", tc.method, tc.path)
		}
	}
}

func TestRequestIDsAreKeptOrMade(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	made := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, tc := range []struct {
		name, given string
		kept        bool
	}{
		{"a good one", "trace-1.2_3:4", true},
		{"the longest", strings.Repeat("a", 128), true},
		{"none", "", false},
		{"too long", strings.Repeat("a", 129), false},
		{"with a blank", "a b", false},
		{"with markup", "<script>", false},
		{"not ASCII", "é", false},
	} {
		for _, path := range []string{"/fhir/r4/metadata", "/nowhere"} {
			got := w.get(path, "X-Request-Id: "+tc.given).header.Get("X-Request-Id")
			if tc.kept && got != tc.given || !tc.kept && !made.MatchString(got) {
				t.Errorf("%s: %q", tc.name, got)
			}
		}
	}
}

func TestTheLogNamesTheRouteAndNeverTheAddress(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.get("/fhir/r4/Appointment/$find?specialty=secretive", "Authorization: Bearer site-key", "X-Request-Id: r-1")
	w.get("/fhir/stu3/Practitioner/secretive-id", "X-Request-Id: r-2")
	w.get("/secretive", "X-Request-Id: r-3")
	log := w.log.String()
	for _, want := range []string{
		"msg=request method=GET route=/fhir/r4/Appointment/$find status=200",
		"requestId=r-1 caller=site", "route=/fhir/stu3/Practitioner/:id status=404", "route=unmatched status=404",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log: %s", want, log)
		}
	}
	for _, never := range []string{"secretive", "site-key"} {
		if strings.Contains(log, never) {
			t.Errorf("%q is in the log: %s", never, log)
		}
	}
	got := gathered(t, w)
	for _, want := range []string{`value:"/fhir/r4/Appointment/$find"`, `value:"unmatched"`, `name:"slotgate_http_requests_running"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in the metrics: %s", want, got)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, tc := range []struct {
		name, query, accept, want string
		status                    int
	}{
		{"nothing asked is JSON", "", "", "application/fhir+json", 200},
		{"anything is JSON", "", "*/*", "application/fhir+json", 200},
		{"Accept names XML", "", "application/fhir+xml", "application/fhir+xml", 200},
		{"weights count", "", "application/json;q=0.1, application/xml;q=0.9", "application/fhir+xml", 200},
		{"_format is above Accept", "?_format=xml", "application/fhir+json", "application/fhir+xml", 200},
		{"a media type as _format", "?_format=application/fhir%2Bxml", "", "application/fhir+xml", 200},
		{"its plus may be a blank", "?_format=application/fhir+xml", "", "application/fhir+xml", 200},
		{"neither", "", "text/turtle", "application/fhir+json", 406},
		{"an unknown _format", "?_format=yaml", "", "application/fhir+json", 406},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := w.get("/fhir/r4/metadata"+tc.query, "Accept: "+tc.accept)
			if r.status != tc.status || !strings.HasPrefix(r.header.Get("Content-Type"), tc.want) || r.header.Get("Vary") != "Accept" {
				t.Errorf("status %d, headers %v", r.status, r.header)
			}
			w.resource(r, scheduling.R4) // it is what it says
		})
	}
	r := w.ask(http.MethodPost, "/fhir/r4/Appointment/$find", `<Parameters xmlns="http://hl7.org/fhir"/>`, "Content-Type: application/fhir+xml")
	if !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+xml") {
		t.Errorf("XML in, %q out", r.header.Get("Content-Type"))
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, path := range []string{"/fhir/r4/metadata", "/fhir/r4/Appointment/$find?_count=1", "/fhir/stu3/Slot", "/nowhere"} {
		get, head := w.get(path), w.ask(http.MethodHead, path, "")
		if head.status != get.status || head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("%s: GET %d of %s, HEAD %d of %s", path, get.status, get.header.Get("Content-Length"),
				head.status, head.header.Get("Content-Length"))
		}
	}
}

func TestAllowNamesTheMethods(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for path, want := range map[string]string{
		"/fhir/r4/Appointment/$find":   "GET, HEAD, POST",
		"/fhir/stu3/metadata":          "GET, HEAD",
		"/fhir/r4/Location/_search":    "GET, HEAD, POST", // GET reads the id _search, which nobody has
		"/.well-known/jwks.json":       "GET, HEAD",
		"/fhir/r4/Appointment/%24find": "GET, HEAD, POST",
	} {
		r := w.ask(http.MethodPut, path, "")
		if got := r.header.Get("Allow"); r.status != http.StatusMethodNotAllowed || got != want {
			t.Errorf("%s: status %d, Allow %q, want %q", path, r.status, got, want)
		}
	}
}

// TestRequestsDoNotMix asks many things at once, and looks for the parameters of
// one request in the answer to another: Fiber reuses the memory of both.
func TestRequestsDoNotMix(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for n := range 40 {
				own := fmt.Sprintf("w%dn%dr%d", worker, n, rand.Uint64())
				w.mixed(own, n%4)
			}
		})
	}
	wg.Wait()
}

// mixed asks one of four things under a name of its own.
func (w *world) mixed(own string, kind int) {
	id := "X-Request-Id: " + own
	var r reply
	switch kind {
	case 0:
		r = w.get("/fhir/r4/Appointment/$find?_count=1&specialty="+own, id)
	case 1:
		r = w.get("/fhir/stu3/Practitioner?name="+own+"&"+own+"=1", id)
	case 2:
		body := `{"resourceType":"Parameters","parameter":[{"name":"location-string","valueString":"` + own + `"},{"name":"x-` + own + `","valueString":"1"}]}`
		r = w.ask(http.MethodPost, "/fhir/r4/Appointment/$find", body, "Content-Type: application/json", id)
	case 3:
		r = w.get("/fhir/r4/Appointment/$find?strict=true&"+own+"=1", "Prefer: handling=strict", id)
	}
	if got := r.header.Get("X-Request-Id"); got != own {
		w.t.Errorf("kind %d: X-Request-Id %q, want %q", kind, got, own)
	}
	if !strings.Contains(r.body, own) {
		w.t.Errorf("kind %d: %q is not in its own answer: %s", kind, own, r.body)
	}
	for _, word := range regexp.MustCompile(`w\d+n\d+r\d+`).FindAllString(r.body, -1) {
		if word != own {
			w.t.Errorf("kind %d: %q is in the answer to %q", kind, word, own)
		}
	}
}

func TestAKeyIsNeededWhereAnonymousMayNot(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *Options, d *Deps) { d.Auth = newAuth(t) })
	for path, want := range map[string]int{
		"/fhir/r4/Appointment/$find":                      http.StatusUnauthorized,
		"/fhir/r4/Slot":                                   http.StatusUnauthorized,
		"/fhir/stu3/Location/x":                           http.StatusUnauthorized,
		"/fhir/r4/metadata":                               http.StatusOK,
		"/fhir/stu3/OperationDefinition/appointment-find": http.StatusOK,
		"/fhir/r4/OperationDefinition":                    http.StatusOK,
		"/.well-known/jwks.json":                          http.StatusNotFound, // nobody needs a key for what is not there
	} {
		r := w.get(path)
		if r.status != want {
			t.Errorf("%s: status %d, want %d", path, r.status, want)
		}
		if want == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") != `Bearer realm="slotgate"` {
			t.Errorf("%s: WWW-Authenticate %q", path, r.header.Get("WWW-Authenticate"))
		}
	}
	if r := w.get("/fhir/r4/Appointment/$find", "Authorization: Bearer site-key"); r.status != http.StatusOK {
		t.Errorf("with a key: %d", r.status)
	}
	r := w.get("/fhir/r4/Appointment/$find", "Authorization: Bearer none")
	if r.status != http.StatusUnauthorized || !strings.Contains(r.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("with a wrong key: %d %q", r.status, r.header.Get("WWW-Authenticate"))
	}
	if _, ok := w.resource(r, scheduling.R4).(*model.OperationOutcome); !ok {
		t.Errorf("body: %s", r.body)
	}
}

// newAuth knows a key, and lets nobody else in.
func newAuth(t *testing.T) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(auth.Options{Callers: callers().Callers})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
