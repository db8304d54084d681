package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
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
				{Token: tokenOne, Patient: "pat-1"}, {Token: tokenTwo, Patient: "pat-2"},
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

func TestLaw13AUserTokenOpensItsOwnPatientOnly(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u := h.user(1)
	offers := h.slots(t, "napa", 3)
	booking := "/fhir/r4/Appointment/" + offers[0].offer + "/$book"
	for what, c := range map[string]struct {
		token string
		code  int
		says  string
	}{
		"no token":                     {"", 404, "unknown-id"},
		"a token of another patient":   {tokenTwo, 403, "forbidden"},
		"a token that is over":         {tokenOver, 401, "unauthorized"},
		"a token of another source":    {tokenYork, 401, "unauthorized"},
		"a token of nobody":            {"made-up-just-now", 401, "unauthorized"},
		"a JWT that says another":      {jwtOf(`{"patient":"pat-2"}`), 403, "forbidden"},
		"a JWT that says it, unsigned": {jwtOf(`{"patient":"pat-1"}`), 401, "unauthorized"},
	} {
		wantAnswer(t, what+", book", u.with(t, c.token, http.MethodPost, booking, bookOne), c.code, c.says)
		wantAnswer(t, what+", hold", u.with(t, c.token, http.MethodPost, strings.Replace(booking, "$book", "$hold", 1), bookOne), c.code, c.says)
		wantAnswer(t, what+", patient", u.with(t, c.token, http.MethodGet, "/fhir/r4/Patient/pat-1?source=napa", ""), c.code, c.says)
		if c.token != "" {
			wantAnswer(t, what+", list", u.with(t, c.token, http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=napa", ""), c.code, c.says)
		}
	}
	if n := len(h.sims["napa"].Book()); n != 0 {
		t.Fatalf("%d lines in the book of napa", n)
	}
	if got := matches(t, u.with(t, "", http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=napa", "")); len(got) != 0 {
		t.Fatalf("without a token: %v", got)
	}
	a := u.with(t, tokenOne, http.MethodPost, booking, bookOne)
	wantAnswer(t, "the patient's own token", a, 200, "")
	if a.status != "booked" {
		t.Fatalf("%s\n%s", a, a.raw)
	}
	wantAnswer(t, "another session", h.user(2).with(t, tokenOne, http.MethodGet, "/fhir/r4/Appointment/"+a.id, ""), 404, "unknown-id")
	wantAnswer(t, "a hold", u.with(t, tokenOne, http.MethodPost, "/fhir/r4/Appointment/"+offers[1].offer+"/$hold", bookOne), 200, "")
	// The list has both under our ids, once.
	list := matches(t, u.with(t, tokenOne, http.MethodGet, "/fhir/r4/Appointment?patient=Patient/pat-1&source=napa", ""))
	if len(list) != 2 || !slices.ContainsFunc(list, func(r map[string]any) bool { return r["id"] == a.id }) {
		t.Fatalf("listed: %v", list)
	}
}

func TestLaw13AnEHRsPatientsAreShownToTheirUsersAndToTrustedCallers(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u := h.user(1)
	for _, base := range []string{"/fhir/r4", "/fhir/stu3"} {
		a := u.with(t, tokenOne, http.MethodGet, base+"/Patient/pat-1?source=napa", "")
		wantAnswer(t, "read", a, 200, "")
		if !strings.Contains(a.raw, `"id":"pat-1"`) || !strings.Contains(a.raw, "Winters") || strings.Contains(a.raw, `"text":{"status"`) {
			t.Fatalf("%s", a.raw)
		}
		for _, query := range []string{"", "&family=winters", "&identifier=urn:ehrsim:mrn%7C1001", "&birthdate=1964-06-19&gender=female"} {
			found := matches(t, u.with(t, tokenOne, http.MethodGet, base+"/Patient?source=napa"+query, ""))
			if len(found) != 1 || found[0]["id"] != "pat-1" || found[0]["fullUrl"] != h.bases["napa"]+"/Patient/pat-1" {
				t.Fatalf("%s: %v", query, found)
			}
		}
		a = u.with(t, tokenOne, http.MethodPost, base+"/Patient/_search?source=napa", "family=Falk", "Content-Type", "application/x-www-form-urlencoded")
		if found := matches(t, a); len(found) != 0 {
			t.Fatalf("somebody else's: %v", found)
		}
	}
	wantAnswer(t, "search without a token", u.with(t, "", http.MethodGet, "/fhir/r4/Patient?source=napa&family=winters", ""), 403, "forbidden")
	trusted := []string{"Authorization", "Bearer trusted-key"}
	wantAnswer(t, "trusted, read", u.with(t, "", http.MethodGet, "/fhir/r4/Patient/pat-2?source=napa", "", trusted...), 200, "")
	wantAnswer(t, "trusted, nobody", u.with(t, "", http.MethodGet, "/fhir/r4/Patient/pat-200?source=napa", "", trusted...), 404, "unknown-id")
	wantAnswer(t, "trusted, elsewhere", u.with(t, "", http.MethodGet, "/fhir/r4/Patient/pat-2?source=york", "", trusted...), 404, "unknown-id")
	wantAnswer(t, "trusted, everybody", u.with(t, "", http.MethodGet, "/fhir/r4/Patient?source=napa&gender=male", "", trusted...), 422, "missing-data")
	wantAnswer(t, "trusted, with another's token", u.with(t, tokenOne, http.MethodGet, "/fhir/r4/Patient/pat-2?source=napa", "", trusted...), 403, "forbidden")
	if found := matches(t, u.with(t, "", http.MethodGet, "/fhir/r4/Patient?source=napa&family=falk", "", trusted...)); len(found) != 1 {
		t.Fatalf("trusted, search: %v", found)
	}
	for _, r := range h.sims["napa"].Requests(0) {
		if strings.Contains(r.Path+r.Query, "Winters") || strings.Contains(r.Query, "family") {
			t.Fatalf("demographics in an address: %s?%s", r.Path, r.Query)
		}
	}
}

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

func TestLaw13WhatWasMadeElsewhereIsReadAndCancelledByItsUserOnly(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, napa := h.user(1), h.sims["napa"]
	id, native := elsewhere(t, h, u, tokenOne)
	at := "/fhir/r4/Appointment/" + id
	jsonPatch := []string{"Content-Type", "application/json-patch+json"}
	for what, c := range map[string]struct {
		by    user
		token string
		code  int
	}{
		"no token":         {u, "", 404},
		"another's token":  {u, tokenTwo, 403},
		"one that is over": {u, tokenOver, 401},
		"another session":  {h.user(2), tokenOne, 404},
	} {
		wantAnswer(t, what+", read", c.by.with(t, c.token, http.MethodGet, at, ""), c.code, "")
		wantAnswer(t, what+", cancel", c.by.with(t, c.token, http.MethodPatch, at, testedPatch, jsonPatch...), c.code, "")
	}
	a := u.with(t, tokenOne, http.MethodGet, at, "")
	wantAnswer(t, "read", a, 200, "")
	if a.status != "booked" || strings.Contains(a.raw, native) && native != id {
		t.Fatalf("%s\n%s", a, a.raw)
	}
	wantAnswer(t, "a stale If-Match", u.with(t, tokenOne, http.MethodPatch, at, testedPatch, append(jsonPatch, "If-Match", `W/"1"`)...), 412, "")
	wantAnswer(t, "a test that fails", u.with(t, tokenOne, http.MethodPatch, at, strings.Replace(testedPatch, `"booked"`, `"pending"`, 1), jsonPatch...), 409, "")
	if now, _ := napa.Appointment(native); now.Status != "booked" {
		t.Fatalf("it was touched: %s", now.Status)
	}
	etag := a.header.Get("ETag")
	wantAnswer(t, "cancel", u.with(t, tokenOne, http.MethodPatch, at, testedPatch, append(jsonPatch, "If-Match", etag, "Idempotency-Key", "once-1")...), 200, "")
	if now, _ := napa.Appointment(native); now.Status != "cancelled" {
		t.Fatalf("napa has it %s", now.Status)
	}
	plain := strings.Replace(testedPatch, `{"op":"test","path":"/status","value":"booked"},`, "", 1)
	wantAnswer(t, "again, under its key", u.with(t, tokenOne, http.MethodPatch, at, testedPatch, append(jsonPatch, "If-Match", etag, "Idempotency-Key", "once-1")...), 200, "")
	wantAnswer(t, "again", u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...), 200, "")
	if now, _ := napa.Appointment(native); len(now.History) != 2 {
		t.Fatalf("it was cancelled more than once: %+v", now.History)
	}
	for _, r := range napa.Requests(0) {
		if r.Method == http.MethodPatch && r.Bearer != napa.Carried(tokenOne)[0].Bearer {
			t.Fatal("it was cancelled with another login than the user's")
		}
	}
}

func TestLaw1ACancelOfWhatWasMadeElsewhereIsToldOnlyOnceItIsSeen(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, napa := h.user(1), h.sims["napa"]
	jsonPatch := []string{"Content-Type", "application/json-patch+json"}
	plain := `[{"op":"replace","path":"/status","value":"cancelled"}]`
	for _, c := range []struct {
		fault  ehrsim.FaultKind
		status int
		ends   string
	}{
		{ehrsim.FaultCommitLost, 200, "cancelled"},
		{ehrsim.FaultCommitNonsense, 200, "cancelled"},
		{ehrsim.FaultLost, 202, "booked"},
		{ehrsim.FaultFalseCancel, 202, "booked"},
		{ehrsim.FaultRefuse, 409, "booked"},
	} {
		id, native := elsewhere(t, h, u, tokenOne)
		at := "/fhir/r4/Appointment/" + id
		fault := ehrsim.Fault{Kind: c.fault, On: "cancel", Count: 1}
		want := c.status
		if c.fault == ehrsim.FaultRefuse {
			fault.Shape, want = "unprocessable", 422
			if !slices.Contains(ehrsim.RefusalShapes(), fault.Shape) {
				fault.Shape, want = "conflict", 502
			}
		}
		if _, err := napa.SetFaults(fault); err != nil {
			t.Fatal(err)
		}
		a := u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...)
		wantAnswer(t, string(c.fault), a, want, "")
		if now, _ := napa.Appointment(native); now.Status != c.ends {
			t.Fatalf("%s: napa has it %s", c.fault, now.Status)
		}
		if want != 202 {
			continue
		}
		if a.header.Get("Location") == "" || a.header.Get("Retry-After") == "" || !a.doubt {
			t.Fatalf("%s: in doubt as %v\n%s", c.fault, a.header, a.raw)
		}
		// While it is in doubt nothing is sent again.
		sent := len(napa.Carried(tokenOne))
		wantAnswer(t, "again", u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...), 202, "")
		for _, r := range napa.Carried(tokenOne)[sent:] {
			if r.Method == http.MethodPatch {
				t.Fatalf("%s: it was sent again", c.fault)
			}
		}
		if a := u.with(t, tokenOne, http.MethodGet, at, ""); a.code != 200 || !a.doubt {
			t.Fatalf("read: %s\n%s", a, a.raw)
		}
		// Past the doubt it is what the EHR says, and may be cancelled anew.
		eventually(t, func() error {
			a := u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...)
			if a.code != 200 || a.status != "cancelled" {
				return fmt.Errorf("%s: %s", c.fault, a)
			}
			return nil
		})
		if now, _ := napa.Appointment(native); now.Status != "cancelled" {
			t.Fatalf("%s: napa has it %s in the end", c.fault, now.Status)
		}
	}
}

func TestLaw13ATrustedCallerSeesWhatWasMadeElsewhere(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, trusted := h.user(1), []string{"Authorization", "Bearer trusted-key"}
	id, native := elsewhere(t, h, u, "", trusted...)
	at := "/fhir/stu3/Appointment/" + id
	wantAnswer(t, "read", u.with(t, "", http.MethodGet, at, "", trusted...), 200, "")
	wantAnswer(t, "read by another caller", u.with(t, "", http.MethodGet, at, ""), 404, "unknown-id")
	a := u.with(t, "", http.MethodPatch, at, testedPatch, append(trusted, "Content-Type", "application/json-patch+json")...)
	wantAnswer(t, "cancel", a, 200, "")
	if now, _ := h.sims["napa"].Appointment(native); now.Status != "cancelled" {
		t.Fatalf("napa has it %s", now.Status)
	}
	if all := matches(t, u.with(t, "", http.MethodGet, "/fhir/r4/Appointment?patient=pat-1", "", trusted...)); len(all) != 0 {
		t.Fatalf("without a source only what was made through us is listed: %v", all)
	}
	wantAnswer(t, "book", u.with(t, "", http.MethodPost, "/fhir/r4/Appointment/"+h.slots(t, "napa", 2)[1].offer+"/$book", bookOne, trusted...), 200, "")
}

func TestLaw13ATokenProvesNothingWhereNobodyLooksAtIt(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, offer := h.user(1), h.slots(t, "open", 1)[0].offer
	for _, path := range []string{"/fhir/r4/Patient/pat-1?source=open", "/fhir/r4/Patient?source=open&family=winters", "/fhir/r4/Appointment?patient=pat-1&source=open"} {
		a := u.with(t, "anything", http.MethodGet, path, "")
		wantAnswer(t, path, a, 501, "not-supported")
		if strings.Contains(a.raw, "Winters") {
			t.Fatal("somebody is shown")
		}
	}
	wantAnswer(t, "book", u.with(t, "anything", http.MethodPost, "/fhir/r4/Appointment/"+offer+"/$book", bookOne), 501, "not-supported")
	if n := len(h.sims["open"].Book()); n != 0 {
		t.Fatalf("%d lines in the book", n)
	}
}

func TestLaw11AUserTokenGoesToItsOwnSourceOnly(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, napa := h.user(1), h.sims["napa"]
	id, _ := elsewhere(t, h, u, tokenOne)
	offer := h.slots(t, "napa", 3)[2].offer
	wantAnswer(t, "hold", u.with(t, tokenOne, http.MethodPost, "/fhir/r4/Appointment/"+offer+"/$hold", bookOne), 200, "")
	wantAnswer(t, "book", u.with(t, tokenOne, http.MethodPost, "/fhir/r4/Appointment/"+offer+"/$book", bookOne), 200, "")
	wantAnswer(t, "cancel", u.with(t, tokenOne, http.MethodPatch, "/fhir/r4/Appointment/"+id, testedPatch, "Content-Type", "application/json-patch+json"), 200, "")
	if _, err := napa.AddFaults(ehrsim.Fault{Kind: ehrsim.FaultForeignNext, Path: "/Appointment", Link: h.bases["open"] + "/Appointment"}); err != nil {
		t.Fatal(err)
	}
	_ = u.with(t, tokenOne, http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=napa", "")
	wantAnswer(t, "at another source", u.with(t, tokenYork, http.MethodGet, "/fhir/r4/Patient/pat-1?source=york", ""), 200, "")
	for _, name := range []string{"york", "open"} {
		if got := h.sims[name].Carried(tokenOne); len(got) > 0 {
			t.Fatalf("%s has seen the token of napa's user: %+v", name, got)
		}
	}
	if got := napa.Carried(tokenYork); len(got) > 0 {
		t.Fatalf("napa has seen the token of york's user: %+v", got)
	}
	own := map[string]bool{}
	for _, token := range []string{ownNapa, tokenOne} {
		for _, r := range napa.Carried(token) {
			own[r.Bearer] = true
		}
	}
	for _, r := range napa.Requests(0) {
		switch users := slices.ContainsFunc(napa.Carried(tokenOne), func(c ehrsim.Request) bool { return c.N == r.N }); {
		case users && !slices.Contains([]string{"Patient", "Appointment"}, strings.Split(strings.TrimPrefix(r.Path, "/"), "/")[0]),
			users && slices.Contains([]string{"hold", "book", "find"}, r.Doing):
			t.Fatalf("the user's token stood in for our login: %s %s", r.Method, r.Path)
		case !users && !own[r.Bearer] && r.Path != "/metadata" && r.Status != http.StatusUnauthorized:
			t.Fatalf("asked with neither: %s %s", r.Method, r.Path)
		}
	}
}

func TestLaw10AUserTokenIsKeptNowhere(t *testing.T) {
	t.Parallel()
	h, log := usersHouse(t)
	u := h.user(1)
	var said strings.Builder
	id, _ := elsewhere(t, h, u, tokenOne)
	offer := h.slots(t, "napa", 3)[2].offer
	for _, token := range []string{tokenOne, tokenTwo, tokenOver, tokenYork} {
		for _, c := range []struct{ method, path, body string }{
			{http.MethodGet, "/fhir/r4/Patient/pat-1?source=napa", ""},
			{http.MethodGet, "/fhir/r4/Patient?source=napa&family=winters", ""},
			{http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=napa", ""},
			{http.MethodGet, "/fhir/r4/Appointment/" + id, ""},
			{http.MethodGet, "/fhir/r4/Appointment?patient=pat-1", ""},
			{http.MethodPost, "/fhir/r4/Appointment/" + offer + "/$book", bookOne},
		} {
			a := u.with(t, token, c.method, c.path, c.body)
			said.WriteString(a.raw + fmt.Sprint(a.header))
		}
	}
	all := log.String() + said.String() + h.metricsText(t) + redisText(t, h.file.Redis.URL)
	for _, secret := range []string{"user-token-of", url.QueryEscape("user-token-of"), ownNapa} {
		if at := strings.Index(all, secret); at >= 0 {
			t.Fatalf("%s is there: %.200s", secret, all[max(0, at-100):])
		}
	}
	if inRedis := redisText(t, h.file.Redis.URL); strings.Contains(inRedis, "pat-1") || strings.Contains(inRedis, "Winters") {
		t.Fatal("a patient is in Redis in clear")
	}
	if !strings.Contains(log.String(), "requestId") {
		t.Fatal("nothing was logged: nothing is proved")
	}
	if strings.Contains(log.String(), "booking alarm") || strings.Contains(h.metricsText(t), `code="source-login"`) {
		t.Fatal("a user's token that is refused is no fault of our login")
	}
}

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

func TestAUsersTokenThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u := h.user(1)
	ask := func(path string, tokens ...string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.nodes[0].public.url()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer demo")
		req.Header.Set("X-Slotgate-Session", u.session)
		for _, token := range tokens {
			req.Header.Add(userHeader, token)
		}
		res, err := h.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		a := answer{code: res.StatusCode, header: res.Header, raw: readAll(t, res.Body)}
		a.read([]byte(a.raw))
		return a
	}
	one := "/fhir/r4/Patient/pat-1?source=napa"
	for what, a := range map[string]answer{
		"two headers":     ask(one, "Bearer "+tokenOne, "Bearer "+tokenOne),
		"two in one":      ask(one, "Bearer "+tokenOne+", Bearer "+tokenOne),
		"another scheme":  ask(one, "Basic abc"),
		"no scheme":       ask(one, tokenOne),
		"no token":        ask(one, "Bearer "),
		"an empty header": ask(one, ""),
		"a space within":  ask(one, "Bearer a b"),
		"not ASCII":       ask(one, "Bearer \u00e9"),
		"no source":       ask("/fhir/r4/Patient/pat-1", "Bearer "+tokenOne),
		"no source, list": ask("/fhir/r4/Appointment?patient=pat-1", "Bearer "+tokenOne),
		"two sources":     ask("/fhir/r4/Appointment?patient=pat-1&source=napa,york", "Bearer "+tokenOne),
		"search of none":  ask("/fhir/r4/Patient?family=winters", "Bearer "+tokenOne),
	} {
		wantAnswer(t, what, a, 400, "bad-request")
	}
	wantAnswer(t, "an unknown source", ask("/fhir/r4/Patient/pat-1?source=nowhere", "Bearer "+tokenOne), 404, "unknown-id")
	if a := ask(one, "Bearer "+strings.Repeat("x", 17<<10)); a.code != 400 && a.code != 431 {
		t.Fatalf("a huge one: %s", a)
	}
	wantAnswer(t, "a registration", u.with(t, tokenOne, http.MethodPost, "/fhir/r4/Patient", `{"resourceType":"Patient"}`), 400, "bad-request")
	wantAnswer(t, "without a key", u.with(t, tokenOne, http.MethodGet, one, "", "Authorization", ""), 401, "unauthorized")
	for _, sim := range h.sims {
		if got := sim.Carried(tokenOne); len(got) > 0 {
			t.Fatalf("a token was sent for a request that was refused: %+v", got)
		}
	}
	if _, err := h.sims["napa"].SetFaults(ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503}); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, "the EHR is down", ask(one, "Bearer "+tokenOne), 503, "source-down")
	a := ask("/fhir/r4/Appointment?patient=pat-1&source=napa", "Bearer "+tokenOne)
	if a.code != 200 || a.header.Get("X-Slotgate-Complete") != "false" {
		t.Fatalf("a list while the EHR is down: %s %v", a, a.header)
	}
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

func TestWhatAnotherCallerBookedForThePatientIsTheirsToCancelAtTheEHR(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	first, second := h.user(1), h.user(2)
	slot := h.slots(t, "york", 1)[0]
	a := first.with(t, tokenYork, http.MethodPost, "/fhir/r4/Appointment/"+slot.offer+"/$book", bookOne)
	wantAnswer(t, "book", a, 200, "")
	list := matches(t, second.with(t, tokenYork, http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=york", ""))
	if len(list) != 1 || list[0]["id"] == a.id {
		t.Fatalf("the other session sees %v", list)
	}
	c := second.with(t, tokenYork, http.MethodPatch, "/fhir/r4/Appointment/"+fmt.Sprint(list[0]["id"]), testedPatch, "Content-Type", "application/json-patch+json")
	wantAnswer(t, "cancel", c, 200, "")
	if c.status != "cancelled" {
		t.Fatalf("%s\n%s", c, c.raw)
	}
	if n := len(h.sims["york"].Appointments("booked")); n != 0 {
		t.Fatalf("york has %d", n)
	}
	// Our books know at once: whoever booked it reads no appointment that is gone.
	e, err := h.nodes[0].keeper.books.Read(t.Context(), slot.offer)
	if err != nil || e.State != scheduling.EntryCancelled {
		t.Fatalf("%s %v", e.State, err)
	}
}
