package upstream

import (
	"net/http"
	"slices"
	"testing"

	"slotgate/upstream/ehrsim"
)

func TestLaw8SlotsThatTheSimulatorSpoilsAreNamedAsDoubtful(t *testing.T) {
	t.Parallel()
	for _, kind := range []ehrsim.FaultKind{ehrsim.FaultReversed, ehrsim.FaultTwinIDs, ehrsim.FaultDangling} {
		srv, base := sim(t, practice(nil))
		c := client(t, base, func(o *Options) { o.Quirks.Total = TotalNone })
		scope := ahead(noon, 3)
		want := fetch(t, c, scope)
		if len(want.Doubtful) != 0 || want.Nameless != 0 {
			t.Fatalf("%s: a good answer has %d doubtful and %d nameless records", kind, len(want.Doubtful), want.Nameless)
		}
		if _, err := srv.SetFaults(ehrsim.Fault{Kind: kind, Path: "/Slot", Every: 1}); err != nil {
			t.Fatal(err)
		}
		got := fetch(t, c, scope)
		for _, slots := range want.Windows {
			for _, slot := range slots {
				if !slices.Contains(got.Doubtful, slot.ID) {
					t.Fatalf("%s: slot %s is neither usable nor in doubt", kind, slot.ID)
				}
			}
		}
		if got.Slots() != 0 {
			t.Errorf("%s: %d slots are usable", kind, got.Slots())
		}
	}
}

func TestLaw8RecordsThatNobodyCanNameAreCounted(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, tiny(func(w http.ResponseWriter, _ *http.Request) {
		page(w, 3, "", `{"resourceType":"Slot","status":"free"}`, `{"resourceType":"Slot","status":7}`, slotJSON("good", 3))
	})), utc)
	if got := fetch(t, c, ahead(noon, 2)); got.Nameless != 2 || len(got.Doubtful) != 0 || got.Slots() != 1 {
		t.Errorf("%d nameless, doubtful %v, %d slots; want 2, none, 1", got.Nameless, got.Doubtful, got.Slots())
	}
}
