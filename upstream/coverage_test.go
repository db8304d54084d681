package upstream

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// insuredOne is our id of pat-1, and parentOf of pat-2.
var (
	insuredOne = scheduling.NewPatientID([26]byte{1})
	parentOf   = scheduling.NewPatientID([26]byte{2})
	nativesOf  = map[string]string{insuredOne: "pat-1", parentOf: "pat-2"}
)

// canaryCard is an insurance whose words must be seen nowhere.
const canaryCard = `{"resourceType":"Coverage","status":"active","identifier":[{"system":"urn:canary:policy","value":"CANARY-P-77"}],
	"subscriber":{"reference":"Patient/PT","display":"Canaryfamily Canarygiven"},"subscriberId":"CANARY-S-88","payor":[{"display":"Canarypayer"}],
	"grouping":{"plan":"CANARY-PLAN","planDisplay":"Canaryplan Bronze"}}`

func cardOf(t *testing.T, rel scheduling.Release, body string) scheduling.Coverage {
	t.Helper()
	c, err := fhir.ReadCoverage(rel, fhir.JSON, []byte(strings.ReplaceAll(body, "Patient/PT", "Patient/"+insuredOne)), fhir.CoverageContext{
		Patients: map[string]string{"Patient/argo-sch-patient-1": parentOf, "Patient/argo-sch-patient-2": insuredOne},
		Patient:  insuredOne,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func cardCall(t *testing.T) scheduling.CoverageCall {
	t.Helper()
	return scheduling.CoverageCall{Coverage: cardOf(t, scheduling.STU3, canaryCard), Natives: nativesOf, Identifier: "ours-1"}
}

func TestACoverageIsTakenOnceAndReplacedInEachDialect(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		for _, format := range []string{"json", "xml"} {
			srv, c := registering(t, at.dialect, at.release, nil, func(o *Options) { o.Quirks.Accept = format })
			c.learn(t.Context(), laneBook)
			call := cardCall(t)
			call.Conditional = c.Covering().Conditional
			made, err := c.PutCoverage(t.Context(), call)
			if err != nil || !made.Made || call.Conditional == (at.dialect == Argonaut) {
				t.Fatalf("%s %s: %v %+v", name, format, err, made)
			}
			again, err := c.PutCoverage(t.Context(), call)
			if err != nil || (again.ID == made.ID) != call.Conditional || again.Made == call.Conditional {
				t.Errorf("%s %s: again %v %+v", name, format, err, again)
			}
			call.Native = made.ID
			call.Coverage = cardOf(t, scheduling.STU3, strings.ReplaceAll(canaryCard, "CANARY-PLAN", "CANARY-NEXT"))
			if changed, err := c.PutCoverage(t.Context(), call); err != nil || changed.ID != made.ID || changed.Made {
				t.Errorf("%s %s: changed %v %+v", name, format, err, changed)
			}
			card := srv.Coverages()[0]
			if card.ID != made.ID || card.Version != 2 || strings.Join(card.Patients, " ") != "pat-1" || strings.Join(card.Classes, " ") != "plan=CANARY-NEXT" ||
				strings.Join(card.Identifiers, " ") != "urn:canary:policy|CANARY-P-77 urn:slotgate:coverage|ours-1" || card.SubscriberID != "CANARY-S-88" {
				t.Errorf("%s %s: %+v", name, format, card)
			}
			found, there, err := c.FindCoverage(t.Context(), "ours-1")
			switch {
			case at.dialect == Argonaut && scheduling.CodeOf(err) != scheduling.NotSupported:
				t.Errorf("%s %s: an argonaut source does not search: %v", name, format, err)
			case at.dialect == Slots && (err != nil || !there || found.ID != made.ID):
				t.Errorf("%s %s: found %v %v %v", name, format, found, there, err)
			}
			if _, there, err := c.FindCoverage(t.Context(), "nobody's"); there || at.dialect == Slots && err != nil {
				t.Errorf("%s %s: nobody's: %v %v", name, format, there, err)
			}
			nothingOfAPersonInAddresses(t, srv)
		}
	}
}

// TestTheGuidesCoveragesAreTaken sends the two examples to both releases: a
// subscriber who is the patient, and a parent who is contained.
func TestTheGuidesCoveragesAreTaken(t *testing.T) {
	t.Parallel()
	dir := testenv.Shared(t, "argonaut/examples")
	for name, at := range writtenTo {
		srv, c := registering(t, at.dialect, at.release, nil, nil)
		for _, n := range []string{"1", "2"} {
			body, err := os.ReadFile(filepath.Join(dir, "Coverage-argo-sch-"+n+".json"))
			if err != nil {
				t.Fatal(err)
			}
			call := scheduling.CoverageCall{Coverage: cardOf(t, scheduling.STU3, string(body)), Natives: nativesOf, Identifier: "ours-" + n}
			if _, err = c.PutCoverage(t.Context(), call); err != nil {
				t.Fatalf("%s %s: %v", name, n, err)
			}
		}
		cards := srv.Coverages()
		if len(cards) != 2 {
			t.Fatalf("%s: %d", name, len(cards))
		}
		for i, patient := range []string{"pat-2", "pat-1"} {
			card := cards[i]
			if strings.Join(card.Patients, " ") != patient || card.Payor != "Anthem Blue Cross of California" || strings.Join(card.Classes, " ") != "plan=1FZQ" || card.Status != "active" {
				t.Errorf("%s: %+v", name, card)
			}
			if inR4 := at.release == scheduling.R4; (card.Beneficiary == "Patient/"+patient) != inR4 || strings.Contains(card.Resource, "terminology.hl7.org") != inR4 {
				t.Errorf("%s: %s", name, card.Resource)
			}
		}
	}
}

func TestACoverageWhoseAnswerIsLostIsInDoubtAndFound(t *testing.T) {
	t.Parallel()
	srv, c := registering(t, Slots, scheduling.R4, nil, hasty)
	for i, kind := range []ehrsim.FaultKind{ehrsim.FaultCommitLost, ehrsim.FaultCommitError, ehrsim.FaultCommitEmpty, ehrsim.FaultCommitNonsense} {
		call := cardCall(t)
		call.Identifier, call.Conditional = "lost-"+string(kind), true
		if _, err := srv.SetFaults(ehrsim.Fault{Kind: kind, On: "coverage", Count: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutCoverage(t.Context(), call); scheduling.CodeOf(err) != scheduling.InDoubt {
			t.Errorf("%s: %v", kind, err)
		}
		found, there, err := c.FindCoverage(t.Context(), call.Identifier)
		if err != nil || !there {
			t.Errorf("%s: %v %v", kind, there, err)
		}
		if again, err := c.PutCoverage(t.Context(), call); err != nil || again.Made || again.ID != found.ID || len(srv.Coverages()) != i+1 {
			t.Errorf("%s: the conditional create made another: %v %v", kind, again, err)
		}
	}
	if _, err := srv.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultLatency, On: "coverage", Delay: ehrsim.Duration(5 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutCoverage(t.Context(), cardCall(t)); scheduling.CodeOf(err) != scheduling.InDoubt {
		t.Errorf("slow: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.PutCoverage(gone, cardCall(t)); scheduling.CodeOf(err) != scheduling.SourceDown {
		t.Errorf("not sent: %v", err)
	}
}

func TestASearchForACoverageBelievesOurIdentifierOnly(t *testing.T) {
	t.Parallel()
	mine := `{"resource":{"resourceType":"Coverage","id":"a","identifier":[{"system":"urn:slotgate:coverage","value":"v"}]}}`
	other := `{"resource":{"resourceType":"Coverage","id":"b","identifier":[{"system":"urn:x","value":"v"}]}}`
	bundle := func(more string, entries ...string) string {
		return `{"resourceType":"Bundle","type":"searchset"` + more + `,"entry":[` + strings.Join(entries, ",") + `]}`
	}
	for name, c := range map[string]struct {
		status int
		body   string
		code   scheduling.Code
		found  bool
	}{
		"everybody's":           {200, bundle("", other, mine), "", true},
		"others'":               {200, bundle("", other), "", false},
		"none":                  {200, `{"resourceType":"Bundle","type":"searchset","total":0}`, "", false},
		"more to come":          {200, bundle(`,"link":[{"relation":"next","url":"x"}]`, other), scheduling.SourceNonsense, false},
		"not whole":             {200, bundle("", other, `{"resource":{"resourceType":"Coverage","payor":5}}`), scheduling.SourceNonsense, false},
		"not served":            {404, "", scheduling.NotSupported, false},
		"down":                  {503, "", scheduling.SourceDown, false},
		"not a list of anybody": {200, `{"resourceType":"Coverage"}`, scheduling.SourceNonsense, false},
	} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.RawQuery != "" || !strings.HasSuffix(r.URL.Path, "/Coverage/_search") {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		native, found, err := client(t, base, nil).FindCoverage(t.Context(), "v")
		if scheduling.CodeOf(err) != c.code || found != c.found || found && native.ID != "a" {
			t.Errorf("%s: %v %v %v", name, native, found, err)
		}
	}
}

// TestMedplumTakesACoverageOnce asks a server that nobody here wrote: none, one
// and two of our identifier.
func TestMedplumTakesACoverageOnce(t *testing.T) {
	t.Parallel()
	c := client(t, testenv.StartNode(t, "medplum.mjs"), func(o *Options) { o.Register.Register, o.Coverage = "if-none-exist", "after" })
	c.learn(t.Context(), laneBook)
	if how := c.Covering(); !how.Conditional || how.Way != scheduling.CoverAfter {
		t.Fatalf("%+v", how)
	}
	person, err := c.CreatePatient(t.Context(), scheduling.RegisterCall{Person: personOf(t, scheduling.R4, canaryBody), Identifier: "p"})
	if err != nil {
		t.Fatal(err)
	}
	call := cardCall(t)
	call.Natives, call.Conditional = map[string]string{insuredOne: person.ID}, true
	made, err := c.PutCoverage(t.Context(), call)
	if err != nil || !made.Made {
		t.Fatalf("none: %v %v", made, err)
	}
	known, err := c.PutCoverage(t.Context(), call)
	if err != nil || known.Made || known.ID != made.ID {
		t.Fatalf("one: %v %v", known, err)
	}
	call.Native = made.ID
	if changed, err := c.PutCoverage(t.Context(), call); err != nil || changed.ID != made.ID {
		t.Errorf("replaced: %v %v", changed, err)
	}
	if found, there, err := c.FindCoverage(t.Context(), "ours-1"); err != nil || !there || found.ID != made.ID {
		t.Errorf("found: %v %v %v", found, there, err)
	}
	call.Native, call.Conditional = "", false
	if second, err := c.PutCoverage(t.Context(), call); err != nil || second.ID == made.ID {
		t.Fatalf("a second: %v %v", second, err)
	}
	call.Conditional = true
	if _, err := c.PutCoverage(t.Context(), call); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("two: %v", err)
	}
}

func TestWaysToSendCoverage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialect     string
		simulate    func(*ehrsim.Options)
		bend        func(*Options)
		unlearnt    scheduling.CoverWay
		want        scheduling.CoverWay
		conditional bool
	}{
		"argonaut":                  {Argonaut, nil, nil, scheduling.CoverAfter, scheduling.CoverAfter, false},
		"argonaut without":          {Argonaut, func(o *ehrsim.Options) { o.NoCoverage = true }, nil, scheduling.CoverAfter, scheduling.CoverAfter, false},
		"slots":                     {Slots, nil, nil, scheduling.CoverAfter, scheduling.CoverAfter, true},
		"slots, no conditions":      {Slots, func(o *ehrsim.Options) { o.NoConditional = true }, nil, scheduling.CoverAfter, scheduling.CoverAfter, false},
		"slots without":             {Slots, func(o *ehrsim.Options) { o.NoCoverage = true }, nil, scheduling.CoverAfter, scheduling.CoverNone, false},
		"slots without, configured": {Slots, func(o *ehrsim.Options) { o.NoCoverage = true }, func(o *Options) { o.Coverage = "before" }, scheduling.CoverBefore, scheduling.CoverBefore, false},
		"first":                     {Argonaut, nil, func(o *Options) { o.Coverage = "first" }, scheduling.CoverFirst, scheduling.CoverFirst, false},
		"none":                      {Slots, nil, func(o *Options) { o.Coverage = "none" }, scheduling.CoverNone, scheduling.CoverNone, true},
		"readonly":                  {Argonaut, nil, func(o *Options) { o.Readonly, o.Coverage = true, "first" }, scheduling.CoverNone, scheduling.CoverNone, false},
	} {
		_, ehr := registering(t, c.dialect, scheduling.R4, c.simulate, c.bend)
		before := ehr.Covering()
		ehr.learn(t.Context(), laneBook)
		after := ehr.Covering()
		if before.Way != c.unlearnt || after.Way != c.want || after.Conditional != c.conditional || after.CallTimeout != 20*time.Second || after.Settle != 2*time.Minute {
			t.Errorf("%s: %+v %+v", name, before, after)
		}
	}
	for key, bend := range map[string]func(*Options){
		"coverage: ": func(o *Options) { o.Coverage = "sometimes" },
		"match: ":    func(o *Options) { o.Match = "some" },
	} {
		o := Options{ID: "x", Base: "http://h", Dialect: Slots}
		bend(&o)
		o.SetDefaults()
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%v", err)
		}
	}
}
