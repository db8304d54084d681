package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"slotgate/upstream/ehrsim"
)

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
