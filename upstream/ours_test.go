package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
)

func TestASourceThatDoesNotTellOfIdentifiersIsAskedAndBelievedOnlyIfAllIsOurs(t *testing.T) {
	t.Parallel()
	ours := `{"resourceType":"Appointment","id":"a1","status":"booked","identifier":[{"system":"` + IdentifierSystem + `","value":"k"}]}`
	others := `{"resourceType":"Appointment","id":"a2","status":"booked"}`
	set := func(total int, list ...string) string {
		for i := range list {
			list[i] = `{"resource":` + list[i] + `,"search":{"mode":"match"}}`
		}
		return fmt.Sprintf(`{"resourceType":"Bundle","type":"searchset","total":%d,"entry":[%s]}`, total, strings.Join(list, ","))
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		want   scheduling.Code
		found  int
	}{
		"all is ours":                {200, set(1, ours), "", 1},
		"everybody's":                {200, set(2, ours, others), scheduling.NotSupported, 0},
		"nobody of ours":             {200, set(1, others), scheduling.NotSupported, 0},
		"not whole":                  {200, set(2, ours), scheduling.NotSupported, 0},
		"a refusal of the parameter": {400, outcomeJSON("error", "not-supported", ""), scheduling.NotSupported, 0},
		"a source that is down":      {503, "", scheduling.SourceDown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/metadata"):
					_, _ = w.Write([]byte(`{"resourceType":"CapabilityStatement","status":"active","date":"2026-01-01","kind":"instance","fhirVersion":"4.0.1","format":["json"],` +
						`"rest":[{"mode":"server","resource":[{"type":"Appointment","interaction":[{"code":"read"},{"code":"search-type"}],"searchParam":[{"name":"patient","type":"reference"}]}]}]}`))
				case !strings.HasPrefix(r.URL.Query().Get("identifier"), IdentifierSystem+"|"):
					t.Errorf("asked %s", r.URL)
				default:
					w.WriteHeader(tc.status)
					_, _ = w.Write([]byte(tc.body))
				}
			}), func(o *Options) { argonautR4(o); once(o) })
			got, err := c.Ours(t.Context())
			wantCode(t, name, err, tc.want)
			if len(got) != tc.found {
				t.Errorf("%+v", got)
			}
		})
	}
}
