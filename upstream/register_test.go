package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func personOf(t *testing.T, rel scheduling.Release, body string) scheduling.Registration {
	t.Helper()
	r, err := fhir.ReadPatient(rel, fhir.JSON, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const canaryBody = `{"resourceType":"Patient","identifier":[{"system":"urn:canary:mrn","value":"CANARY-77"}],
	"name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"gender":"female","birthDate":"1964-06-19"}`

// registering starts an EHR at which people are registered.
func registering(t *testing.T, dialect string, rel scheduling.Release, simulate func(*ehrsim.Options), bend func(*Options)) (*ehrsim.Server, *Client) {
	t.Helper()
	srv, base := sim(t, practice(func(o *ehrsim.Options) {
		o.Dialect, o.FHIR = ehrsim.Dialect(dialect), ehrsim.FHIR(rel)
		if simulate != nil {
			simulate(o)
		}
	}))
	return srv, client(t, base, func(o *Options) {
		o.Dialect, o.FHIR = dialect, rel
		o.Limits.BreakerFailures = 1000
		if bend != nil {
			bend(o)
		}
	})
}

func TestAPersonIsRegisteredOnceInEachDialect(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		for _, format := range []string{"json", "xml"} {
			srv, c := registering(t, at.dialect, at.release, nil, func(o *Options) { o.Quirks.Accept = format })
			call := scheduling.RegisterCall{
				Person: personOf(t, scheduling.STU3, canaryBody), Identifier: "ours-1",
				Conditional: c.Registering().Way == scheduling.RegisterIfNoneExist,
			}
			first, err := c.CreatePatient(t.Context(), call)
			if err != nil || !first.Made {
				t.Fatalf("%s %s: %v %+v", name, format, err, first.Made)
			}
			call.Identifier = "ours-2"
			second, err := c.CreatePatient(t.Context(), call)
			if err != nil || second.ID != first.ID || second.Made {
				t.Errorf("%s %s: again %v: %v", name, format, second, err)
			}
			people := srv.Patients()
			last := people[len(people)-1]
			if last.ID != first.ID || last.Family != "Canaryfamily" || strings.Join(last.Identifiers, " ") != "urn:canary:mrn|CANARY-77 urn:slotgate:patient|ours-1" {
				t.Errorf("%s %s: %+v", name, format, last)
			}
			for what, q := range map[string]scheduling.PatientQuery{
				"by ours":           {Identifiers: []scheduling.PersonIdentifier{{System: scheduling.PatientIdentifierSystem, Value: "ours-1"}}},
				"by its own":        {Identifiers: call.Person.Naming()},
				"by name and birth": {Name: call.Person.Names[0], BirthDate: "1964-06-19"},
			} {
				found, err := c.FindPatients(t.Context(), q)
				if err != nil || len(found) != 1 || found[0].ID != first.ID || call.Person.Contradicts(found[0]) {
					t.Errorf("%s %s: %s: %v %v", name, format, what, found, err)
				}
			}
			none := scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{{System: "urn:x", Value: "y"}}}
			if found, err := c.FindPatients(t.Context(), none); err != nil || len(found) != 0 {
				t.Errorf("%s %s: nobody: %v %v", name, format, found, err)
			}
			for _, r := range srv.Requests(0) {
				if text := strings.ToLower(r.Path + r.Query); strings.Contains(text, "canary") || strings.Contains(text, "1964") {
					t.Errorf("%s %s: an address tells of a person: %s", name, format, text)
				}
			}
		}
	}
}

// TestTheGuidesPatientsAreRegistered sends the two examples to both releases.
func TestTheGuidesPatientsAreRegistered(t *testing.T) {
	t.Parallel()
	dir := testenv.Shared(t, "argonaut/examples")
	for name, at := range writtenTo {
		srv, c := registering(t, at.dialect, at.release, nil, nil)
		before := len(srv.Patients())
		for i, file := range []string{"Patient-argo-sch-patient-1.json", "Patient-argo-sch-patient-2.json"} {
			body, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			r := personOf(t, scheduling.STU3, string(body))
			native, err := c.CreatePatient(t.Context(), scheduling.RegisterCall{Person: r, Identifier: fmt.Sprint("ours-", i)})
			if err != nil {
				t.Fatalf("%s %s: %v", name, file, err)
			}
			if i == 1 && len(srv.Patients()) != before+2 && at.dialect == Slots {
				t.Errorf("%s: %d patients", name, len(srv.Patients())-before)
			}
			if native.BirthDate != r.BirthDate || native.Names[0].Family != "LastName" {
				t.Errorf("%s %s: came back as another", name, file)
			}
		}
	}
}

func TestWhatASourceWantsToKnowIsNamed(t *testing.T) {
	t.Parallel()
	_, c := registering(t, Argonaut, scheduling.R4, func(o *ehrsim.Options) { o.PatientRequires = []string{"telecom", "address"} }, nil)
	_, err := c.CreatePatient(t.Context(), scheduling.RegisterCall{Person: personOf(t, scheduling.R4, canaryBody)})
	e := scheduling.AsError(err)
	if e == nil || e.Code != scheduling.MissingData || e.Param != "Patient.telecom, Patient.address" {
		t.Errorf("%v", err)
	}
}

func TestHowARegistrationIsRefused(t *testing.T) {
	t.Parallel()
	outcome := func(code, text string) string {
		return `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"` + code + `","diagnostics":"` + text + `","expression":["Patient.<script>","Patient.birthDate"]}]}`
	}
	const found = `{"resourceType":"Patient","id":"p"}`
	for name, c := range map[string]struct {
		status int
		body   string
		head   string // Location
		code   scheduling.Code
		native string
	}{
		"several match":           {412, outcome("multiple-matches", "two"), "", scheduling.NeedsClinic, ""},
		"412 without a word":      {412, "", "", scheduling.NeedsClinic, ""},
		"a duplicate":             {409, outcome("duplicate", "DUPLICATE_REJECTED"), "", scheduling.NeedsClinic, ""},
		"a duplicate by 422":      {422, outcome("duplicate", "x"), "", scheduling.NeedsClinic, ""},
		"call the office":         {400, outcome("business-rule", "please call the office"), "", scheduling.NeedsClinic, ""},
		"something is required":   {400, outcome("required", "x"), "", scheduling.MissingData, ""},
		"something is wrong":      {422, outcome("invalid", "Canaryfamily"), "", scheduling.NotAcceptable, ""},
		"our login":               {403, "", "", scheduling.SourceLogin, ""},
		"too often":               {429, "", "", scheduling.Throttled, ""},
		"it cannot":               {405, "", "", scheduling.NotSupported, ""},
		"refused with 200":        {200, outcome("invalid", "x"), "", scheduling.NotAcceptable, ""},
		"500":                     {500, "", "", scheduling.InDoubt, ""},
		"a page of HTML":          {200, "<html>", "", scheduling.InDoubt, ""},
		"empty, and no address":   {201, "", "", scheduling.InDoubt, ""},
		"an id that is none":      {201, "", "Patient/a_b", scheduling.InDoubt, ""},
		"two patients":            {200, `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":` + found + `},{"resource":` + found + `}]}`, "", scheduling.NeedsClinic, ""},
		"empty, with its address": {201, "", "https://ehr/fhir/Patient/77/_history/1", "", "77"},
		"a patient":               {201, found, "", "", "p"},
		"a patient in a Bundle":   {200, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + found + `}]}`, "", "", "p"},
		"a patient and a warning": {200, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + found + `},{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"required"}]}}]}`, "", "", "p"},
	} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.head != "" {
				w.Header().Set("Location", c.head)
			}
			w.Header().Set("Content-Type", "application/fhir+json")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		ehr := client(t, base, nil)
		native, err := ehr.CreatePatient(t.Context(), scheduling.RegisterCall{Person: personOf(t, scheduling.R4, canaryBody), Identifier: "o"})
		if scheduling.CodeOf(err) != c.code || native.ID != c.native {
			t.Errorf("%s: %v %v, want %s %s", name, native, err, c.code, c.native)
		}
		if e := scheduling.AsError(err); e != nil && (strings.Contains(e.Message, "anary") || strings.Contains(e.Message+e.Param, "script")) {
			t.Errorf("%s: a foreign text is told: %s %s", name, e.Message, e.Param)
		}
	}
}

func TestARegistrationThatIsLostIsInDoubtAndOneThatWasNotSentIsNot(t *testing.T) {
	t.Parallel()
	srv, c := registering(t, Slots, scheduling.R4, nil, func(o *Options) {
		o.Booking.CallTimeout = config.Duration(2 * time.Second)
	})
	call := scheduling.RegisterCall{Person: personOf(t, scheduling.R4, canaryBody), Identifier: "o", Conditional: true}
	if _, err := srv.AddFaults(ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "register", Count: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreatePatient(t.Context(), call); scheduling.CodeOf(err) != scheduling.InDoubt {
		t.Errorf("lost: %v", err)
	}
	again, err := c.CreatePatient(t.Context(), call)
	if err != nil || again.Made {
		t.Errorf("the conditional create made another: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.CreatePatient(gone, call); scheduling.CodeOf(err) != scheduling.SourceDown {
		t.Errorf("not sent: %v", err)
	}
}

func TestASearchThatCannotBeTrustedFindsNobody(t *testing.T) {
	t.Parallel()
	bundle := func(more string, entries ...string) string {
		return `{"resourceType":"Bundle","type":"searchset"` + more + `,"entry":[` + strings.Join(entries, ",") + `]}`
	}
	mine := `{"resource":{"resourceType":"Patient","id":"a","identifier":[{"system":"s","value":"v"}]}}`
	other := `{"resource":{"resourceType":"Patient","id":"b","identifier":[{"system":"s","value":"w"}]}}`
	for name, c := range map[string]struct {
		status int
		body   string
		code   scheduling.Code
		n      int
	}{
		"everybody":    {200, bundle("", mine, other), "", 1},
		"more to come": {200, bundle(`,"link":[{"relation":"next","url":"x"}]`, mine), scheduling.NeedsClinic, 0},
		"not whole":    {200, bundle("", mine, `{"resource":{"resourceType":"Patient","birthDate":5}}`), scheduling.SourceNonsense, 0},
		"not served":   {404, "", scheduling.NotSupported, 0},
		"down":         {503, "", scheduling.SourceDown, 0},
		"not a list":   {200, `{"resourceType":"Patient"}`, scheduling.SourceNonsense, 0},
	} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.RawQuery != "" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		ehr := client(t, base, nil)
		found, err := ehr.FindPatients(t.Context(), scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{{System: "s", Value: "v"}}})
		if scheduling.CodeOf(err) != c.code || len(found) != c.n {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}

// TestMedplumKnowsIfNoneExist asks a server that nobody here wrote: none, one
// and two matches.
func TestMedplumKnowsIfNoneExist(t *testing.T) {
	t.Parallel()
	base := testenv.StartNode(t, "medplum.mjs")
	c := client(t, base, nil)
	call := scheduling.RegisterCall{Person: personOf(t, scheduling.R4, strings.NewReplacer("urn:canary:mrn", "urn:canary", "CANARY-77", "C77").Replace(canaryBody)), Identifier: "ours", Conditional: true}
	made, err := c.CreatePatient(t.Context(), call)
	if err != nil || !made.Made {
		t.Fatalf("none: %v %v", made, err)
	}
	known, err := c.CreatePatient(t.Context(), call)
	if err != nil || known.Made || known.ID != made.ID {
		t.Fatalf("one: %v %v", known, err)
	}
	call.Conditional = false
	second, err := c.CreatePatient(t.Context(), call)
	if err != nil || second.ID == made.ID {
		t.Fatalf("a second: %v %v", second, err)
	}
	call.Conditional = true
	if _, err = c.CreatePatient(t.Context(), call); scheduling.CodeOf(err) != scheduling.NeedsClinic {
		t.Errorf("two: %v", err)
	}
	for what, q := range map[string]scheduling.PatientQuery{
		"identifier": {Identifiers: call.Identifiers()}, "name": {Name: call.Person.Names[0], BirthDate: "1964-06-19"},
	} {
		if found, err := c.FindPatients(t.Context(), q); err != nil || len(found) != 2 {
			t.Errorf("%s: %v %v", what, found, err)
		}
	}
}

func TestWaysToRegister(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect, register string
		readonly          bool
		want              scheduling.RegisterWay
	}{
		{Argonaut, "", false, scheduling.RegisterPost},
		{Slots, "auto", false, scheduling.RegisterIfNoneExist},
		{Argonaut, "search-then-post", false, scheduling.RegisterSearch},
		{Slots, "none", false, scheduling.RegisterNone},
		{Slots, "post", true, scheduling.RegisterNone},
	} {
		ehr := client(t, "http://127.0.0.1:1", func(o *Options) {
			o.Dialect, o.Register.Register, o.Readonly = c.dialect, c.register, c.readonly
		})
		if got := ehr.Registering(); got.Way != c.want || got.CallTimeout != 20*time.Second || got.Settle != 2*time.Minute {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	o := Options{ID: "x", Base: "http://h", Dialect: Slots, Register: Register{Register: "guess"}}
	o.SetDefaults()
	if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "register: ") {
		t.Errorf("%v", err)
	}
	if data, err := json.Marshal(scheduling.RegisterCall{}.Identifiers()); err != nil || string(data) != "null" {
		t.Errorf("nobody has identifiers: %s", data)
	}
}
