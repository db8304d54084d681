package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"slotgate/scheduling"
)

// ear is who takes what sources tell. It listens to napa and york.
type ear struct {
	mu     sync.Mutex
	heard  map[scheduling.SourceID]int
	told   []scheduling.Notice
	broken error
}

func (e *ear) Listens(source scheduling.SourceID) bool { return source == "napa" || source == "york" }

func (e *ear) Heard(_ context.Context, source scheduling.SourceID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[source]++
	return e.broken
}

func (e *ear) Tell(_ context.Context, _ scheduling.SourceID, n scheduling.Notice) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken == nil {
		e.told = append(e.told, n)
	}
	return e.broken
}

func (e *ear) last() (n scheduling.Notice, all int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.told) > 0 {
		n = e.told[len(e.told)-1]
	}
	return n, len(e.told)
}

func (e *ear) breaks(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken = err
}

const (
	noticeJSON = `{"resourceType":"Schedule","id":"s1","actor":[{"reference":"Practitioner/p1","display":"Dr. Kanarienvogel"}],` +
		`"planningHorizon":{"start":"2026-11-24T09:00:00-08:00","end":"2026-11-24T09:30:00-08:00"}}`
	noticeXML = `<?xml version="1.0"?><Schedule xmlns="http://hl7.org/fhir"><id value="s1"/><actor><reference value="Practitioner/p1"/></actor>` +
		`<planningHorizon><start value="2026-11-24"/><end value="2026-11-24"/></planningHorizon></Schedule>`
)

// listening is a gateway that takes notifications, and its secret.
func listening(t *testing.T, options NotifyOptions) (*world, *ear, func(scheduling.SourceID) string) {
	t.Helper()
	e := &ear{heard: map[scheduling.SourceID]int{}}
	var secret []byte
	w := start(t, func(_ *Options, d *Deps) {
		d.Notify = Notify{Notices: e, Options: options}
		secret = d.Secret
	})
	return w, e, func(source scheduling.SourceID) string { return scheduling.NotifyKey(secret, source) }
}

func TestNotificationsAreTakenByHeaderAndByPath(t *testing.T) {
	t.Parallel()
	w, e, key := listening(t, NotifyOptions{})
	for name, c := range map[string]struct {
		path, header, body, kind string
		change                   bool
	}{
		"STU3 JSON by header":             {"/notify/napa", "Bearer " + key("napa"), noticeJSON, "application/fhir+json", true},
		"its release in the media type":   {"/notify/napa", "Bearer " + key("napa"), noticeJSON, "application/fhir+json; fhirVersion=3.0", true},
		"R4 JSON by path":                 {"/notify/york/" + key("york"), "", noticeJSON, "application/fhir+json", true},
		"XML":                             {"/notify/york/" + key("york"), "", noticeXML, "application/fhir+xml", true},
		"XML that is called something":    {"/notify/york/" + key("york"), "", noticeXML, "text/plain", true},
		"JSON without a type":             {"/notify/york/" + key("york"), "", "\ufeff " + noticeJSON, "", true},
		"a scheme in small letters":       {"/notify/york", "bearer " + key("york"), noticeJSON, "application/json", true},
		"a heartbeat":                     {"/notify/napa", "Bearer " + key("napa"), "", "", false},
		"a heartbeat that names a type":   {"/notify/napa", "Bearer " + key("napa"), "", "application/fhir+json", false},
		"a heartbeat of blanks, by path":  {"/notify/napa/" + key("napa"), "", " \r\n", "application/fhir+json", false},
		"a path, and somebody's header":   {"/notify/napa/" + key("napa"), "Bearer other", "", "", false},
		"a caller who wants what we lack": {"/notify/napa", "Bearer " + key("napa"), "", "", false},
	} {
		_, before := e.last()
		header := []string{"Accept: image/png"}
		if c.header != "" {
			header = append(header, "Authorization: "+c.header)
		}
		if c.kind != "" {
			header = append(header, "Content-Type: "+c.kind)
		}
		r := w.ask("POST", c.path, c.body, header...)
		n, after := e.last()
		if r.status != http.StatusOK || (after > before) != c.change {
			t.Errorf("%s: %d, %d told: %s", name, r.status, after-before, r.body)
		}
		if c.change && (n.Schedule != "s1" || len(n.Actors) != 1 || n.Actors[0].Display != "" || !strings.HasPrefix(n.Start, "2026-11-24")) {
			t.Errorf("%s: %+v", name, n)
		}
	}
	if e.heard["napa"] == 0 || e.heard["york"] == 0 {
		t.Errorf("heard: %v", e.heard)
	}
	for _, secret := range []string{key("napa"), key("york"), "Kanarienvogel", "Practitioner/p1"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
}

// Whoever does not know the secret is not told whether there is such a source.
func TestStrangersAtNotifyLearnNothing(t *testing.T) {
	t.Parallel()
	w, e, key := listening(t, NotifyOptions{})
	answers := map[string]string{}
	for _, c := range []struct{ kind, path, header string }{
		{"path", "/notify/napa/wrong", ""},
		{"path", "/notify/nobody/wrong", ""},
		{"path", "/notify/nobody/" + key("nobody"), ""}, // nobody is listened to
		{"path", "/notify/york/" + key("napa"), ""},
		{"path", "/notify/york/" + key("york")[1:], ""},
		{"path", "/notify/york/" + key("york") + "x", ""},
		{"path", "/notify/york/wrong", "Bearer " + key("york")},
		{"path", "/notify/%2e%2e/napa", ""},
		{"path", "/notify/" + strings.Repeat("x", 3000) + "/y", ""},
		{"none", "/notify/napa", ""},
		{"none", "/notify/nobody", ""},
		{"header", "/notify/napa", "Bearer wrong"},
		{"header", "/notify/nobody", "Bearer wrong"},
		{"header", "/notify/nobody", "Bearer " + key("nobody")},
		{"header", "/notify/york", "Bearer " + key("napa")},
		{"header", "/notify/york", "Basic " + key("york")},
		{"header", "/notify/york", key("york")},
		{"header", "/notify/york", "Bearer "},
	} {
		var header []string
		if c.header != "" {
			header = append(header, "Authorization: "+c.header)
		}
		for _, body := range []string{"", noticeJSON, "{"} {
			r := w.ask("POST", c.path, body, header...)
			if want := map[string]int{"path": 404, "none": 401, "header": 401}[c.kind]; r.status != want {
				t.Errorf("%s %q: %d, want %d", c.path, c.header, r.status, want)
			}
			answer := r.body + r.header.Get("WWW-Authenticate")
			if known, ok := answers[c.kind]; ok && known != answer {
				t.Errorf("%s %q is told apart:\n%s\n%s", c.path, c.header, answer, known)
			}
			answers[c.kind] = answer
		}
	}
	if _, n := e.last(); n != 0 || len(e.heard) != 0 {
		t.Errorf("%d were believed; heard %v", n, e.heard)
	}
}

func TestHostileNotificationsAreRefused(t *testing.T) {
	t.Parallel()
	w, e, key := listening(t, NotifyOptions{Rate: 1e4, Body: 2048})
	var squeezed bytes.Buffer
	zip := gzip.NewWriter(&squeezed)
	_, _ = fmt.Fprint(zip, noticeJSON)
	_ = zip.Close()
	for name, c := range map[string]struct {
		body   string
		header string
		want   int
	}{
		"no JSON":           {"{", "", 400},
		"a text":            {"hello", "", 400},
		"a patient":         {`{"resourceType":"Patient","id":"x","name":[{"family":"Kanarienvogel"}]}`, "", 400},
		"nobody":            {`{"resourceType":"Schedule"}`, "", 400},
		"no time":           {`{"resourceType":"Schedule","id":"s","planningHorizon":{"start":"Kanarienvogel"}}`, "", 400},
		"backwards":         {`{"resourceType":"Schedule","id":"s","planningHorizon":{"start":"2027-01-01","end":"2026-01-01"}}`, "", 400},
		"an id that is not": {`{"resourceType":"Schedule","id":"../../etc"}`, "", 400},
		"a name twice":      {`{"resourceType":"Schedule","id":"a","id":"b"}`, "", 400},
		"deep":              {strings.Repeat("[", 2000), "", 400},
		"XML with entities": {`<!DOCTYPE x [<!ENTITY a "b">]><Schedule xmlns="http://hl7.org/fhir"><id value="&a;"/></Schedule>`, "", 400},
		"large":             {`{"resourceType":"Schedule","id":"s","comment":"` + strings.Repeat("x", 2048) + `"}`, "", 413},
		"huge":              {strings.Repeat("x", 2<<20), "", 413},
		"compressed":        {squeezed.String(), "Content-Encoding: gzip", 415},
	} {
		header := []string{"Authorization: Bearer " + key("york"), "Content-Type: application/fhir+json"}
		if c.header != "" {
			header = append(header, c.header)
		}
		r := w.ask("POST", "/notify/york", c.body, header...)
		if r.status != c.want || !strings.Contains(r.body, "OperationOutcome") || strings.Contains(r.body, "Kanarienvogel") {
			t.Errorf("%s: %d, want %d: %s", name, r.status, c.want, r.body)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
		if r := w.ask(method, "/notify/york", "", "Authorization: Bearer "+key("york")); r.status != 405 {
			t.Errorf("%s: %d", method, r.status)
		}
	}
	if _, n := e.last(); n != 0 {
		t.Errorf("%d were taken", n)
	}
	if strings.Contains(w.log.String(), "Kanarienvogel") || strings.Contains(w.log.String(), key("york")) {
		t.Error("a body or a secret stands in the log")
	}
}

// Each source has a limit of its own, which strangers do not use up. What is over
// it is answered as everything else, since an EHR gives up whom it cannot tell;
// after the last of it, it is told once more that something has changed.
func TestWhatIsOverTheRateIsMergedAndNotLost(t *testing.T) {
	t.Parallel()
	w, e, key := listening(t, NotifyOptions{Rate: 2, Body: 4096})
	for range 20 {
		w.ask("POST", "/notify/napa", noticeJSON, "Authorization: Bearer wrong")
	}
	tell := func(source scheduling.SourceID, body string) int {
		return w.ask("POST", "/notify/"+string(source)+"/"+key(source), body).status
	}
	for i := range 4 {
		if status := tell("napa", noticeJSON); status != http.StatusOK {
			t.Errorf("number %d: %d", i, status)
		}
		if n, all := e.last(); n.Schedule != "s1" || all != i+1 {
			t.Errorf("number %d: %d told, the last of %q", i, all, n.Schedule)
		}
	}
	var burst sync.WaitGroup
	for range 50 {
		burst.Go(func() {
			if status := tell("napa", noticeJSON); status != http.StatusOK {
				t.Errorf("over the rate: %d", status)
			}
		})
	}
	burst.Wait()
	n, all := e.last()
	if !reflect.DeepEqual(n, scheduling.Notice{}) || all == 4 || all == 54 {
		t.Errorf("%d told of 54, the last: %+v", all, n)
	}
	if status := tell("napa", ""); status != http.StatusOK {
		t.Errorf("a heartbeat: %d", status)
	}
	if _, after := e.last(); after != all {
		t.Error("a heartbeat over the rate is told as a change")
	}
	if status := tell("napa", strings.Repeat("x", 5000)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large one over the rate: %d", status)
	}
	if tell("york", noticeJSON); e.heard["york"] != 1 {
		t.Error("another source is not heard")
	}
	w.now.set(noon.Add(2e9))
	if status := tell("napa", noticeJSON); status != http.StatusOK {
		t.Errorf("later: %d", status)
	}
	if n, _ := e.last(); n.Schedule != "s1" {
		t.Errorf("later: %+v", n)
	}
}

// Others were answered 200 for what was then not handed on: it is owed, and told
// with the next change, whatever its rate.
func TestWhatWasMergedAndNotHandedOnIsToldWithTheNextChange(t *testing.T) {
	t.Parallel()
	w, e, key := listening(t, NotifyOptions{Rate: 1, Body: 4096})
	tell := func(body string) int { return w.ask("POST", "/notify/york/"+key("york"), body).status }
	tell("")
	tell("")
	e.breaks(scheduling.Fault(scheduling.Shedding, errors.New("dial 10.0.0.1"), "the store is away"))
	if status := tell(noticeJSON); status != http.StatusServiceUnavailable {
		t.Errorf("over the rate, without the store: %d", status)
	}
	e.breaks(nil)
	w.now.set(noon.Add(10e9))
	for _, want := range []string{"", "s1"} {
		status := tell(noticeJSON)
		if n, _ := e.last(); status != http.StatusOK || n.Schedule != want {
			t.Errorf("%d, told of %q, want %q", status, n.Schedule, want)
		}
	}
}

// A change that cannot be handed on is not taken: who told it may tell it again.
// A heartbeat needs nobody.
func TestWithoutTheStoreChangesAreToldAgain(t *testing.T) {
	t.Parallel()
	w, e, key := listening(t, NotifyOptions{})
	e.breaks(scheduling.Fault(scheduling.Shedding, errors.New("dial 10.0.0.1"), "the store is away"))
	if r := w.ask("POST", "/notify/york/"+key("york"), noticeJSON); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || strings.Contains(r.body, "10.0.0.1") {
		t.Errorf("%d: %s", r.status, r.body)
	}
	if r := w.ask("POST", "/notify/york/"+key("york"), ""); r.status != http.StatusOK {
		t.Errorf("a heartbeat: %d", r.status)
	}
}

// Secrets that were shared later are known beside the first one.
func TestNotificationsByAnOlderSecretAreKnown(t *testing.T) {
	t.Parallel()
	w, _, key := listening(t, NotifyOptions{})
	old, next := w.server.deps.Secret, []byte("another secret of enough bytes")
	if err := w.server.SetSecrets(next, old); err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{key("york"), scheduling.NotifyKey(next, "york")} {
		if r := w.ask("POST", "/notify/york/"+shown, ""); r.status != http.StatusOK {
			t.Errorf("%d", r.status)
		}
	}
	if err := w.server.SetSecrets(next); err != nil {
		t.Fatal(err)
	}
	if r := w.ask("POST", "/notify/york/"+key("york"), ""); r.status != http.StatusNotFound {
		t.Errorf("by a secret that was given up: %d", r.status)
	}
}

func TestWithoutSourcesThatTellNothingIsAtNotify(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	if r := w.ask("POST", "/notify/napa/x", ""); r.status != http.StatusNotFound {
		t.Errorf("%d", r.status)
	}
	for _, o := range []NotifyOptions{{Rate: -1, Body: 4096}, {Rate: 1, Body: 10}, {Rate: 1e9, Body: 4096}} {
		if o.Validate() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
