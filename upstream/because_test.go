package upstream

import (
	"errors"
	"net/http"
	"testing"

	"slotgate/scheduling"
)

func TestCallThatTheBreakerRefusesTellsWhatOpenedIt(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>log in, please</html>"))
	}), func(o *Options) { o.Limits.BreakerFailures = 1 })
	for range 20 {
		_, err := c.Fetch(t.Context(), ahead(noon, 1))
		if scheduling.CodeOf(err) != scheduling.SourceDown {
			continue
		}
		var refused interface{ Because() scheduling.Code }
		if !errors.As(err, &refused) || refused.Because() != scheduling.SourceNonsense {
			t.Fatalf("%v does not tell that the source answered nonsense", err)
		}
		return
	}
	t.Fatal("the breaker did not open")
}
