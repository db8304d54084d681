package upstream

import (
	"net/http"
	"testing"

	"slotgate/scheduling"
)

// TestLaw12APageOfAProxySaysNothingOfAnAppointment: while an EHR is away, what
// stands before it answers 404 as well. A booking must not be lost by that.
func TestLaw12APageOfAProxySaysNothingOfAnAppointment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   scheduling.Code
	}{
		"the EHR says that there is none":   {404, outcomeJSON("error", "not-found", "gone"), scheduling.UnknownID},
		"without a word":                    {404, "", scheduling.UnknownID},
		"deleted":                           {410, "", scheduling.UnknownID},
		"a page":                            {404, "<!DOCTYPE html><html><title>404 Not Found</title></html>", scheduling.SourceNonsense},
		"a page that begins with a blank":   {404, "\ufeff\n <HTML><body>default backend</body></html>", scheduling.SourceNonsense},
		"a page of what was there and went": {410, "<html/>", scheduling.SourceNonsense},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}), func(o *Options) { o.Quirks.Search = "identifier" })
			_, err := c.Read(t.Context(), "a1", scheduling.ForRead)
			wantCode(t, "read", err, tc.want)
			_, err = c.Find(t.Context(), scheduling.FindCall{Identifier: "k", Purpose: scheduling.ForSettle})
			want := scheduling.NotSupported
			if tc.want == scheduling.SourceNonsense {
				want = scheduling.SourceNonsense
			}
			wantCode(t, "search", err, want)
		})
	}
}
