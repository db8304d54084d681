package upstream

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slotgate/config/testenv"
	"slotgate/scheduling"
)

// The guide's own example answers, as a source would send them.
func TestTheGuidesExampleAnswersAreReadWhole(t *testing.T) {
	t.Parallel()
	dir := testenv.Shared(t, "argonaut/examples")
	for name, tc := range map[string]struct {
		find     bool
		from, to scheduling.Day
		slots    int
		unusable scheduling.Tally
	}{
		// The offsets of this one grow with the clock: no slot has any length.
		"Bundle-slot-bundle-example.json": {false, scheduling.Date(2017, 8, 27), scheduling.Date(2017, 8, 30), 0, scheduling.Tally{scheduling.EndsBeforeStart: 8}},
		// One of these ends a month after it starts.
		"Bundle-prefetch-derm-appts.json": {true, scheduling.Date(2017, 7, 16), scheduling.Date(2017, 7, 17), 2, scheduling.Tally{scheduling.TooLong: 1}},
		"Bundle-hal-dr-y-appts.json":      {true, scheduling.Date(2017, 7, 16), scheduling.Date(2017, 7, 17), 3, scheduling.Tally{}},
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch filepath.Base(r.URL.Path) {
			case "$prefetch", "$find":
				_, _ = w.Write(data)
			default: // Practitioner/dr-y is in Practitioner-dr-y.json
				one, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/fhir/"), "/", "-")+".json"))
				if err != nil {
					w.WriteHeader(http.StatusNotFound)
				}
				_, _ = w.Write(one)
			}
		}), func(o *Options) {
			o.Dialect, o.FHIR, o.Quirks.NoPrefetch = Argonaut, scheduling.STU3, tc.find
			o.Timezone = configZone(t, connectathonZone)
		})
		got := fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: tc.from, To: tc.to}})
		if got.Slots() != tc.slots || !got.Complete || !maps.Equal(got.Unusable, tc.unusable) {
			t.Errorf("%s: %d slots, complete %v (%s), unusable %v", name, got.Slots(), got.Complete, got.Cut, got.Unusable)
		}
	}
}
