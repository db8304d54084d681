package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// card is the canary's insurance, of a patient that a reference names.
func (g guest) card(patient, number string) string {
	if g.xml {
		return fmt.Sprintf(`<Coverage xmlns="http://hl7.org/fhir"><status value="active"/><subscriberId value="%s"/>`+
			`<beneficiary><reference value="%s"/><display value="%s"/></beneficiary><payor><display value="%s"/></payor></Coverage>`,
			canaryPolicy+number, patient, canaryFamily, canaryInsurer)
	}
	return fmt.Sprintf(`{"resourceType":"Coverage","status":"active","subscriberId":%q,"beneficiary":{"reference":%q,"display":%q},"payor":[{"display":%q}]}`,
		canaryPolicy+number, patient, canaryFamily, canaryInsurer)
}

// asJSON is the guest who speaks JSON.
func (g guest) asJSON() guest {
	g.xml = false
	return g
}

// insured gives coverage, and reads and changes it, before and after an
// appointment that it is for. It needs one slot.
func (g guest) insured(me, offer string) {
	g.t.Helper()
	card := g.card("Patient/"+me, "")
	key := []string{"Idempotency-Key", canaryKey + "-coverage"}
	id := g.want(is(201), http.MethodPost, "/Coverage", card, key...).id
	g.want(is(201), http.MethodPost, "/Coverage", card, key...)
	for _, prefer := range []string{"return=minimal", "return=OperationOutcome", "return=representation"} {
		g.want(is(200), http.MethodPost, "/Coverage", card, "Prefer", prefer)
	}
	g.want(is(200), http.MethodPost, "/Appointment/"+offer+"/$book", g.parameters("patient-id", me, "comment", canaryComment))
	g.want(is(200), http.MethodGet, "/Coverage/"+id, "")
	g.want(is(200), http.MethodPut, "/Coverage/"+id, g.card("Patient/"+me, "-2"))
	g.want(is(200), http.MethodPatch, "/Appointment/"+offer, fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON)
}

// whole is a transaction: patient, relative and coverage in one piece.
func (g guest) whole(number int) string {
	g = g.asJSON()
	relative := fmt.Sprintf(`{"resourceType":"RelatedPerson","patient":{"reference":"urn:uuid:6f0e0001-0000-4000-8000-000000000001"},
		"name":[{"family":%q,"given":[%q]}],"telecom":[{"system":"phone","value":%q}],"birthDate":%q}`, canaryFamily, canaryGiven, canaryPhone, canaryBirth)
	card := strings.Replace(g.card("urn:uuid:6f0e0001-0000-4000-8000-000000000001", "-3"), `"beneficiary"`,
		`"policyHolder":{"reference":"urn:uuid:6f0e0001-0000-4000-8000-000000000002"},"beneficiary"`, 1)
	var b strings.Builder
	for i, resource := range []string{g.person(number), relative, card} {
		kind := []string{"Patient", "RelatedPerson", "Coverage"}[i]
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:6f0e0001-0000-4000-8000-00000000000%d","resource":%s,"request":{"method":"POST","url":%q}}`, i+1, resource, kind)
	}
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + b.String() + `]}`
}

// atOnce registers by a transaction, and by a booking that brings patient and
// coverage with it. It needs one slot.
func (g guest) atOnce(offer string) {
	g.t.Helper()
	kind := []string{"Content-Type", "application/fhir+json"}
	g.want(is(200), http.MethodPost, "", g.whole(0), append(kind, "Idempotency-Key", canaryKey+"-transaction")...)
	g.want(is(200), http.MethodPost, "", g.whole(0), append(kind, "Prefer", "return=minimal")...)
	comment, _ := json.Marshal(canaryComment)
	patient := strings.Replace(g.asJSON().person(0), "{", `{"id":"quonxcanary",`, 1)
	body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"patient-resource","resource":%s},{"name":"coverage","resource":%s},{"name":"comment","valueString":%s}]}`,
		patient, g.asJSON().card("Patient/quonxcanary", "-4"), comment)
	for range 2 {
		g.want(is(200), http.MethodPost, "/Appointment/"+offer+"/$book", body, append(kind, "Idempotency-Key", canaryKey+"-at-once-"+offer)...)
	}
	g.want(is(200), http.MethodPatch, "/Appointment/"+offer, fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON)
}

// wrongCoverage is refused, with the canary in each part.
func (g guest) wrongCoverage(me string) {
	g.t.Helper()
	kind := []string{"Content-Type", "application/fhir+json"}
	json := g.asJSON()
	card := json.card("Patient/"+me, "")
	for what, body := range map[string]string{
		"of nobody":         json.card("Patient/"+canaryID, ""),
		"of another server": json.card("http://quonxcanary.example/Patient/"+canaryID, ""),
		"of a name":         json.card(canaryFamily, ""),
		"without a payer":   strings.Replace(card, `"payor"`, `"nobody"`, 1),
		"of a wrong status": strings.Replace(card, `"active"`, `"`+canaryFamily+`"`, 1),
		"of no dates":       strings.Replace(card, `"status"`, `"period":{"start":"`+canaryFamily+`"},"status"`, 1),
		"with markup":       strings.Replace(card, canaryPolicy, "<b>"+canaryPolicy, 1),
		"of wrong types":    strings.Replace(card, `"`+canaryPolicy+`"`, `{"`+canaryPolicy+`":1}`, 1),
	} {
		if got := g.ask(http.MethodPost, "/Coverage", body, kind...); got.code != 400 && got.code != 404 && got.code != 422 {
			g.t.Errorf("coverage %s: %d %s", what, got.code, got.body)
		}
	}
	g.want(is(405), http.MethodPut, "/Coverage/"+canaryID, card, kind...)
	g.want(is(404), http.MethodGet, "/Coverage/"+canaryID, "")
	g.want(is(405), http.MethodGet, "/Coverage?subscriber="+canaryFamily, "")
	g.want(is(422), http.MethodPost, "/Coverage", card, append(kind, "If-None-Exist", "identifier="+canaryPolicy)...)
	for what, with := range map[string][2]string{
		"of an unknown kind":      {`"url":"RelatedPerson"`, `"url":"` + canaryFamily + `"`},
		"that looks first":        {`"url":"Patient"`, `"url":"Patient?identifier=` + canaryID + `"`},
		"that deletes":            {`"method":"POST","url":"Patient"`, `"method":"DELETE","url":"Patient/` + canaryID + `"`},
		"of a reference to none":  {`"beneficiary":{"reference":"urn:uuid:6f0e0001`, `"beneficiary":{"reference":"urn:uuid:` + canaryFamily},
		"of a conditional create": {`"url":"Patient"`, `"url":"Patient","ifNoneExist":"identifier=` + canaryID + `"`},
		"of no such day":          {canaryBirth, "1907-02-31 " + canaryFamily},
		"of another type":         {`"type":"transaction"`, `"type":"` + canaryFamily + `"`},
	} {
		got := g.ask(http.MethodPost, "", strings.Replace(g.whole(3), with[0], with[1], 1), kind...)
		if got.code != 400 && got.code != 404 && got.code != 422 && got.code != 501 {
			g.t.Errorf("a transaction %s: %d %s", what, got.code, got.body)
		}
	}
}
