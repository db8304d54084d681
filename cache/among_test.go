package cache_test

import (
	"maps"
	"slices"
	"testing"

	"slotgate/cache/embedded"
	"slotgate/scheduling"
)

func TestKnownAmongFindsSlotsByIDWithinTheScope(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		replace(t, s, answer(scope(0, 3), "", map[scheduling.WindowKey]int{key("s1", 0): 3, key("s2", 1): 2, key("s1", 2): 1}))
		all := map[scheduling.WindowKey][]scheduling.Slot{}
		for k, n := range map[scheduling.WindowKey]int{key("s1", 0): 3, key("s2", 1): 2, key("s1", 2): 1} {
			all[k] = slots(k, n, "")
		}
		ids := []string{all[key("s1", 0)][1].ID, all[key("s2", 1)][0].ID, all[key("s1", 2)][0].ID, "never"}
		got, err := s.KnownAmong(t.Context(), source, scope(0, 2), ids)
		must(t, err)
		if len(got) != 2 || len(got[key("s1", 0)]) != 1 || len(got[key("s2", 1)]) != 1 {
			t.Fatalf("of days 0 and 1: %v", slices.Collect(maps.Keys(got)))
		}
		if slot := got[key("s1", 0)][0]; slot.ID != ids[0] || !slot.Start.Equal(all[key("s1", 0)][1].Start) || slot.Schedule != "s1" {
			t.Errorf("the slot came back as %+v", slot)
		}
		if got, err = s.KnownAmong(t.Context(), source, scope(0, 3, "s2"), ids); err != nil || len(got) != 1 {
			t.Errorf("of one schedule: %v, %v", got, err)
		}
		if got, err = s.KnownAmong(t.Context(), source, scope(0, 3), nil); err != nil || len(got) != 0 {
			t.Errorf("of no ids: %v, %v", got, err)
		}
	})
}
