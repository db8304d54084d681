package upstream

import (
	"testing"

	"slotgate/upstream/ehrsim"
)

// A server that gives no next links and repeats an entry on each page is read
// to its end here as well.
func TestOursAreReadToTheEndWhereverTheyArePaged(t *testing.T) {
	for name, o := range map[string]ehrsim.Options{
		"no next links":             {NoNext: true},
		"no next links and repeats": {NoNext: true, RepeatIDs: true},
		"tokens and repeats":        {RepeatIDs: true},
		"an empty last page":        {EmptyLastPage: true, RelativeNext: true},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dialect, o.Practitioners, o.Zone = ehrsim.Slots, 10, "America/New_York"
			sim, err := ehrsim.New(o)
			if err != nil {
				t.Fatal(err)
			}
			base, err := sim.Start(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sim.Close() })
			c := client(t, base, func(o *Options) {
				o.Dialect, o.Timezone = Slots, configZone(t, "America/New_York")
			})
			got, err := c.Ours(t.Context())
			if err != nil || len(got) != 0 {
				t.Errorf("%d, %v", len(got), err)
			}
		})
	}
}
