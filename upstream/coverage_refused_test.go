package upstream

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestHowACoverageIsRefused(t *testing.T) {
	t.Parallel()
	outcome := func(code, text string, paths ...string) string {
		body, err := json.Marshal(map[string]any{"resourceType": "OperationOutcome", "issue": []any{map[string]any{
			"severity": "error", "code": code, "details": map[string]any{"text": text}, "diagnostics": "at com.vendor.Coverage", "expression": paths,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	const found = `{"resourceType":"Coverage","id":"cov"}`
	for name, c := range map[string]struct {
		status int
		body   string
		head   string // Location
		native string // what is replaced
		code   scheduling.Code
		says   string
		param  string
		id     string
	}{
		"a plan":                  {422, outcome("business-rule", "Plan is not accepted"), "", "", scheduling.NotAcceptable, "the source does not take the coverage: plan is not accepted", "", ""},
		"an element":              {422, outcome("invalid", "CANARY-S-88", "Coverage.subscriberId", "Coverage.<script>"), "", "", scheduling.NotAcceptable, "the source does not take the coverage", "Coverage.subscriberId", ""},
		"something is required":   {400, outcome("required", "x", "/f:Coverage/f:payor", "Coverage.class[0].value"), "", "", scheduling.MissingData, "the source wants to be told Coverage.payor, Coverage.class", "Coverage.payor, Coverage.class", ""},
		"required, without name":  {422, outcome("required", "x"), "", "", scheduling.MissingData, "the source wants more data", "", ""},
		"refused with 200":        {200, outcome("business-rule", "coverage has expired"), "", "", scheduling.NotAcceptable, "the source does not take the coverage: coverage has expired", "", ""},
		"without a word":          {400, "", "", "", scheduling.NotAcceptable, "the source does not take the coverage", "", ""},
		"a page of HTML":          {400, "<html>Canaryfamily</html>", "", "", scheduling.NotAcceptable, "the source does not take the coverage", "", ""},
		"call the office":         {422, outcome("business-rule", "please contact the office"), "", "", scheduling.NotAcceptable, "the source does not take the coverage: please contact the office", "", ""},
		"a duplicate":             {409, outcome("duplicate", "policy already exists"), "", "", scheduling.NotAcceptable, "the source does not take the coverage: policy already exists", "", ""},
		"several of ours":         {412, outcome("multiple-matches", "x"), "", "", scheduling.NotAcceptable, "the source does not take the coverage", "", ""},
		"no such resource":        {404, outcome("processing", "Unknown resource type"), "", "", scheduling.NotSupported, "the source cannot do this", "", ""},
		"not allowed":             {405, "", "", "", scheduling.NotSupported, "the source cannot do this", "", ""},
		"not implemented":         {501, "", "", "", scheduling.NotSupported, "the source cannot do this", "", ""},
		"not supported, by words": {422, outcome("not-supported", "x"), "", "", scheduling.NotSupported, "the source cannot do this", "", ""},
		"what is replaced is not": {404, outcome("not-found", "x"), "", "old", scheduling.NotAcceptable, goneCoverage, "", ""},
		"what is replaced went":   {410, "", "", "old", scheduling.NotAcceptable, goneCoverage, "", ""},
		"replacing is not served": {405, "", "", "old", scheduling.NotSupported, "the source cannot do this", "", ""},
		"replaced, without body":  {200, "", "", "old", "", "", "", "old"},
		"our login":               {403, "", "", "", scheduling.SourceLogin, "the source does not accept our login", "", ""},
		"too often":               {429, "", "", "", scheduling.Throttled, "the source asks us to slow down", "", ""},
		"503":                     {503, outcome("transient", "x"), "", "", scheduling.SourceDown, "the source takes nothing just now", "", ""},
		"503 from a proxy":        {503, "<html>", "", "", scheduling.SourceDown, "", "", ""},
		"503, and it was made":    {503, "", "Coverage/7", "", scheduling.InDoubt, "", "", ""},
		"503, and shows it":       {503, found, "", "", scheduling.InDoubt, "", "", ""},
		"502":                     {502, "", "", "", scheduling.InDoubt, "", "", ""},
		"504":                     {504, "", "", "", scheduling.InDoubt, "", "", ""},
		"500":                     {500, outcome("exception", "x"), "", "", scheduling.InDoubt, "", "", ""},
		"HTML with 200":           {200, "<html>", "", "", scheduling.InDoubt, "", "", ""},
		"empty, and no address":   {201, "", "", "", scheduling.InDoubt, "", "", ""},
		"an id that is none":      {201, "", "Coverage/a_b", "", scheduling.InDoubt, "", "", ""},
		"two":                     {200, `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":` + found + `},{"resource":` + found + `}]}`, "", "", scheduling.InDoubt, "", "", ""},
		"both yes and no":         {200, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + found + `},{"resource":` + outcome("invalid", "x") + `}]}`, "", "", scheduling.InDoubt, "", "", ""},
		"somebody else's":         {201, `{"resourceType":"Coverage","id":"cov","beneficiary":{"reference":"Patient/pat-9"}}`, "", "", scheduling.NotAcceptable, "the source answered with the coverage of somebody else", "", ""},
		"empty, with its address": {201, "", "https://ehr/fhir/Coverage/77/_history/1", "", "", "", "", "77"},
		"a coverage":              {201, found, "", "", "", "", "", "cov"},
		"a coverage in a Bundle":  {200, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + found + `}]}`, "", "", "", "", "", "cov"},
	} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.head != "" {
				w.Header().Set("Location", c.head)
			}
			if put := r.Method == http.MethodPut; put != (c.native != "") || r.URL.RawQuery != "" {
				t.Errorf("%s: %s %s", name, r.Method, r.URL)
			}
			w.Header().Set("Content-Type", "application/fhir+json")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		ehr := client(t, base, nil)
		call := cardCall(t)
		call.Native = c.native
		native, err := ehr.PutCoverage(t.Context(), call)
		if scheduling.CodeOf(err) != c.code || native.ID != c.id {
			t.Errorf("%s: %v %v, want %s %s", name, native, err, c.code, c.id)
			continue
		}
		if e := scheduling.AsError(err); e != nil && (c.says != "" && e.Message != c.says || e.Param != c.param) {
			t.Errorf("%s: %q %q, want %q %q", name, e.Message, e.Param, c.says, c.param)
		}
	}
}

// TestLaw10ARefusalOfACoverageRepeatsNobody has the simulator refuse in every
// shape that it knows, with the person and its own internals in some.
func TestLaw10ARefusalOfACoverageRepeatsNobody(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		srv, c := registering(t, at.dialect, at.release, nil, nil)
		for _, shape := range append(ehrsim.CoverageShapes(), ehrsim.RefusalShapes()...) {
			if _, err := srv.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultRefuse, On: "coverage", Shape: shape, Count: 1}); err != nil {
				t.Fatal(err)
			}
			c.budget.resume()
			_, err := c.PutCoverage(t.Context(), cardCall(t))
			e := scheduling.AsError(err)
			if e == nil {
				t.Fatalf("%s %s: taken", name, shape)
			}
			want := map[string]scheduling.Code{
				"plan-refused": scheduling.NotAcceptable, "expired-policy": scheduling.NotAcceptable, "repeats-patient": scheduling.NotAcceptable,
				"stack-trace": scheduling.NotAcceptable, "no-word": scheduling.NotAcceptable, "wants-id": scheduling.MissingData, "no-such-thing": scheduling.NotSupported,
			}[shape]
			if want != "" && e.Code != want {
				t.Errorf("%s %s: %v, want %s", name, shape, err, want)
			}
			for _, word := range []string{"anary", "CANARY", "pat-1", "java", "com.", "http", "internal"} {
				if strings.Contains(err.Error()+e.Param, word) {
					t.Errorf("%s %s: %q is told: %v", name, shape, word, err)
				}
			}
		}
		if _, err := srv.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultEcho}); err != nil {
			t.Fatal(err)
		}
		for what, ask := range map[string]func() error{
			"coverage": func() error { _, err := c.PutCoverage(t.Context(), cardCall(t)); return err },
			"match": func() error {
				_, err := c.MatchPatients(t.Context(), personOf(t, scheduling.R4, canaryBody))
				return err
			},
			"search": func() error {
				_, err := c.FindPatients(t.Context(), scheduling.PatientQuery{Name: scheduling.PersonName{Family: "Canaryfamily"}, BirthDate: "1964-06-19"})
				return err
			},
		} {
			if err := ask(); err == nil || strings.Contains(strings.ToLower(err.Error()+scheduling.AsError(err).Param), "canary") || strings.Contains(err.Error(), "1964") {
				t.Errorf("%s %s: repeated: %v", name, what, err)
			}
		}
		if len(srv.Coverages()) != 0 {
			t.Errorf("%s: something was kept", name)
		}
	}
}

func TestWhatAReleaseOrASourceRequiresOfACoverageIsNamed(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		_, c := registering(t, at.dialect, at.release, func(o *ehrsim.Options) { o.CoverageRequires = []string{"relationship", "period"} }, nil)
		_, err := c.PutCoverage(t.Context(), cardCall(t))
		if e := scheduling.AsError(err); e == nil || e.Code != scheduling.MissingData || e.Param != "Coverage.relationship, Coverage.period" {
			t.Errorf("%s: %v", name, err)
		}
		call := cardCall(t)
		call.Natives = map[string]string{insuredOne: "nobody"}
		if _, err := c.PutCoverage(t.Context(), call); scheduling.CodeOf(err) != scheduling.MissingData && scheduling.CodeOf(err) != scheduling.NotAcceptable {
			t.Errorf("%s, of nobody: %v", name, err)
		}
		call.Natives = nil
		if _, err := c.PutCoverage(t.Context(), call); scheduling.CodeOf(err) != scheduling.NotAcceptable {
			t.Errorf("%s, of somebody who is not registered there: %v", name, err)
		}
	}
}
