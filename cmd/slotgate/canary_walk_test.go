package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// guest is the canary at one gateway, one base, in one format.
type guest struct {
	a       *aviary
	t       *testing.T
	node    int
	base    string // r4, stu3
	xml     bool
	session string
	dying   string // the address of a gateway that will die
}

// heard is as much of an answer as the walk needs.
type heard struct {
	code int
	id   string // from Location
	body string
}

const patchJSON = "application/json-patch+json"

// ask sends a request and keeps what comes back. A header given replaces the
// guest's own; an empty one is not sent.
func (g guest) ask(method, path, body string, header ...string) heard {
	g.t.Helper()
	address := g.dying
	if address == "" {
		address = g.a.nodes[g.node].public.url()
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, address+"/fhir/"+g.base+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	kind := "application/fhir+json"
	if g.xml {
		kind = "application/fhir+xml"
	}
	own := []string{"Authorization", "Bearer " + canaryAPIKey, "X-Slotgate-Session", g.session, "Accept", kind}
	if body != "" {
		own = append(own, "Content-Type", kind)
	}
	for header := range slices.Chunk(append(own, header...), 2) {
		if header[1] == "" {
			req.Header.Del(header[0])
		} else {
			req.Header.Set(header[0], header[1])
		}
	}
	res, err := g.a.client.Do(req)
	if err != nil {
		return heard{}
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Errorf("%s %s: %v", method, path, err)
	}
	g.a.hear(res, data)
	location := res.Header.Get("Location")
	return heard{res.StatusCode, location[strings.LastIndex(location, "/")+1:], string(data)}
}

// want asks for one of some statuses. An EHR that was slow, or a booking that is
// in doubt, is asked again, as a client does that means to be served.
func (g guest) want(codes []int, method, path, body string, header ...string) heard {
	g.t.Helper()
	got := g.ask(method, path, body, header...)
	slow := g.dying == "" && passes(got.code)
	for deadline := time.Now().Add(2 * time.Minute); slow && !slices.Contains(codes, got.code) && time.Now().Before(deadline); {
		if !passes(got.code) && got.code != http.StatusConflict { // which passes too, when it comes of what was not answered
			break
		}
		time.Sleep(200 * time.Millisecond)
		if got = g.ask(method, path, body, header...); got.code == http.StatusOK && slices.Contains(codes, http.StatusCreated) {
			return got // the first request had done it
		}
	}
	if !slices.Contains(codes, got.code) {
		g.t.Errorf("%s at %s, XML %v: %s %.60s: %d, want %v: %.600s", g.session, g.base, g.xml, method, path, got.code, codes, got.body)
	}
	return got
}

// passes tells whether a status asks the client to come back. 0 is a connection
// that broke.
func passes(code int) bool {
	return code == 0 || code == http.StatusAccepted || code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
}

func is(codes ...int) []int { return codes }

// person is the canary as a Patient; another number is another person, 0 the
// one whose digests are looked for.
func (g guest) person(number int) string {
	n := ""
	if number > 0 {
		n = fmt.Sprint(number)
	}
	if g.xml {
		text := func(s string) string { return strings.NewReplacer("&", "&amp;", `"`, "&quot;").Replace(s) }
		return fmt.Sprintf(`<Patient xmlns="http://hl7.org/fhir"><identifier><system value="urn:canary:mrn"/><value value="%s"/></identifier>`+
			`<name><family value="%s"/><given value="%s"/><given value="%s"/></name>`+
			`<telecom><system value="phone"/><value value="%s"/></telecom><telecom><system value="email"/><value value="%s"/></telecom>`+
			`<gender value="female"/><birthDate value="%s"/><address><line value="%s"/><city value="%s"/></address></Patient>`,
			canaryID+n, canaryFamily+n, canaryGiven, canaryNickname, canaryPhone, canaryMail, canaryBirth, text(canaryLine), canaryFamily)
	}
	body, err := json.Marshal(map[string]any{
		"resourceType": "Patient", "gender": "female", "birthDate": canaryBirth,
		"identifier": []any{map[string]any{"system": "urn:canary:mrn", "value": canaryID + n}},
		"name":       []any{map[string]any{"family": canaryFamily + n, "given": []any{canaryGiven, canaryNickname}}},
		"telecom": []any{
			map[string]any{"system": "phone", "value": canaryPhone}, map[string]any{"system": "email", "value": canaryMail},
		},
		"address": []any{map[string]any{"line": []any{canaryLine}, "city": canaryFamily}},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return string(body)
}

// parameters are a Parameters resource of names and texts.
func (g guest) parameters(pairs ...string) string {
	var b strings.Builder
	for pair := range slices.Chunk(pairs, 2) {
		if g.xml {
			text := strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;").Replace(pair[1])
			fmt.Fprintf(&b, `<parameter><name value="%s"/><valueString value="%s"/></parameter>`, pair[0], text)
			continue
		}
		if b.Len() > 0 {
			b.WriteString(",")
		}
		text, _ := json.Marshal(pair[1])
		fmt.Fprintf(&b, `{"name":%q,"valueString":%s}`, pair[0], text)
	}
	if g.xml {
		return `<Parameters xmlns="http://hl7.org/fhir">` + b.String() + `</Parameters>`
	}
	return `{"resourceType":"Parameters","parameter":[` + b.String() + `]}`
}

const cancelPatch = `[{"op":"test","path":"/status","value":%q},{"op":"replace","path":"/status","value":"cancelled"}]`

// walk does everything that a patient can do. It needs six slots.
func (g guest) walk(slots []slot) {
	g.t.Helper()
	key := []string{"Idempotency-Key", canaryKey + "-register"}
	me := g.want(is(201), http.MethodPost, "/Patient", g.person(0), key...).id
	g.want(is(201), http.MethodPost, "/Patient", g.person(0), key...)
	for _, prefer := range []string{"return=minimal", "return=OperationOutcome", "return=representation"} {
		g.want(is(200), http.MethodPost, "/Patient", g.person(0), "Prefer", prefer)
	}
	g.want(is(200), http.MethodGet, "/Patient/"+me, "")
	for _, query := range []url.Values{
		{"identifier": {"urn:canary:mrn|" + canaryID}}, {"family": {canaryFamily}, "given": {canaryGiven}, "gender": {"female"}, "birthdate": {canaryBirth}},
	} {
		g.want(is(200), http.MethodGet, "/Patient?"+query.Encode(), "")
		g.want(is(200), http.MethodPost, "/Patient/_search", query.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	g.book(me, slots[0].offer, "")
	g.want(is(200), http.MethodPost, "/Appointment/"+slots[1].offer+"/$hold", g.parameters("patient-id", me), "Idempotency-Key", canaryKey+"-hold")
	g.book(me, slots[1].offer, slots[0].offer)
	g.want(is(200), http.MethodPatch, "/Appointment/"+slots[1].offer, fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON, "Idempotency-Key", canaryKey+"-cancel")
	g.want(is(200), http.MethodPost, "/Appointment/"+slots[2].offer+"/$hold", "")
	g.want(is(200), http.MethodPatch, "/Appointment/"+slots[2].offer, fmt.Sprintf(cancelPatch, "pending"), "Content-Type", patchJSON)
	g.byResource(me, slots[3].offer)
	g.insured(me, slots[4].offer)
	g.atOnce(slots[5].offer)
	g.want(is(204), http.MethodDelete, "/Patient/"+me, "")
	g.want(is(404), http.MethodGet, "/Patient/"+me, "")
}

// book holds, renews, books, repeats, reads and lists.
func (g guest) book(me, offer, replaces string) {
	g.t.Helper()
	at := "/Appointment/" + offer
	for range 2 {
		g.want(is(200), http.MethodPost, at+"/$hold", g.parameters("patient-id", me, "comment", canaryComment))
	}
	pairs := []string{"patient-id", me, "comment", canaryComment}
	if replaces != "" {
		pairs = append(pairs, "cancelled-appt-id", replaces)
	}
	key := []string{"Idempotency-Key", canaryKey + "-of-" + offer}
	for range 2 {
		g.want(is(200), http.MethodPost, at+"/$book", g.parameters(pairs...), key...)
	}
	g.want(is(200), http.MethodGet, at, "")
	g.want(is(200), http.MethodHead, at, "")
	g.want(is(200), http.MethodGet, "/Appointment?patient="+me, "")
	g.want(is(200), http.MethodPost, "/Appointment/_search", "patient=Patient/"+me+"&"+canaryParam+"=1", "Content-Type", "application/x-www-form-urlencoded")
}

// byResource books with a bare Appointment that has the patient's name beside
// the reference.
func (g guest) byResource(me, offer string) {
	g.t.Helper()
	comment, _ := json.Marshal(canaryComment)
	body := fmt.Sprintf(`{"resourceType":"Appointment","id":%q,"status":"proposed","comment":%s,"description":%q,
		"participant":[{"actor":{"reference":"Patient/%s","display":%q},"status":"accepted"}]}`, offer, comment, canaryFamily, me, canaryFamily)
	g.want(is(201), http.MethodPost, "/Appointment/$book", body, "Content-Type", "application/fhir+json")
	g.want(is(200), http.MethodPatch, "/Appointment/"+offer, fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON)
}

// elsewhere asks a source for its own, with a token of the user. It needs one
// slot.
func (g guest) elsewhere(at slot) {
	g.t.Helper()
	token := []string{"X-Source-Authorization", "Bearer " + canaryToken}
	form := append(token, "Content-Type", "application/x-www-form-urlencoded")
	here := "source=" + at.source
	wrong := "&identifier=" + canaryID
	for _, query := range []string{"&family=" + canaryFamily, "&family=" + canaryFamily + "&given=" + canaryGiven + "&birthdate=" + canaryBirth, wrong} {
		g.want(is(200, 403), http.MethodGet, "/Patient?"+here+query, "", token...)
		g.want(is(200, 403), http.MethodPost, "/Patient/_search", here+query, form...)
	}
	g.want(is(200), http.MethodGet, "/Patient/pat-1?"+here, "", token...)
	g.ask(http.MethodGet, "/Patient/pat-2?"+here, "", token...)
	g.want(is(200), http.MethodGet, "/Appointment?patient=pat-1&"+here, "", token...)
	g.ask(http.MethodGet, "/Appointment?patient=pat-2&"+here, "", token...)
	body := g.parameters("patient-id", "Patient/pat-1", "comment", canaryComment)
	g.want(is(200), http.MethodPost, "/Appointment/"+at.offer+"/$book", body, token...)
	g.want(is(200), http.MethodPatch, "/Appointment/"+at.offer, fmt.Sprintf(cancelPatch, "booked"), append(token, "Content-Type", patchJSON)...)
	for _, other := range []string{"Bearer " + canaryToken + "-of-nobody", "Bearer " + canaryFamily + " " + canaryBirth, "Basic " + canaryFamily, canaryToken} {
		g.want(is(400, 401, 403, 502), http.MethodGet, "/Patient?"+here+"&family="+canaryFamily, "", "X-Source-Authorization", other)
	}
}
