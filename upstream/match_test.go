package upstream

import (
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// putPeople posts Patients to a source as somebody else would.
func putPeople(t *testing.T, c *Client, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if _, err := c.CreatePatient(t.Context(), scheduling.RegisterCall{Person: personOf(t, scheduling.R4, body)}); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	reachableBody = `{"resourceType":"Patient","name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"gender":"female","birthDate":"1964-06-19","telecom":[{"system":"phone","value":"555-canary"}]}`
	alikeBody     = `{"resourceType":"Patient","name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"gender":"female","birthDate":"1964-06-19"}`
	siblingBody   = `{"resourceType":"Patient","name":[{"family":"Canaryfamily","given":["Other"]}],"birthDate":"1964-06-19"}`
	namesakeBody  = `{"resourceType":"Patient","name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"birthDate":"2001-01-01"}`
)

func TestASourceMatchesWithGrades(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		for _, format := range []string{"json", "xml"} {
			for _, c := range []struct {
				there  []string
				asked  string
				grades string
			}{
				{nil, canaryBody, ""},
				{[]string{canaryBody}, canaryBody, "certain"},
				{[]string{reachableBody}, reachableBody, "certain"},
				{[]string{reachableBody, siblingBody}, reachableBody, "certain"}, // who is certain stands alone
				{[]string{alikeBody}, canaryBody, "probable"},
				{[]string{siblingBody}, canaryBody, "possible"},
				{[]string{namesakeBody}, canaryBody, ""}, // certainly not
				{[]string{alikeBody, siblingBody}, canaryBody, "probable possible"},
			} {
				srv, client := registering(t, at.dialect, at.release, nil, func(o *Options) { o.Quirks.Accept = format; o.Register.Register = "match" })
				putPeople(t, client, c.there...)
				list, err := client.MatchPatients(t.Context(), personOf(t, scheduling.STU3, c.asked))
				var got []string
				for _, p := range list {
					got = append(got, string(p.Grade))
				}
				if err != nil || strings.Join(got, " ") != c.grades || client.Registering().Way != scheduling.RegisterMatch {
					t.Errorf("%s %s: %v: %v, want %s", name, format, got, err, c.grades)
				}
				nothingOfAPersonInAddresses(t, srv)
			}
		}
	}
}

// nothingOfAPersonInAddresses holds law 10: whatever is asked for stands in a
// body, be it a name, a date or a number.
func nothingOfAPersonInAddresses(t *testing.T, srv *ehrsim.Server) {
	t.Helper()
	for _, r := range srv.Requests(0) {
		text := strings.ToLower(r.Path + " " + r.Query)
		for _, word := range []string{"canary", "1964", "555", "identifier", "urn:", "urn%3a", "ours", "sub-"} {
			if strings.Contains(text, word) {
				t.Errorf("an address tells of a person: %s", text)
			}
		}
	}
}

// TestSeveralCertainOnesAreNotOverlooked: a source that is asked for certain ones
// says nothing of several. Whoever took that for nobody would make a third.
func TestSeveralCertainOnesAreNotOverlooked(t *testing.T) {
	t.Parallel()
	for _, tells := range []bool{false, true} {
		_, c := registering(t, Slots, scheduling.R4, func(o *ehrsim.Options) { o.MatchTellsSeveral = tells }, nil)
		putPeople(t, c, canaryBody, canaryBody)
		list, err := c.MatchPatients(t.Context(), personOf(t, scheduling.R4, canaryBody))
		if err != nil || len(list) != 2 {
			t.Errorf("told %v: %v %v", tells, list, err)
		}
	}
}

func TestWhereOnlyCertainOnesCanBeAskedForThatIsAllThatIsAsked(t *testing.T) {
	t.Parallel()
	for match, want := range map[string]scheduling.Code{"certain": "", "all": scheduling.NotAcceptable} {
		_, c := registering(t, Slots, scheduling.R4, func(o *ehrsim.Options) { o.MatchCertainOnly = true }, func(o *Options) { o.Match = match })
		if list, err := c.MatchPatients(t.Context(), personOf(t, scheduling.R4, canaryBody)); len(list) != 0 || scheduling.CodeOf(err) != want {
			t.Errorf("%s: %v %v", match, list, err)
		}
	}
}

func TestAMatchThatFailedIsNoAnswer(t *testing.T) {
	t.Parallel()
	outcome := func(code string) string {
		return `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"` + code + `","diagnostics":"Canaryfamily","expression":["Patient.telecom"]}]}`
	}
	match := func(id, grade string) string {
		return `{"resource":{"resourceType":"Patient","id":"` + id + `"},"search":{"extension":[{"url":"` + matchGrade + `","valueCode":"` + grade + `"}],"score":0.9}}`
	}
	bundle := func(more string, entries ...string) string {
		return `{"resourceType":"Bundle","type":"searchset"` + more + `,"entry":[` + strings.Join(entries, ",") + `]}`
	}
	for name, c := range map[string]struct {
		status int
		body   string
		code   scheduling.Code
		n      int
	}{
		"not served":           {404, outcome("not-found"), scheduling.NotSupported, 0},
		"not allowed":          {405, "", scheduling.NotSupported, 0},
		"not implemented":      {501, "", scheduling.NotSupported, 0},
		"it wants more":        {422, outcome("required"), scheduling.MissingData, 0},
		"it does not want":     {400, outcome("invalid"), scheduling.NotAcceptable, 0},
		"it has several":       {409, outcome("duplicate"), scheduling.NeedsClinic, 0},
		"our login":            {403, "", scheduling.SourceLogin, 0},
		"too often":            {429, "", scheduling.Throttled, 0},
		"down":                 {500, "", scheduling.SourceDown, 0},
		"a page of HTML":       {200, "<html>", scheduling.SourceNonsense, 0},
		"an empty body":        {200, "", scheduling.SourceNonsense, 0},
		"refused with 200":     {200, outcome("required"), scheduling.MissingData, 0},
		"refused among others": {200, bundle("", match("a", "certain"), `{"resource":`+outcome("invalid")+`}`), scheduling.NotAcceptable, 0},
		"not whole":            {200, bundle("", match("a", "certain"), `{"resource":{"resourceType":"Patient","birthDate":5}}`), scheduling.SourceNonsense, 0},
		"more to come":         {200, bundle(`,"link":[{"relation":"next","url":"x"}]`, match("a", "certain")), scheduling.NeedsClinic, 0},
		"one twice":            {200, bundle("", match("a", "certain"), match("a", "certain")), "", 1},
		"an id that is none":   {200, bundle("", match("a_b", "certain")), scheduling.SourceNonsense, 0},
		"more than it shows":   {200, bundle(`,"total":2`, match("a", "certain")), scheduling.NeedsClinic, 0},
		"none of three shown":  {200, `{"resourceType":"Bundle","type":"searchset","total":3}`, scheduling.NeedsClinic, 0},
		"nobody":               {200, `{"resourceType":"Bundle","type":"searchset","total":0}`, "", 0},
		"in Parameters":        {200, `{"resourceType":"Parameters","parameter":[{"name":"return","resource":` + bundle("", match("a", "probable")) + `}]}`, "", 1},
	} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.RawQuery != "" || !strings.HasSuffix(r.URL.Path, "/Patient/$match") {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		ehr := client(t, base, func(o *Options) { o.Limits.BreakerFailures = 100 })
		list, err := ehr.MatchPatients(t.Context(), personOf(t, scheduling.R4, canaryBody))
		if scheduling.CodeOf(err) != c.code || len(list) != c.n {
			t.Errorf("%s: %v %v, want %s", name, list, err, c.code)
		}
		e := scheduling.AsError(err)
		if e != nil && strings.Contains(e.Error(), "anary") || c.code == scheduling.MissingData && e.Param != "Patient.telecom" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
