package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/upstream/ehrsim"
)

// refused asks in every way that is refused, with the canary in each part of the
// request. It needs three slots of its source, and one of a source without holds.
func (g guest) refused(slots []slot, unheld slot) {
	g.t.Helper()
	me := g.want(is(201), http.MethodPost, "/Patient", g.person(1)).id
	g.everyRoute()
	g.unreadable()
	g.wrongPeople()
	g.wrongAddresses(me)
	g.wrongPlace(me, slots, unheld)
	g.wrongCoverage(me)
	g.want(is(204), http.MethodDelete, "/Patient/"+me, "")
}

// routes are those of the gateway, methods with paths.
func (a *aviary) routes() (list []fiber.Route) {
	for _, route := range a.nodes[0].current.gateway.App().GetRoutes(true) {
		route.Path = strings.TrimSuffix(strings.ReplaceAll(route.Path, "%24", "$"), "/")
		if strings.HasPrefix(route.Path, "/fhir/") && route.Method != http.MethodHead {
			list = append(list, route)
		}
	}
	return list
}

// everyRoute asks each route of the base for the canary.
func (g guest) everyRoute() {
	g.t.Helper()
	query := url.Values{"name": {canaryFamily}, "identifier": {canaryID}, "_id": {canaryID}, "patient": {canaryID}, canaryLine: {canaryBirth}}.Encode()
	for _, route := range g.a.routes() {
		path, ours := strings.CutPrefix(strings.ReplaceAll(route.Path, ":id", canaryID), "/fhir/"+g.base)
		switch {
		case !ours:
		case route.Method == http.MethodGet:
			g.ask(route.Method, path+"?"+query, "")
		default:
			g.ask(route.Method, path, query, "Content-Type", "application/x-www-form-urlencoded")
		}
	}
}

// bodies are all the entries that take one.
func (g guest) bodies() []string {
	return []string{
		"", "/Coverage", "/Patient", "/Patient/_search", "/Appointment/$find", "/Appointment/$hold", "/Appointment/$book",
		"/Appointment/quonxcanary/$hold", "/Appointment/QUONXCANARY/$book", "/Appointment/_search",
	}
}

// unreadable sends what cannot be read.
func (g guest) unreadable() {
	g.t.Helper()
	whole := g.person(0)
	bad := map[string]string{
		"cut":          whole[:len(whole)-20],
		"twice":        whole + whole,
		"wrong types":  `{"resourceType":"Patient","name":"` + canaryFamily + `","birthDate":["` + canaryBirth + `"]}`,
		"wrong type":   `{"resourceType":"` + canaryFamily + `"}`,
		"wrong xml":    `<Patient xmlns="http://hl7.org/fhir"><` + canaryFamily + ` value="` + canaryMail + `"/></Patient>`,
		"entity":       `<!DOCTYPE x [<!ENTITY quonxcanary "` + canaryPhone + `">]><Patient xmlns="http://hl7.org/fhir"><name>&quonxcanary;</name></Patient>`,
		"text":         canaryFamily + " " + canaryBirth,
		"names":        `{"resourceType":"Parameters","parameter":[{"name":"` + canaryMail + `","valueString":"` + canaryFamily + `"}]}`,
		"two of one":   `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueString":"` + canaryFamily + `"},{"name":"patient-id","valueBoolean":"` + canaryLine + `"}]}`,
		"dates":        `{"resourceType":"Parameters","parameter":[{"name":"start","valueDateTime":"` + canaryFamily + `"},{"name":"appt-id","valueString":"` + canaryLine + `"}]}`,
		"odd members":  `{"resourceType":"Patient","` + canaryFamily + `":"` + canaryMail + `","gender":"` + canaryFamily + `"}`,
		"status":       `{"resourceType":"Appointment","status":"` + canaryFamily + `","participant":[{"actor":{"reference":"` + canaryFamily + `/` + canaryID + `","display":"` + canaryLine + `"}}]}`,
		"somewhere":    `{"resourceType":"Appointment","status":"proposed","participant":[{"actor":{"reference":"http://` + canaryFamily + `.example/Patient/` + canaryID + `"}}]}`,
		"deep":         strings.Repeat(`{"`+canaryFamily+`":`, 500),
		"control":      strings.Replace(whole, canaryGiven, canaryGiven+`\u0000`, 1),
		"an old patch": `[{"op":"test","path":"/` + canaryFamily + `","value":"` + canaryLine + `"}]`,
	}
	kinds := []string{"application/fhir+json", "application/fhir+xml", "application/json", patchJSON, "application/x-www-form-urlencoded", "text/plain; name=" + canaryFamily, canaryFamily}
	for what, body := range bad {
		for i, path := range g.bodies() {
			for k, kind := range kinds {
				if k > 1 && (i+k)%4 != 0 {
					continue // not all with all
				}
				if got := g.ask(http.MethodPost, path, body, "Content-Type", kind); got.code >= 500 {
					g.t.Errorf("%s to %s as %s: %d %s", what, path, kind, got.code, got.body)
				}
			}
		}
		for _, kind := range []string{patchJSON, "application/xml-patch+xml", "application/fhir+json", "application/json"} {
			g.want(is(400, 404, 415, 422), http.MethodPatch, "/Appointment/quonxcanary", body, "Content-Type", kind)
		}
	}
	g.want(is(413), http.MethodPost, "/Patient", strings.Replace(whole, canaryGiven, strings.Repeat(canaryGiven, 100_000), 1))
	g.want(is(415), http.MethodPost, "/Patient", whole, "Content-Encoding", canaryFamily)
	g.want(is(431), http.MethodGet, "/Patient?family="+strings.Repeat(canaryFamily, 3000), "")
	g.want(is(431), http.MethodGet, "/Patient", "", "X-"+canaryFamily, strings.Repeat(canaryFamily, 3000))
	g.want(is(406), http.MethodGet, "/Patient?family="+canaryFamily, "", "Accept", "text/html; name="+canaryFamily)
}

// wrongPeople sends Patients that can be read and are not taken.
func (g guest) wrongPeople() {
	g.t.Helper()
	json := g.asJSON()
	with := func(old, replacement string) string { return strings.Replace(json.person(0), old, replacement, 1) }
	kind := []string{"Content-Type", "application/fhir+json"}
	for what, body := range map[string]string{
		"no name":       with(`"name"`, `"alias"`),
		"no such day":   with("-03-14", "-02-31 "+canaryFamily),
		"to come":       with("1907", "2907"),
		"markup":        with(canaryGiven, "<b>"+canaryGiven+"</b>"),
		"long":          with(canaryGiven, strings.Repeat(canaryGiven, 600)),
		"two of a kind": with(`"identifier":[`, `"identifier":[{"system":"urn:canary:mrn","value":"`+canaryID+`-2"},`),
	} {
		if got := g.ask(http.MethodPost, "/Patient", body, kind...); got.code != 422 && got.code != 400 {
			g.t.Errorf("%s: %d %s", what, got.code, got.body)
		}
	}
	g.want(is(422), http.MethodPost, "/Patient", json.person(0), append(kind, "If-None-Exist", "identifier=urn:canary:mrn|"+canaryID)...)
	g.want(is(400), http.MethodPost, "/Patient", json.person(0), append(kind, "Idempotency-Key", canaryKey+" with a blank")...)
	key := append(kind, "Idempotency-Key", canaryKey+"-of-two")
	g.want(is(200, 201), http.MethodPost, "/Patient", json.person(1), key...)
	g.want(is(422), http.MethodPost, "/Patient", strings.Replace(json.person(1), "female", "male", 1), key...)
}

// wrongAddresses puts the canary into paths, queries and headers.
func (g guest) wrongAddresses(me string) {
	g.t.Helper()
	name := url.PathEscape(canaryFamily + " " + canaryBirth)
	for _, path := range []string{
		"/Patient/" + canaryID, "/Patient/" + name, "/Patient/" + canaryID + "/_history/1", "/" + name, "/Appointment/" + canaryID, "/Appointment/" + name,
		"/Slot/" + name, "/Slot/" + canaryID, "/OperationDefinition/" + canaryID,
		"/Patient?birthdate=" + canaryFamily, "/Patient?identifier=" + url.QueryEscape("a|b|"+canaryID), "/Patient?family:" + canaryParam + "=" + canaryLine, "/Patient?" + canaryParam + "=" + canaryLine,
		"/Patient?family=" + canaryFamily + "&_cursor=" + canaryFamily, "/Patient?_count=" + canaryFamily, "/Patient?gender=" + canaryFamily,
		"/Patient?family=" + canaryFamily + "%zz", "/Patient?family=" + canaryFamily + "%00", "/Patient?family=" + canaryFamily + "%ff",
		"/Appointment?patient=" + canaryID, "/Appointment?patient=" + name, "/Appointment?patient=" + me + "&patient=" + canaryID, "/Appointment?date=" + canaryFamily + "&patient=" + me,
		"/Appointment?patient=" + me + "&status=" + canaryFamily, "/Appointment?patient=" + me + "&practitioner=" + canaryFamily, "/Appointment?patient=" + me + "&source=" + canaryFamily,
		"/Appointment?patient:" + canaryParam + "=" + me, "/Appointment?" + canaryMail + "=1",
		"/Appointment/$find?patient-reference=" + canaryID + "&start=" + canaryFamily, "/Appointment/$find?near=" + canaryFamily, "/Appointment/$find?source=" + canaryFamily,
		"/Appointment/$find?_count=" + canaryFamily, "/Appointment/$find?end=" + name, "/Appointment/$find?_cursor=" + canaryFamily + "&_max-age=" + canaryFamily,
		"/Appointment/$find?" + url.QueryEscape(canaryLine) + "=" + canaryFamily, "/Appointment/$find?timing=" + canaryFamily, "/Slot?start=" + canaryFamily, "/Schedule?_cursor=" + canaryFamily,
		"/Practitioner?" + url.QueryEscape(canaryLine) + "=x",
	} {
		for _, prefer := range []string{"", "handling=strict"} {
			if got := g.ask(http.MethodGet, path, "", "Prefer", prefer); got.code >= 500 {
				g.t.Errorf("%s: %d %s", path, got.code, got.body)
			}
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, "QUONXCANARY"} {
		for _, path := range []string{"/Patient/" + canaryID, "/Patient?family=" + canaryFamily, "/Appointment/" + canaryID, "/metadata?_format=" + canaryFamily, "/" + canaryFamily} {
			if got := g.ask(method, path, ""); got.code < 400 || got.code >= 500 {
				g.t.Errorf("%s %s: %d %s", method, path, got.code, got.body)
			}
		}
	}
	g.want(is(405), http.MethodPut, "/Patient/"+me, g.person(0))
	where := "/Patient?family=" + canaryFamily
	g.want(is(401), http.MethodGet, where, "", "Authorization", "")
	g.want(is(401), http.MethodGet, where, "", "Authorization", "Bearer "+canaryFamily)
	g.want(is(401), http.MethodGet, where, "", "Authorization", "Basic "+canaryFamily)
	g.want(is(403), http.MethodGet, where, "", "Authorization", "Bearer reader")
	g.want(is(403), http.MethodPost, "/Patient", g.person(0), "Authorization", "Bearer reader")
	g.want(is(400), http.MethodGet, where, "", "X-Slotgate-Session", "quonxcanary")
	g.want(is(400), http.MethodGet, where, "", "X-Slotgate-Session", canarySession+" blank")
	g.ask(http.MethodGet, where, "", "X-Source-Authorization", "sl Bearer "+canaryFamily)
	g.ask(http.MethodGet, where, "", "Prefer", "return="+canaryFamily, "If-Match", canaryFamily, "If-Modified-Since", canaryFamily)
}

// wrongPlace is refused for the state of an offer, or by its source.
func (g guest) wrongPlace(me string, slots []slot, unheld slot) {
	g.t.Helper()
	other := g
	other.session = canarySession + "-of-another"
	with := func(more ...string) string {
		return g.parameters(append([]string{"patient-id", me, "comment", canaryComment}, more...)...)
	}
	at := func(s slot) string { return "/Appointment/" + s.offer }
	patch := func(s string) []string { return []string{"Content-Type", patchJSON, "If-Match", s} }
	g.want(is(501), http.MethodPost, at(unheld)+"/$hold", with())
	g.want(is(200), http.MethodPost, at(slots[0])+"/$book", with())
	other.want(is(409), http.MethodPost, at(slots[0])+"/$hold", "")
	other.want(is(404), http.MethodGet, at(slots[0]), "")
	other.want(is(404), http.MethodGet, "/Patient/"+me, "")
	g.want(is(412), http.MethodPatch, at(slots[0]), fmt.Sprintf(cancelPatch, "booked"), patch(`W/"77"`)...)
	g.want(is(400), http.MethodPatch, at(slots[0]), fmt.Sprintf(cancelPatch, "booked"), patch(canaryFamily)...)
	g.want(is(409, 422), http.MethodPatch, at(slots[0]), fmt.Sprintf(cancelPatch, canaryFamily), "Content-Type", patchJSON)
	g.want(is(422), http.MethodPatch, at(slots[0]), `[{"op":"replace","path":"/comment","value":"`+canaryFamily+`"}]`, "Content-Type", patchJSON)
	g.want(is(422), http.MethodPatch, at(slots[0]), `[{"op":"replace","path":"/`+canaryFamily+`","value":"`+canaryLine+`"}]`, "Content-Type", patchJSON)
	g.want(is(200), http.MethodPatch, at(slots[0]), fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON)
	g.want(is(410), http.MethodPost, at(slots[0])+"/$book", with())
	for _, pairs := range [][]string{
		{"patient-id", canaryFamily},
		{"patient-id", "Patient/" + canaryID},
		{"patient-id", "http://quonxcanary.example/Patient/" + canaryID},
		{"patient-id", me, "comment", strings.Repeat(canaryComment, 500)},
		{"comment", canaryComment},
		{"patient-id", me, "appt-id", canaryID},
		{"patient-id", me, "cancelled-appt-id", canaryID},
		{"patient-id", me, canaryMail, canaryLine},
	} {
		g.want(is(200, 400, 404, 422, 501), http.MethodPost, at(slots[1])+"/$book?"+url.QueryEscape(canaryMail)+"="+canaryFamily, g.parameters(pairs...), "Prefer", "handling=strict")
	}
	key := []string{"Idempotency-Key", canaryKey + "-other-body-" + slots[2].offer}
	g.want(is(200), http.MethodPost, at(slots[2])+"/$book", with(), key...)
	g.want(is(422), http.MethodPost, at(slots[2])+"/$book", g.parameters("patient-id", me, "comment", canaryComment+"!"), key...)
}

// atTheEHR meets every fault of writing, and some of reading, each with another
// person and slot.
func (g guest) atTheEHR(slots []slot, faults []ehrsim.Fault, number int) {
	g.t.Helper()
	sim := g.a.sims[slots[0].source]
	for i, fault := range faults {
		number++
		me := g.want(is(201), http.MethodPost, "/Patient", g.person(number)).id
		g.ask(http.MethodPost, "/Coverage", g.card("Patient/"+me, ""))
		at := "/Appointment/" + slots[i].offer
		body := g.parameters("patient-id", me, "comment", canaryComment)
		steps := []func(){
			func() { g.ask(http.MethodPost, at+"/$hold", body) },
			func() { g.ask(http.MethodPost, at+"/$book", body) },
			func() { g.ask(http.MethodGet, "/Appointment?patient="+me, "") },
			func() { g.ask(http.MethodPatch, at, fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON) },
		}
		// What comes before the deed that the fault strikes is done without it.
		first := max(0, slices.Index([]string{"hold", "book", "", "cancel"}, fault.On))
		for n, step := range steps {
			if n == first {
				if _, err := sim.SetFaults(fault); err != nil {
					g.t.Fatal(err)
				}
			}
			step()
		}
		g.ask(http.MethodGet, at, "")
		_, _ = sim.SetFaults()
	}
}

// canaryFaults are all there are, for those who write.
func canaryFaults() []ehrsim.Fault {
	var all []ehrsim.Fault
	for _, m := range misbehaviours() {
		fault := m.faults[0]
		fault.Count = 2
		all = append(all, fault)
	}
	for _, on := range []string{"register", "coverage", "hold", "book", "cancel", "read", "search"} {
		for _, status := range []int{0, http.StatusBadRequest, http.StatusUnauthorized, http.StatusConflict, http.StatusInternalServerError} {
			all = append(all, ehrsim.Fault{Kind: ehrsim.FaultEcho, On: on, Status: status, Count: 4})
		}
	}
	for _, kind := range []ehrsim.FaultKind{
		ehrsim.FaultLost, ehrsim.FaultCommitLost, ehrsim.FaultCommitNonsense, ehrsim.FaultCommitEmpty, ehrsim.FaultDie, ehrsim.FaultRefuse,
	} {
		all = append(all, ehrsim.Fault{Kind: kind, On: "register", Count: 3}, ehrsim.Fault{Kind: kind, On: "coverage", Count: 3})
	}
	for _, kind := range []ehrsim.FaultKind{
		ehrsim.FaultReset, ehrsim.FaultHang, ehrsim.FaultHTML, ehrsim.FaultCutJSON, ehrsim.FaultWrongType, ehrsim.FaultStatus, ehrsim.FaultHugeGzip,
	} {
		all = append(all, ehrsim.Fault{Kind: kind, Path: "/Patient", Count: 6, Size: 2 << 20}, ehrsim.Fault{Kind: kind, Path: "/Appointment", Count: 6, Size: 2 << 20})
	}
	return all
}
