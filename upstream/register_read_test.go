package upstream

import (
	"net/http"
	"testing"

	"slotgate/scheduling"
)

// TestASearchThatHidesSomebodyIsNotForNobody: what is counted and not shown, or
// named by no id, is somebody all the same.
func TestASearchThatHidesSomebodyIsNotForNobody(t *testing.T) {
	t.Parallel()
	const ann = `{"resource":{"resourceType":"Patient","id":"ID","name":[{"family":"Müller"}],"birthDate":"1990-04-05"}}`
	bundle := func(more string) string { return `{"resourceType":"Bundle","type":"searchset"` + more + `}` }
	for name, c := range map[string]struct {
		body string
		code scheduling.Code
		n    int
	}{
		"nobody":                  {bundle(`,"total":0`), "", 0},
		"nobody, uncounted":       {bundle(""), "", 0},
		"counted, not shown":      {bundle(`,"total":3`), scheduling.NeedsClinic, 0},
		"more counted than shown": {bundle(`,"total":2,"entry":[` + ann + `]`), scheduling.NeedsClinic, 0},
		"an id that is none":      {bundle(`,"total":1,"entry":[{"resource":{"resourceType":"Patient","id":"pat_3","birthDate":"1990-04-05"}}]`), scheduling.SourceNonsense, 0},
		"written in another way":  {bundle(`,"total":1,"entry":[` + ann + `]`), "", 1},
		"of another birth date":   {bundle(`,"total":1,"entry":[{"resource":{"resourceType":"Patient","id":"p","birthDate":"1990-04-06"}}]`), "", 0},
		"a next page, none shown": {bundle(`,"link":[{"relation":"next","url":"x"}]`), scheduling.NeedsClinic, 0},
	} {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.body)) })
		q := scheduling.PatientQuery{Name: scheduling.PersonName{Family: "Muller"}, BirthDate: "1990-04-05"}
		list, err := client(t, base, nil).FindPatients(t.Context(), q)
		if scheduling.CodeOf(err) != c.code || len(list) != c.n {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
}

// TestAPatientIsReadAsItIs, and what keeps it from being read is told apart:
// only that it is gone says anything of it.
func TestAPatientIsReadAsItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		code   scheduling.Code
		closed bool
	}{
		"there":         {200, `{"resourceType":"Patient","id":"p-1","active":true}`, "", false},
		"inactive":      {200, `{"resourceType":"Patient","id":"p-1","active":false}`, "", true},
		"another one":   {200, `{"resourceType":"Patient","id":"p-2"}`, scheduling.SourceNonsense, false},
		"something":     {200, `{"resourceType":"Slot","id":"p-1"}`, scheduling.SourceNonsense, false},
		"nothing":       {200, ``, scheduling.SourceNonsense, false},
		"gone":          {410, ``, scheduling.UnknownID, false},
		"never there":   {404, `{"resourceType":"OperationOutcome","issue":[]}`, scheduling.UnknownID, false},
		"a proxy's 404": {404, `<html>`, scheduling.SourceNonsense, false},
		"not for us":    {403, ``, scheduling.NotSupported, false},
		"not served":    {405, ``, scheduling.NotSupported, false},
		"down":          {503, ``, scheduling.SourceDown, false},
		"our login":     {401, ``, scheduling.SourceLogin, false},
	} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.RawQuery != "" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		p, err := client(t, base, func(o *Options) { o.Limits.BreakerFailures = 100 }).ReadPatient(t.Context(), "p-1")
		if scheduling.CodeOf(err) != c.code || p.Closed != c.closed || (err == nil) != (p.ID == "p-1") {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
}
