package booking_test

import (
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// TestAMatchThatIsCertainIsThePerson has one of whom the source is certain by
// what it knows of them, without a shared identifier.
func TestAMatchThatIsCertainIsThePerson(t *testing.T) {
	t.Parallel()
	const reachable = `,"telecom":[{"system":"phone","value":"555-canary"}]`
	for name, c := range map[string]struct {
		there, comes string
		simulate     func(*ehrsim.Options)
		code         scheduling.Code // "": the known one is used
	}{
		"by telephone":               {withoutIdentifier(reachable), withoutIdentifier(reachable + `,"active":true`), nil, ""},
		"by identifier":              {canaryPatient, canaryPatient, nil, ""},
		"by identifier, no grade":    {canaryPatient, canaryPatient, func(o *ehrsim.Options) { o.MatchUngraded = true }, ""},
		"by telephone, no grade":     {withoutIdentifier(reachable), withoutIdentifier(reachable + `,"active":true`), func(o *ehrsim.Options) { o.MatchUngraded = true }, scheduling.NeedsClinic},
		"by telephone, other number": {strings.Replace(canaryPatient, "CANARY-77", "x", 1), canaryPatient, nil, scheduling.NeedsClinic},
	} {
		w := newClinic(t, scheduling.RegisterMatch, c.simulate)
		at, _ := w.deps.At(clinic)
		there, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, c.there)})
		if err != nil {
			t.Fatal(err)
		}
		native, err := w.native("alice", w.come("alice", c.comes))
		if scheduling.CodeOf(err) != c.code || c.code == "" && native != there.ID || w.made() != 1 {
			t.Errorf("%s: %q %v, %d made", name, native, err, w.made())
		}
	}
}

// TestAMatchThatFailsMakesNobody: whatever goes wrong while the source is asked
// who it is, nobody is made of it.
func TestAMatchThatFailsMakesNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		simulate func(*ehrsim.Options)
		fault    ehrsim.Fault
	}{
		"not served":               {simulate: func(o *ehrsim.Options) { o.NoMatch = true }},
		"certain ones only":        {simulate: func(o *ehrsim.Options) { o.MatchCertainOnly = true }},
		"it wants more":            {simulate: func(o *ehrsim.Options) { o.PatientRequires = []string{"maritalStatus"} }},
		"down":                     {fault: ehrsim.Fault{Kind: ehrsim.FaultStatus, On: "match"}},
		"hangs up":                 {fault: ehrsim.Fault{Kind: ehrsim.FaultReset, On: "match"}},
		"a page of HTML":           {fault: ehrsim.Fault{Kind: ehrsim.FaultHTML, On: "match"}},
		"nothing":                  {fault: ehrsim.Fault{Kind: ehrsim.FaultEmptyBody, On: "match"}},
		"half an answer":           {fault: ehrsim.Fault{Kind: ehrsim.FaultCutJSON, On: "match"}},
		"refused":                  {fault: ehrsim.Fault{Kind: ehrsim.FaultStatus, On: "match", Status: 422}},
		"throttled":                {fault: ehrsim.Fault{Kind: ehrsim.FaultThrottle, On: "match"}},
		"the second question only": {fault: ehrsim.Fault{Kind: ehrsim.FaultStatus, On: "match", Status: 400, Skip: 1}},
	} {
		w := newClinic(t, scheduling.RegisterMatch, c.simulate)
		if c.fault.Kind != "" {
			w.fault(c.fault)
		}
		native, err := w.native("alice", w.come("alice", canaryPatient))
		if err == nil || native != "" || w.made() != 0 {
			t.Errorf("%s: %q %v, %d made", name, native, err, w.made())
		}
		for _, r := range w.sim.Requests(0) {
			if r.Method == http.MethodPost && r.Path == "/Patient" {
				t.Errorf("%s: a Patient was sent", name)
			}
		}
	}
}
