package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// outcomeJSON is an OperationOutcome of one issue.
func outcomeJSON(severity, code, text string) string {
	return fmt.Sprintf(`{"resourceType":"OperationOutcome","issue":[{"severity":%q,"code":%q,"diagnostics":%q}]}`, severity, code, text)
}

func epicJSON(code, text string) string {
	return fmt.Sprintf(`{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"processing","details":{"coding":[{"system":"urn:oid:1.2","code":%q}],"text":%q}}]}`, code, text)
}

func bundleJSON(resources ...string) string {
	for i, one := range resources {
		resources[i] = `{"resource":` + one + `}`
	}
	return `{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(resources, ",") + `]}`
}

func appointmentJSON(status string) string {
	return fmt.Sprintf(`{"resourceType":"Appointment","id":"a1","status":%q,"participant":[{"status":"accepted"}]}`, status)
}

// anOffer is enough of an offer for a hand-made server.
func anOffer() scheduling.OfferRecord {
	start := time.Date(2030, 1, 1, 8, 0, 0, 0, time.UTC)
	return scheduling.OfferRecord{
		Slots:    []scheduling.Slot{{ID: "s1", Schedule: "sch", Start: start, End: start.Add(15 * time.Minute)}},
		Schedule: "sch", Zone: "UTC", Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "p1"}},
	}
}

// answers is a server that answers $book, $hold and POST Appointment in one way,
// PATCH in the same way, and everything else with 404 or an appointment.
func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Appointment/a1"):
			w.Header().Set("ETag", `W/"1"`)
			_, _ = w.Write([]byte(appointmentJSON("booked")))
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNotFound)
		default:
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
}

// Each row is a shape that a real server was seen to refuse in, or to leave us
// without an answer.
func TestLaw2ARefusalIsARefusalInAnyShape(t *testing.T) {
	t.Parallel()
	const taken, unacceptable, doubt = scheduling.SlotTaken, scheduling.NotAcceptable, scheduling.InDoubt
	for name, tc := range map[string]struct {
		status int
		body   string
		header []string
		want   scheduling.Code
	}{
		"422 not-found, of the patient":                      {422, outcomeJSON("error", "not-found", "Patient/9 is not known"), nil, unacceptable},
		"404 of the patient":                                 {404, outcomeJSON("error", "not-found", "Unknown patient"), nil, unacceptable},
		"400 of the patient":                                 {400, outcomeJSON("error", "processing", "Resource Patient/9 not found, specified in path: Appointment.participant.actor"), nil, unacceptable},
		"409 of the slot, with a word on the patient":        {409, outcomeJSON("error", "conflict", "The slot is no longer available for this patient"), nil, taken},
		"200 with the appointment cancelled, and why":        {200, bundleJSON(appointmentJSON("cancelled"), outcomeJSON("error", "conflict", "gone")), nil, taken},
		"200 with the appointment cancelled, without a word": {200, appointmentJSON("cancelled"), nil, taken},
		"200 with the appointment cancelled for a rule":      {200, bundleJSON(appointmentJSON("cancelled"), outcomeJSON("error", "business-rule", "too young")), nil, unacceptable},
		"200 with the appointment entered in error":          {200, appointmentJSON("entered-in-error"), nil, taken},
		"201 with the appointment cancelled":                 {201, bundleJSON(appointmentJSON("cancelled")), nil, taken},
		"200 with an outcome of severity error":              {200, outcomeJSON("error", "conflict", "gone"), nil, taken},
		"200 with a bundle of nothing but a fatal outcome":   {200, bundleJSON(outcomeJSON("fatal", "not-found", "gone")), nil, taken},
		"200 within Parameters":                              {200, `{"resourceType":"Parameters","parameter":[{"name":"return","resource":` + bundleJSON(outcomeJSON("fatal", "duplicate", "gone")) + `}]}`, nil, taken},
		"200 that says both yes and no":                      {200, bundleJSON(appointmentJSON("booked"), outcomeJSON("error", "processing", "hm")), nil, scheduling.SourceRefused},
		"Epic's unknown proposed appointment":                {200, bundleJSON(epicJSON("59144", "invalid appointment ID")), nil, taken},
		"Epic's no results":                                  {200, bundleJSON(epicJSON("4101", "no results")), nil, taken},
		"400 invalid":                                        {400, outcomeJSON("error", "invalid", "reason is unknown"), nil, unacceptable},
		"400 invalid of Medplum for a taken slot":            {400, outcomeJSON("error", "invalid", "Requested time slot is not available"), nil, taken},
		"400 of athenahealth":                                {400, outcomeJSON("error", "processing", "No slot found for given details"), nil, taken},
		"400 without FHIR":                                   {400, `{"error":"No slot found for given details"}`, nil, taken},
		"400 without words":                                  {400, ``, nil, scheduling.SourceRefused},
		"400 for a missing element":                          {400, outcomeJSON("error", "required", "phone"), nil, scheduling.MissingData},
		"401":                                                {401, outcomeJSON("error", "login", "expired"), nil, scheduling.SourceLogin},
		"403":                                                {403, outcomeJSON("error", "forbidden", "scope"), nil, scheduling.SourceLogin},
		"403 in HTML":                                        {403, `<html>Forbidden</html>`, nil, scheduling.SourceLogin},
		"404 for the proposed appointment":                   {404, outcomeJSON("error", "not-found", "unknown"), nil, taken},
		"404 in HTML":                                        {404, `<html>Not found</html>`, nil, scheduling.SourceRefused},
		"404 for an operation that is not there":             {404, outcomeJSON("error", "not-supported", "$book"), nil, scheduling.NotSupported},
		"405":                                                {405, ``, nil, scheduling.NotSupported},
		"501":                                                {501, outcomeJSON("error", "not-supported", ""), nil, scheduling.NotSupported},
		"409":                                                {409, outcomeJSON("error", "conflict", "x"), nil, taken},
		"409 without words":                                  {409, ``, nil, taken},
		"409 DUPLICATE_REJECTED":                             {409, outcomeJSON("error", "processing", "DUPLICATE_REJECTED"), nil, taken},
		"410":                                                {410, ``, nil, taken},
		"412":                                                {412, outcomeJSON("error", "conflict", "version"), nil, taken},
		"412 for two of our identifier":                      {412, outcomeJSON("error", "multiple-matches", "2"), nil, scheduling.SourceRefused},
		"422":                                                {422, outcomeJSON("error", "business-rule", "referral needed"), nil, unacceptable},
		"422 without words":                                  {422, ``, nil, unacceptable},
		"422 call the clinic":                                {422, outcomeJSON("error", "business-rule", "Please call the clinic"), nil, scheduling.NeedsClinic},
		"423":                                                {423, outcomeJSON("error", "lock-error", "x"), nil, taken},
		"424":                                                {424, outcomeJSON("error", "processing", "x"), nil, scheduling.SourceRefused},
		"429 with Retry-After":                               {429, outcomeJSON("error", "throttled", "x"), []string{"Retry-After", "60"}, scheduling.Throttled},
		"429 with the wait in words":                         {429, outcomeJSON("error", "throttled", "User Rate Limit Exceeded, Try in another 60 seconds"), nil, scheduling.Throttled},
		"307":                                                {307, ``, []string{"Location", "http://127.0.0.1:1/x"}, scheduling.SourceRefused},
		"303":                                                {303, ``, []string{"Location", "Appointment/a2"}, doubt},
		"408 of a proxy":                                     {408, ``, nil, doubt},
		"500 of athenahealth for a wrong parameter": {500, `{"detailedmessage":"BRP516E33"}`, nil, doubt},
		"500":                     {500, outcomeJSON("error", "conflict", "slot is no longer available"), nil, doubt},
		"503":                     {503, ``, nil, doubt},
		"504":                     {504, ``, nil, doubt},
		"200 in HTML":             {200, `<html>Sign in</html>`, nil, doubt},
		"200 cut off":             {200, appointmentJSON("booked")[:40], nil, doubt},
		"200 of another kind":     {200, `{"resourceType":"Patient","id":"x"}`, nil, doubt},
		"200 with a warning":      {200, bundleJSON(appointmentJSON("booked"), outcomeJSON("warning", "informational", "come early")), nil, ""},
		"200 booked":              {200, appointmentJSON("booked"), nil, ""},
		"201 empty with Location": {201, ``, []string{"Location", "/fhir/Appointment/a1/_history/1"}, ""},
		"200 empty":               {200, ``, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, answers(tc.status, tc.body, tc.header...)), argonautR4)
			_, err := c.Book(t.Context(), bookCall(anOffer(), nil))
			wantCode(t, "book", err, tc.want)
			e := scheduling.AsError(err)
			if tc.status == 429 && e.RetryAfter != time.Minute {
				t.Errorf("wait %v", e.RetryAfter)
			}
			for _, word := range []string{"Forbidden", "Sign in", "referral", "DUPLICATE"} {
				if err != nil && strings.Contains(err.Error(), word) {
					t.Errorf("the source's words in %v", err)
				}
			}
		})
	}
}

func argonautR4(o *Options) { utc(o); o.Dialect = Argonaut }

// A refusal of a cancel says nothing of a slot.
func TestLaw2ARefusedCancelIsToldForWhatItIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   scheduling.Code
	}{
		"done":                      {200, appointmentJSON("cancelled"), ""},
		"done, without a body":      {200, "", ""},
		"200 and still booked":      {200, appointmentJSON("booked"), scheduling.SourceRefused},
		"200 with an error":         {200, outcomeJSON("error", "business-rule", "too late"), scheduling.NotAcceptable},
		"404":                       {404, outcomeJSON("error", "not-found", ""), scheduling.UnknownID},
		"410":                       {410, "", scheduling.UnknownID},
		"409":                       {409, outcomeJSON("error", "conflict", ""), scheduling.SourceRefused},
		"412":                       {412, "", scheduling.SourceRefused},
		"423":                       {423, "", scheduling.SourceRefused},
		"422":                       {422, "", scheduling.NotAcceptable},
		"422 call the clinic":       {422, outcomeJSON("error", "business-rule", "please contact our office"), scheduling.NeedsClinic},
		"401":                       {401, "", scheduling.SourceLogin},
		"500":                       {500, "", scheduling.InDoubt},
		"a page of HTML for an yes": {200, "<html/>", scheduling.InDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, answers(tc.status, tc.body)), argonautR4)
			wantCode(t, "cancel", c.Cancel(t.Context(), scheduling.CancelCall{Offer: anOffer(), Native: "a1"}), tc.want)
		})
	}
}

// Every shape of the simulated EHR, at each dialect and for each call.
func TestLaw2EveryShapeOfTheSimulatedEHRIsARefusal(t *testing.T) {
	t.Parallel()
	want := map[string]scheduling.Code{
		"unauthorized": scheduling.SourceLogin, "forbidden": scheduling.SourceLogin, "unprocessable": scheduling.NotAcceptable,
		"throttled": scheduling.Throttled, "throttled-text": scheduling.Throttled,
	}
	for name, at := range writtenTo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, at.dialect, at.release, nil, func(o *Options) { o.Limits.RetryWait = config.Duration(2 * time.Second) })
			for _, shape := range ehrsim.RefusalShapes() {
				offer := w.offer()
				expect := want[shape]
				if expect == "" {
					expect = scheduling.SlotTaken
				}
				w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultRefuse, Shape: shape, RetryAfter: 1, On: "hold,book"})
				_, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: offer, Identifier: "k", Length: time.Minute})
				wantCode(t, "hold "+shape, err, expect)
				w.budget.resume()
				_, err = w.Book(t.Context(), bookCall(offer, nil))
				wantCode(t, "book "+shape, err, expect)
				w.budget.resume()
				w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
				if s := w.slot(t, offer); s != "free" {
					t.Errorf("%s: the refused slot is %s", shape, s)
				}
			}
			if n := len(w.srv.Appointments("booked", "pending")); n != 0 {
				t.Errorf("%d appointments are left behind", n)
			}
		})
	}
}
