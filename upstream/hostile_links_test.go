package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// oneOfEach is a resource of each type that a source is asked for, with a number
// in its id. All of them are of the third of February.
func oneOfEach(kind string, n int) string {
	id := kind + "-" + strconv.Itoa(n)
	start := time.Date(2026, 2, 3, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	times := fmt.Sprintf(`"start":%q,"end":%q`, start.Format(time.RFC3339), start.Add(15*time.Minute).Format(time.RFC3339))
	switch kind {
	case "Slot":
		return fmt.Sprintf(`{"resourceType":"Slot","id":%q,"status":"free","schedule":{"reference":"Schedule/s1"},%s}`, id, times)
	case "Appointment":
		return fmt.Sprintf(`{"resourceType":"Appointment","id":%q,"status":"proposed",%s,"slot":[{"reference":"Slot/%s"}],
			"participant":[{"actor":{"reference":"Practitioner/p1"},"status":"needs-action"}]}`, id, times, id)
	case "Schedule":
		return fmt.Sprintf(`{"resourceType":"Schedule","id":"s%d","actor":[{"reference":"Practitioner/p1"}]}`, n+1)
	case "Practitioner":
		return fmt.Sprintf(`{"resourceType":"Practitioner","id":"p%d","name":[{"family":"Ng"}]}`, n+1)
	default:
		return fmt.Sprintf(`{"resourceType":%q,"id":%q}`, kind, id)
	}
}

// hostile answers everything with one resource and what the test says is next,
// where the type is among those that are meant; and counts tokens that come.
func hostile(kinds string, next func(r *http.Request, n int) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, op, _ := strings.Cut(strings.Trim(strings.TrimPrefix(r.URL.Path, "/fhir"), "/"), "/")
		if op == "$find" {
			kind = "Appointment"
		}
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		link := ""
		if strings.Contains(" "+kinds+" ", " "+kind+" ") {
			link = next(r, n)
		}
		page(w, -1, link, oneOfEach(kind, n))
	}
}

// astray are all calls whose answers come in pages, and the type that is paged.
func astray() map[string]struct {
	kinds string
	bend  func(*Options)
	ask   func(*testing.T, *Client) error
} {
	slots := func(t *testing.T, c *Client) error {
		got, err := c.Fetch(t.Context(), ahead(noon, 2))
		if err == nil && got.Complete {
			err = errors.New("it is complete")
		}
		return err
	}
	speaks := func(dialect string, release scheduling.Release) func(*Options) {
		return func(o *Options) { o.Dialect, o.FHIR = dialect, release }
	}
	type row = struct {
		kinds string
		bend  func(*Options)
		ask   func(*testing.T, *Client) error
	}
	find := func(release scheduling.Release) func(*Options) {
		return func(o *Options) { o.Dialect, o.FHIR, o.Quirks.NoPrefetch = Argonaut, release, true }
	}
	return map[string]row{
		"slots, R4":                {"Slot", speaks(Slots, scheduling.R4), slots},
		"slots, STU3":              {"Slot", speaks(Slots, scheduling.STU3), slots},
		"argonaut $prefetch, R4":   {"Slot", speaks(Argonaut, scheduling.R4), slots},
		"argonaut $prefetch, STU3": {"Slot", speaks(Argonaut, scheduling.STU3), slots},
		"argonaut $find, R4":       {"Appointment", find(scheduling.R4), slots},
		"argonaut $find, STU3":     {"Appointment", find(scheduling.STU3), slots},
		"ihe $find":                {"Appointment", speaks(IHE, scheduling.R4), slots},
		"epic $find":               {"Appointment", speaks(Epic, scheduling.STU3), slots},
		"the directory": {"Practitioner PractitionerRole Location Organization HealthcareService Schedule", speaks(Slots, scheduling.R4), func(t *testing.T, c *Client) error {
			_, _, err := c.Directory(t.Context())
			return err
		}},
		"a list of appointments": {"Appointment", speaks(Slots, scheduling.R4), func(t *testing.T, c *Client) error {
			_, err := appointmentSearch{client: c, lane: laneRead}.all(t.Context(), url.Values{"patient": {"Patient/p"}})
			if scheduling.CodeOf(err) != scheduling.SourceNonsense {
				return fmt.Errorf("a list that is not whole: %w", err)
			}
			return nil
		}},
	}
}

func TestLaw11NoNextLinkLeadsAstray(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) {
		page(w, -1, "", oneOfEach("Slot", 7), oneOfEach("Appointment", 7))
	})
	host := strings.TrimSuffix(strings.TrimPrefix(other.base, "http://"), "/fhir")
	const path = "/fhir/Slot?page=1"
	for name, tc := range map[string]struct {
		next func(r *http.Request, n int) string
		why  stray
	}{
		"another port":                  {always("http://" + host + path), nextElsewhere},
		"another name of this machine":  {func(r *http.Request, _ int) string { return "http://localhost:" + portOf(r.Host) + path }, nextElsewhere},
		"a private address":             {always("http://10.0.0.1/fhir/Slot?page=1"), nextElsewhere},
		"the address of a cloud":        {always("http://169.254.169.254/latest/meta-data/iam"), nextElsewhere},
		"an IPv6 literal":               {func(r *http.Request, _ int) string { return "http://[::1]:" + portOf(r.Host) + path }, nextElsewhere},
		"an IPv6 literal with a zone":   {always("http://[fe80::1%25eth0]/fhir/Slot?page=1"), nextElsewhere},
		"IPv4 as IPv6":                  {func(r *http.Request, _ int) string { return "http://[::ffff:127.0.0.1]:" + portOf(r.Host) + path }, nextElsewhere},
		"IPv4 as a number":              {func(r *http.Request, _ int) string { return "http://2130706433:" + portOf(r.Host) + path }, nextElsewhere},
		"TLS where there was none":      {func(r *http.Request, _ int) string { return "https://" + r.Host + path }, nextElsewhere},
		"another protocol":              {func(r *http.Request, _ int) string { return "ftp://" + r.Host + path }, nextElsewhere},
		"a file":                        {always("file:///etc/passwd"), nextElsewhere},
		"a script":                      {always("javascript:alert(1)"), nextElsewhere},
		"a scheme without an authority": {func(r *http.Request, _ int) string { return "http:" + host + path }, nextElsewhere},
		"no scheme":                     {always("//" + host + path), nextElsewhere},
		"a user at another":             {always("http://ehr:s3cret@" + host + path), nextElsewhere},
		"our host as user of another":   {func(r *http.Request, _ int) string { return "http://" + r.Host + "@" + host + path }, nextElsewhere},
		"our host as beginning of another": {func(r *http.Request, _ int) string {
			return "http://" + strings.Replace(r.Host, ":", ".evil.example:", 1) + path
		}, nextElsewhere},
		"port 0":                     {func(r *http.Request, _ int) string { return "http://" + hostOf(r.Host) + ":0" + path }, nextElsewhere},
		"no port":                    {func(r *http.Request, _ int) string { return "http://" + hostOf(r.Host) + path }, nextElsewhere},
		"a unicode host":             {always("http://еhr.example" + path), nextElsewhere},
		"full width digits":          {func(r *http.Request, _ int) string { return "http://１２７.0.0.1:" + portOf(r.Host) + path }, nextElsewhere},
		"a doubled port":             {func(r *http.Request, _ int) string { return "http://" + r.Host + ":443" + path }, nextUnreadable},
		"a port too large":           {func(r *http.Request, _ int) string { return "http://" + hostOf(r.Host) + ":99999999" + path }, nextElsewhere},
		"a backslash":                {func(r *http.Request, _ int) string { return `http://` + host + `\@` + r.Host + path }, nextUnreadable},
		"a line break":               {func(r *http.Request, _ int) string { return "http://" + r.Host + path + "\r\nX-Evil: 1" }, nextUnreadable},
		"a megabyte":                 {func(r *http.Request, _ int) string { return "?page=1&x=" + strings.Repeat("a", 1<<20) }, nextTooLong},
		"itself":                     {func(r *http.Request, _ int) string { return "http://" + r.Host + r.URL.RequestURI() }, nextCircle},
		"itself, relative":           {func(r *http.Request, n int) string { return "?page=" + strconv.Itoa(n) }, nextCircle},
		"itself, but for a fragment": {func(r *http.Request, n int) string { return "?page=1#" + strconv.Itoa(n) }, nextCircle},
		"a circle of three":          {func(r *http.Request, n int) string { return "?page=" + strconv.Itoa(1+n%3) }, nextCircle},
		"no end":                     {func(r *http.Request, n int) string { return "?page=" + strconv.Itoa(n+1) }, nextEndless},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for call, kind := range astray() {
				c := client(t, serve(t, hostile(kind.kinds, tc.next)), func(o *Options) {
					utc(o)
					bearer("s3cret")(o)
					kind.bend(o)
					o.Limits.MaxPages = 12
				})
				if err := kind.ask(t, c); err != nil {
					t.Errorf("%s: %v", call, err)
				}
				n := c.RefusedLinks()
				if tc.why == nextCircle { // by its address or by what it holds
					n[string(nextCircle)] += n[string(nextRepeats)]
					delete(n, string(nextRepeats))
				}
				if n[string(tc.why)] == 0 || len(n) != 1 {
					t.Errorf("%s: refused %v, want %s", call, n, tc.why)
				}
			}
		})
	}
	t.Cleanup(func() {
		if other.calls.Load() != 0 || other.tokens.Load() != 0 {
			t.Errorf("another origin got %d calls, %d of them with a token", other.calls.Load(), other.tokens.Load())
		}
	})
}

func always(link string) func(*http.Request, int) string {
	return func(*http.Request, int) string { return link }
}

func portOf(host string) string { return host[strings.LastIndex(host, ":")+1:] }

func hostOf(host string) string { return host[:strings.LastIndex(host, ":")] }

// One that stands where a page, a record, a file, a token or a receipt should be
// leads nowhere, whatever its status.
func TestLaw11NoRedirectLeadsAstray(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) { page(w, -1, "", oneOfEach("Slot", 7)) })
	channel := scheduling.Channel{Endpoint: "https://slots.example.org/notify/src", Header: "Authorization: Bearer x"}
	calls := map[string]struct {
		bend func(*Options)
		ask  func(*Client) error
	}{
		"slots":                   {nil, func(c *Client) error { _, err := c.Fetch(t.Context(), ahead(noon, 2)); return err }},
		"the directory":           {nil, func(c *Client) error { _, _, err := c.Directory(t.Context()); return err }},
		"the CapabilityStatement": {nil, func(c *Client) error { _, err := c.Metadata(t.Context()); return err }},
		"a list of appointments": {nil, func(c *Client) error {
			_, err := appointmentSearch{client: c, lane: laneRead}.all(t.Context(), url.Values{"patient": {"Patient/p"}})
			return err
		}},
		"an appointment": {nil, func(c *Client) error { _, err := c.Read(t.Context(), "a1", scheduling.ForRead); return err }},
		"a Subscription": {nil, func(c *Client) error { _, err := c.ReadSubscription(t.Context(), "s1"); return err }},
		"Subscriptions":  {nil, func(c *Client) error { _, err := c.FindSubscriptions(t.Context(), channel); return err }},
		"a new one":      {nil, func(c *Client) error { _, err := c.Subscribe(t.Context(), channel, noon.Add(time.Hour)); return err }},
		"the manifest":   {func(o *Options) { o.Dialect, o.FHIR = Links, scheduling.R4 }, func(c *Client) error { _, err := c.Fetch(t.Context(), ahead(noon, 2)); return err }},
		"a $find of ihe": {func(o *Options) { o.Dialect, o.FHIR = IHE, scheduling.R4 }, func(c *Client) error { _, err := c.Fetch(t.Context(), ahead(noon, 2)); return err }},
		"a POST /_search": {nil, func(c *Client) error {
			_, err := c.FindPatients(t.Context(), scheduling.PatientQuery{BirthDate: "1980-01-01"})
			return err
		}},
	}
	for name, tc := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{301, 302, 303, 307, 308} {
				for _, to := range []string{other.base + "/Slot", "//" + strings.TrimPrefix(other.base, "http://"), "https://127.0.0.1:1/fhir", "http://169.254.169.254/latest"} {
					c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Location", to)
						w.WriteHeader(status)
					}), func(o *Options) {
						bearer("s3cret")(o)
						o.Limits.Retries = new(int)
						if tc.bend != nil {
							tc.bend(o)
						}
					})
					if err := tc.ask(c); err == nil || strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "169.254") {
						t.Errorf("%d to %s: %v", status, to, err)
					}
					n := c.RefusedLinks()
					if n[string(redirectElsewhere)]+n[string(redirectLoop)]+n[string(redirectWrite)] == 0 || len(n) != 1 {
						t.Errorf("%d to %s: refused %v", status, to, n)
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		if other.calls.Load() != 0 || other.tokens.Load() != 0 {
			t.Errorf("another origin got %d calls, %d of them with a token", other.calls.Load(), other.tokens.Load())
		}
	})
}

func TestLaw11AManifestLeadsToNoOtherOrigin(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, oneOfEach("Slot", 7)) })
	host := strings.TrimSuffix(strings.TrimPrefix(other.base, "http://"), "/fhir")
	for name, tc := range map[string]struct {
		file string
		why  stray
	}{
		"another port":              {"http://" + host + "/slots.ndjson", fileElsewhere},
		"no scheme":                 {"//" + host + "/slots.ndjson", fileElsewhere},
		"a private address":         {"http://10.0.0.1/slots.ndjson", fileElsewhere},
		"a user":                    {"http://ehr:x@" + host + "/slots.ndjson", fileElsewhere},
		"TLS where there was none":  {"https://" + host + "/slots.ndjson", fileElsewhere},
		"a file of ours":            {"file:///etc/passwd", fileElsewhere},
		"a redirect to another":     {"moved", redirectElsewhere},
		"a redirect without an end": {"round", redirectLoop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "$bulk-publish"):
					_, _ = fmt.Fprintf(w, `{"transactionTime":"2026-02-03T00:00:00Z","request":"x","output":[{"type":"Slot","url":%q}]}`, tc.file)
				case strings.HasSuffix(r.URL.Path, "moved"):
					http.Redirect(w, r, "http://"+host+"/slots.ndjson", http.StatusFound)
				default:
					http.Redirect(w, r, r.URL.Path, http.StatusFound)
				}
			}), func(o *Options) {
				bearer("s3cret")(o)
				o.Dialect, o.FHIR, o.Limits.Retries = Links, scheduling.R4, new(int)
			})
			got, err := c.Fetch(t.Context(), ahead(noon, 2))
			if n := c.RefusedLinks(); err == nil && got.Complete || n[string(tc.why)] == 0 || len(n) != 1 {
				t.Errorf("%v, complete %v, refused %v", err, got.Complete, n)
			}
		})
	}
	t.Cleanup(func() {
		if other.calls.Load() != 0 || other.tokens.Load() != 0 {
			t.Errorf("another origin got %d calls, %d of them with a token", other.calls.Load(), other.tokens.Load())
		}
	})
}

// A page that sends browsers elsewhere is no answer, and the operator sees by
// reason what was not followed.
func TestLaw11AMetaRefreshIsNonsenseAndRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	answers := atomic.Pointer[http.HandlerFunc]{}
	set := func(h http.HandlerFunc) { answers.Store(&h) }
	set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Refresh", "0; url="+other.base)
		w.Header().Set("Link", "<"+other.base+">; rel=next")
		w.Header().Set("Content-Location", other.base)
		_, _ = fmt.Fprintf(w, `<html><head><meta http-equiv="refresh" content="0; url=%s"></head></html>`, other.base)
	})
	reg := prometheus.NewRegistry()
	o := Options{ID: "src", Base: serve(t, func(w http.ResponseWriter, r *http.Request) { (*answers.Load())(w, r) }), Dialect: Slots}
	quick(&o)
	bearer("s3cret")(&o)
	o.Limits.Retries, o.Limits.BreakerFailures = new(int), 1000
	c := registered(t, o, Deps{Registerer: reg})
	if _, err := c.Fetch(t.Context(), ahead(noon, 2)); scheduling.CodeOf(err) != scheduling.SourceNonsense || len(c.RefusedLinks()) != 0 {
		t.Errorf("%v, %v", err, c.RefusedLinks())
	}
	set(hostile("Slot", always(other.base+"/Slot?page=2")))
	got, err := c.Fetch(t.Context(), ahead(noon, 2))
	if err != nil || got.Complete || c.RefusedLinks()[string(nextElsewhere)] != 1 {
		t.Errorf("%v, complete %v, %v", err, got.Complete, c.RefusedLinks())
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var counted []string
	for _, family := range families {
		if family.GetName() == "slotgate_upstream_refused_links_total" {
			for _, m := range family.GetMetric() {
				counted = append(counted, fmt.Sprint(m.GetLabel(), m.GetCounter().GetValue()))
			}
		}
	}
	if len(counted) != 1 || !strings.Contains(counted[0], string(nextElsewhere)) || !strings.HasSuffix(counted[0], "1") {
		t.Errorf("counted %v", counted)
	}
	if other.calls.Load() != 0 {
		t.Errorf("%d calls", other.calls.Load())
	}
}

// A login that is sent on is refused: the secret stays here.
func TestLaw11ASecretIsNotSentOnByTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"access_token":"theirs","token_type":"Bearer","expires_in":600}`)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.base+"/token", status) })
		c := client(t, base, func(o *Options) {
			o.Auth = token.Options{Kind: token.ClientSecret, ClientID: "us", ClientSecret: secret("s3cret"), TokenURL: base + "/token"}
			o.Limits.Retries = new(int)
		})
		if err := c.Login(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if other.calls.Load() != 0 {
		t.Errorf("another origin got %d logins", other.calls.Load())
	}
}
