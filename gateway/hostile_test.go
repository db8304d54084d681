package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// deep is JSON that is nested n times.
func deep(n int) string {
	return `{"resourceType":"Parameters","parameter":` + strings.Repeat(`[{"part":`, n) + "[]" + strings.Repeat("}]", n) + "}"
}

// tooMany is n parameters of $find, as JSON.
func tooMany(n int) string {
	one := `{"name":"specialty","valueCode":"1"}`
	return `{"resourceType":"Parameters","parameter":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]}"
}

// TestBadInputIsRefused: each with its status and its code, in the format asked
// for, on both bases.
func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const find = "/Appointment/$find"
	jsonBody, xmlBody := "Content-Type: application/fhir+json", "Content-Type: application/fhir+xml"
	for _, tc := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"an unreadable start", "GET", find + "?start=yesterday", "", nil, 400, "bad-request"},
		{"a day that does not exist", "GET", find + "?start=2026-02-30", "", nil, 400, "bad-request"},
		{"a time without an offset", "GET", find + "?start=2026-11-24T09:00:00", "", nil, 400, "bad-request"},
		{"an unreadable end", "GET", find + "?end=%00", "", nil, 400, "bad-request"},
		{"end before start", "GET", find + "?start=2026-11-25&end=2026-11-24", "", nil, 400, "bad-request"},
		{"a negative count", "GET", find + "?_count=-1", "", nil, 400, "bad-request"},
		{"a count that is no number", "GET", find + "?_count=many", "", nil, 400, "bad-request"},
		{"a count beyond every number", "GET", find + "?_count=99999999999999999999", "", nil, 400, "bad-request"},
		{"a token of nothing", "GET", find + "?specialty=%7C", "", nil, 400, "bad-request"},
		{"a position in words", "GET", find + "?near=north", "", nil, 400, "bad-request"},
		{"a position off the earth", "GET", find + "?near=91%7C0%7C1%7Ckm", "", nil, 400, "bad-request"},
		{"a distance of less than nothing", "GET", find + "?near=1%7C1%7C-1%7Ckm", "", nil, 400, "bad-request"},
		{"strict that is neither", "GET", find + "?strict=perhaps", "", nil, 400, "bad-request"},
		{"a forged cursor", "GET", find + "?_cursor=AAAA", "", nil, 400, "bad-request"},
		{"a source that is not there", "GET", find + "?source=atlantis", "", nil, 400, "bad-request"},
		{"a broken escape", "GET", find + "?specialty=%zz", "", nil, 400, "bad-request"},
		{"bytes that are no text", "GET", find + "?specialty=%ff%fe", "", nil, 400, "bad-request"},
		{"10,000 parameters in a body", "POST", find, tooMany(10_000), []string{jsonBody}, 400, "bad-request"},
		{"1,000 parameters in an address", "GET", find + "?" + strings.Repeat("a=&", 1000), "", nil, 400, "bad-request"},
		{"10,000 parameters in an address", "GET", find + "?" + strings.Repeat("a=&", 10_000), "", nil, 431, "bad-request"},
		{"a huge header", "GET", find, "", []string{"X-Big: " + strings.Repeat("x", 20_000)}, 431, "bad-request"},
		{"a reference to another type", "GET", find + "?practitioner=Location/1", "", nil, 400, "bad-request"},
		{"an id of 65 characters", "GET", "/Practitioner/" + strings.Repeat("a", 65), "", nil, 400, "bad-request"},
		{"an id of 65 characters as a parameter", "GET", "/Practitioner?_id=" + strings.Repeat("a", 65), "", nil, 400, "bad-request"},
		{"a reference of 65 characters", "GET", find + "?practitioner=" + strings.Repeat("a", 65), "", nil, 400, "bad-request"},
		{"an id of other characters", "GET", "/Slot/a%2Fb", "", nil, 400, "bad-request"},
		{"an id that nobody has", "GET", "/Practitioner/nobody", "", nil, 404, "unknown-id"},

		{"a body over 1 MiB", "POST", find, strings.Repeat(" ", 1<<20) + "{}", []string{jsonBody}, 413, "bad-request"},
		{"a body that is not Parameters", "POST", find, `{"resourceType":"Patient"}`, []string{jsonBody}, 422, "not-acceptable"},
		{"a body of a type that nobody knows", "POST", find, `{"resourceType":"Spaceship"}`, []string{jsonBody}, 422, "not-acceptable"},
		{"XML that is not Parameters", "POST", find, `<Patient xmlns="http://hl7.org/fhir"/>`, []string{xmlBody}, 422, "not-acceptable"},
		{"half a body", "POST", find, `{"resourceType":"Parameters","parameter":[`, []string{jsonBody}, 400, "bad-request"},
		{"an empty body", "POST", find, ``, []string{jsonBody}, 400, "bad-request"},
		{"a list", "POST", find, `[]`, []string{jsonBody}, 400, "bad-request"},
		{"a resource of no type", "POST", find, `{}`, []string{jsonBody}, 400, "bad-request"},
		{"a name twice", "POST", find, `{"resourceType":"Parameters","resourceType":"Parameters"}`, []string{jsonBody}, 400, "bad-request"},
		{"deep JSON", "POST", find, deep(20_000), []string{jsonBody}, 400, "bad-request"},
		{"half of XML", "POST", find, `<Parameters xmlns="http://hl7.org/fhir"><parameter>`, []string{xmlBody}, 400, "bad-request"},
		{"deep XML", "POST", find, strings.Repeat("<a>", 10_000), []string{xmlBody}, 400, "bad-request"},
		{
			"XML with a DTD", "POST", find,
			`<!DOCTYPE Parameters [<!ELEMENT Parameters ANY>]><Parameters xmlns="http://hl7.org/fhir"/>`,
			[]string{xmlBody},
			400, "bad-request",
		},
		{
			"XML with an external entity", "POST", find,
			`<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Parameters xmlns="http://hl7.org/fhir"><parameter><name value="&x;"/></parameter></Parameters>`,
			[]string{xmlBody},
			400, "bad-request",
		},
		{"a form", "POST", find, "start=2026-11-24", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "not-supported"},
		{"plain text", "POST", find, "hello", []string{"Content-Type: text/plain"}, 415, "not-supported"},
		{"no content type", "POST", find, "{}", nil, 415, "not-supported"},
		{"another charset", "POST", find, "{}", []string{"Content-Type: application/fhir+json; charset=utf-16"}, 415, "not-supported"},
		{"JSON for a search", "POST", "/Slot/_search", "{}", []string{jsonBody}, 415, "not-supported"},
		{"an unknown parameter, strictly", "GET", find + "?x=1", "", []string{"Prefer: handling=strict"}, 400, "bad-request"},
		{"an unknown parameter of a search, strictly", "GET", "/Slot?x=1", "", []string{"Prefer: handling=strict"}, 400, "bad-request"},
		{"a date of a search", "GET", "/Slot?start=gesoon", "", nil, 400, "bad-request"},
		{"a count of a search", "GET", "/Slot?_count=-1", "", nil, 400, "bad-request"},

		{"an unknown route", "GET", "/Patient/1", "", nil, 404, "unknown-id"},
		{"an unknown operation", "POST", "/Appointment/$seek", "{}", []string{jsonBody}, 404, "unknown-id"},
		{"another method", "DELETE", find, "", nil, 405, "not-supported"},
		{"a method of one's own", "FETCH", "/metadata", "", nil, 405, "not-supported"},
		{"a key that nobody has", "GET", find, "", []string{"Authorization: Bearer nobody"}, 401, "unauthorized"},
		{"a key that may not", "GET", find, "", []string{"Authorization: Bearer book-key"}, 403, "forbidden"},
		{"a session too short", "GET", find, "", []string{"Authorization: Bearer site-key", "X-Slotgate-Session: me"}, 400, "bad-request"},
		{"no issuer of tokens", "GET", "/.well-known/smart-configuration", "", nil, 404, "unknown-id"},
	} {
		for i, format := range []string{"json", "xml"} {
			rel := releases()[i]
			t.Run(tc.name+" "+format, func(t *testing.T) {
				header := append([]string{"Accept: application/fhir+" + format}, tc.header...)
				r := w.ask(tc.method, "/fhir/"+string(rel)+tc.path, tc.body, header...)
				if r.status != tc.status {
					t.Fatalf("status %d, want %d: %s", r.status, tc.status, r.body)
				}
				// What is too large to read has no header to obey.
				if tc.status != 431 && !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+"+format) {
					t.Errorf("content type %q", r.header.Get("Content-Type"))
				}
				if got := w.code(r, rel); got != tc.code {
					t.Errorf("code %q, want %q", got, tc.code)
				}
				if strings.Contains(r.body, "root:") || strings.Contains(r.body, "fasthttp") || strings.Contains(r.body, ".go:") {
					t.Errorf("an inner text: %s", r.body)
				}
				if tc.status == 405 && r.header.Get("Allow") == "" {
					t.Error("no Allow")
				}
				if tc.status == 401 && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
					t.Error("no WWW-Authenticate")
				}
			})
		}
	}
}

// answers sends raw bytes and gives the statuses that come back until the
// connection is closed or falls silent.
func answers(t *testing.T, addr, raw string) []int {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	var got []int
	for r := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return got
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		got = append(got, res.StatusCode)
	}
}

// TestSmuggledRequestsAreNotAnswered judges the HTTP parser below us: what it
// must refuse, and that nothing behind a refused request is answered.
func TestSmuggledRequestsAreNotAnswered(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *Options, _ *Deps) { o.ReadTimeout, o.IdleTimeout = time.Second, time.Second })
	const (
		get   = "GET /fhir/r4/metadata HTTP/1.1\r\n"
		post  = "POST /fhir/r4/Appointment/$find HTTP/1.1\r\nHost: a\r\nContent-Type: application/fhir+json\r\n"
		after = "GET /fhir/r4/Practitioner HTTP/1.1\r\nHost: a\r\n\r\n"
	)
	for _, tc := range []struct {
		name, raw string
		refused   bool // else the one request is answered with 200
	}{
		{"an ordinary request", get + "Host: a\r\nConnection: close\r\n\r\n", false},
		{"no Host", get + "\r\n", true},
		{"two Hosts", get + "Host: a\r\nHost: b\r\n\r\n", true},
		{"length and chunks at once", post + "Content-Length: 31\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + after, true},
		{"two lengths", post + "Content-Length: 5\r\nContent-Length: 0\r\n\r\n" + after, true},
		{"a bare LF in a chunk's extension", post + "Transfer-Encoding: chunked\r\n\r\n2;\n{}\r\n0\r\n\r\n" + after, true},
		{"an unknown transfer coding", post + "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}" + after, true},
		{"bare LF as line ends", "GET /fhir/r4/metadata HTTP/1.1\nHost: a\n\n", true},
		{"a space before the colon", get + "Host : a\r\n\r\n", true},
		{"a length with a sign", post + "Content-Length: +2\r\n\r\n{}" + after, true},
		{"a NUL in a header", get + "Host: a\r\nX-A: a\x00b\r\n\r\n", true},
		{"not HTTP at all", "\x16\x03\x01\x02\x00\x01\x00", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := answers(t, strings.TrimPrefix(w.base, "http://"), tc.raw)
			if !tc.refused {
				if fmt.Sprint(got) != "[200]" {
					t.Errorf("answers %v", got)
				}
				return
			}
			if len(got) > 1 {
				t.Errorf("a second request was answered: %v", got)
			}
			for _, status := range got {
				if status < 400 || status > 499 {
					t.Errorf("answers %v", got)
				}
			}
		})
	}
}

func TestAnUnreadableMethodMakesNoMetric(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *Options, _ *Deps) { o.ReadTimeout, o.IdleTimeout = time.Second, time.Second })
	for n := range 5 {
		answers(t, strings.TrimPrefix(w.base, "http://"), fmt.Sprintf("BREW%d /coffee%d HTTP/1.1\r\nHost : a\r\n\r\n", n, n))
		w.ask(fmt.Sprintf("BREW%d", n), "/fhir/r4/metadata", "")
	}
	if got := gathered(t, w) + w.log.String(); strings.Contains(got, "BREW") || strings.Contains(got, "coffee") {
		t.Errorf("metrics and log: %s", got)
	}
}

func TestASlowBodyEnds(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *Options, _ *Deps) { o.ReadTimeout = 300 * time.Millisecond })
	got := answers(t, strings.TrimPrefix(w.base, "http://"),
		"POST /fhir/r4/Appointment/$find HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
	if len(got) > 1 || len(got) == 1 && got[0] != http.StatusRequestTimeout {
		t.Errorf("answers %v", got)
	}
}

// TestNoPatientDataLeavesAFind: law 10. What a POST tells of a patient is in no
// answer, log, metric or link, whatever becomes of the request.
func TestNoPatientDataLeavesAFind(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const canary = "Kanarienvogel"
	patient := `{"name":"patient-resource","resource":{"resourceType":"Patient","id":"` + canary + `1","name":[{"family":"` + canary + `2","given":["` + canary + `3"]}],` +
		`"birthDate":"1970-01-01","identifier":[{"system":"urn:` + canary + `4","value":"` + canary + `5"}]}}`
	coverage := `{"name":"coverage","resource":{"resourceType":"Coverage","subscriberId":"` + canary + `6"}}`
	body := func(more string) string {
		return `{"resourceType":"Parameters","parameter":[` + patient + "," + coverage + more + "]}"
	}
	json := "Content-Type: application/fhir+json"
	for _, tc := range []struct {
		name, path, body string
		status           int
	}{
		{"a good find", "", body(""), 200},
		{"a reference to a patient", "?patient-reference=Patient/" + canary + "7", body(`,{"name":"reason","valueString":"` + canary + `8"}`), 200},
		{"a bad date", "", body(`,{"name":"start","valueString":"` + canary + `9"}`), 400},
		{"an unknown parameter", "", body(`,{"name":"` + canary + ` 10","valueString":"x"}`), 200},
		{"a patient in the wrong place", "", `{"resourceType":"Patient","name":[{"family":"` + canary + `11"}]}`, 422},
		{"half a body", "", body("")[:300], 400},
		{"a wrong element", "", `{"resourceType":"Parameters","parameter":{"name":"` + canary + `12"}}`, 400},
		{"an id that nobody has", "/../../Practitioner/" + canary, body(""), 404},
		{"an unknown place", "/" + canary, body(""), 404},
	} {
		for _, format := range []string{"json", "xml"} {
			r := w.ask(http.MethodPost, "/fhir/r4/Appointment/$find"+tc.path, tc.body, json, "Accept: application/fhir+"+format)
			if r.status != tc.status {
				t.Errorf("%s: status %d: %s", tc.name, r.status, r.body)
			}
			if strings.Contains(r.body, canary) || strings.Contains(fmt.Sprint(r.header), canary) {
				t.Errorf("%s: the answer repeats it: %s", tc.name, r.body)
			}
			if tc.name == "a good find" {
				list, outcome := offers(t, w.bundle(r, scheduling.R4))
				if len(list) == 0 || !strings.Contains(told(outcome), "patient-resource was not applied") {
					t.Errorf("%s: told %s", tc.name, told(outcome))
				}
			}
		}
	}
	if strings.Contains(w.log.String(), canary) {
		t.Errorf("logged: %s", w.log.String())
	}
	if !strings.Contains(w.log.String(), "$find") {
		t.Error("nothing was logged at all")
	}
	if got := gathered(t, w); strings.Contains(got, canary) || !strings.Contains(got, "$find") {
		t.Errorf("metrics: %s", got)
	}
}

// gathered is every metric, as text.
func gathered(t *testing.T, w *world) string {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String())
	}
	return b.String()
}

// panicking is a Finder that panics with a text that nobody may see.
type panicking struct{ Finder }

func (panicking) Find(scheduling.Query) (scheduling.Found, error) { panic("the panic's own text") }

// failing is a Finder with an error that nobody classified.
type failing struct{ Finder }

func (failing) Find(scheduling.Query) (scheduling.Found, error) {
	return scheduling.Found{}, fmt.Errorf("dial tcp 10.0.0.1: %w", io.ErrUnexpectedEOF)
}

func TestWhatGoesWrongInsideStaysInside(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		finder Finder
		hidden string
		logged bool
	}{
		{"a panic", panicking{}, "own text", false},
		{"an error", failing{}, "10.0.0.1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(_ *Options, d *Deps) { d.Finder = tc.finder })
			r := w.get("/fhir/stu3/Appointment/$find?_format=xml")
			o, ok := w.resource(r, scheduling.STU3).(*model.OperationOutcome)
			if r.status != http.StatusInternalServerError || !ok || o.Issue[0].Code != "exception" {
				t.Errorf("status %d: %s", r.status, r.body)
			}
			if strings.Contains(r.body, tc.hidden) {
				t.Errorf("the answer shows it: %s", r.body)
			}
			if strings.Contains(w.log.String(), tc.hidden) != tc.logged {
				t.Errorf("log: %s", w.log.String())
			}
			// The next request is answered.
			if r := w.get("/fhir/r4/metadata"); r.status != http.StatusOK {
				t.Errorf("afterwards: %d", r.status)
			}
		})
	}
}
