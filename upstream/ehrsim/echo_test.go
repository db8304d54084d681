package ehrsim

import (
	"strings"
	"testing"
)

func TestAnEchoRepeatsWhatWasAskedAndDoesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Practitioners: 1, Faults: []Fault{{Kind: FaultEcho, On: "register"}}})
	before := len(w.srv.Patients())
	a := w.post("/Patient?who=Somebody", `{"resourceType":"Patient","name":[{"family":"Else"}]}`)
	if a.StatusCode != 422 || strings.Count(a.text, "Somebody") < 4 || strings.Count(a.text, "Else") < 4 || !strings.Contains(a.Header.Get("Location"), "Else") {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
	}
	if after := len(w.srv.Patients()); after != before {
		t.Errorf("%d patients, there were %d", after, before)
	}
}
