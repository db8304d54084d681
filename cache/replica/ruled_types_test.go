package replica

import (
	"strings"
	"testing"

	"slotgate/scheduling"
)

func TestAnOfferIsOfTheVisitTypesThatAllItsSlotsAreFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		types []string // of each slot, half an hour each
		want  string
	}{
		"one type":                         {[]string{"egd", "egd", "egd"}, "s-0+s-1:egd s-1+s-2:egd"},
		"another type in between":          {[]string{"egd", "follow-up", "egd"}, ""},
		"of several types the common ones": {[]string{"egd follow-up", "follow-up", "egd"}, "s-0+s-1:follow-up"},
		"both types":                       {[]string{"egd follow-up", "follow-up egd"}, "s-0+s-1:egd,follow-up"},
		"a type of the first alone":        {[]string{"egd follow-up", "egd new"}, "s-0+s-1:egd"},
		"no type is for all":               {[]string{"", "egd", ""}, "s-0+s-1:egd s-1+s-2:egd"},
		"no type at all":                   {[]string{"", ""}, "s-0+s-1:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, dir := clinic(t, "a")
			source.Rules = scheduling.Rules{hourly()}
			slots := slotsOn("sched", "s", tomorrow, len(c.types))
			for i, types := range c.types {
				for _, one := range strings.Fields(types) {
					slots[i].ServiceType = append(slots[i].ServiceType, code("visit", one)...)
				}
			}
			r := open(t, source)
			r.Load("a", scheduling.Snapshot{Loaded: true, Directory: dir, Status: fine("a", noon), Windows: windowsOf(slots, source.Zone, 1, noon)})
			var got []string
			for _, hit := range find(t, r, scheduling.Query{Count: 10}).Offers {
				var types []string
				for _, concept := range hit.ServiceType() {
					types = append(types, concept.Codings[0].Code)
				}
				got = append(got, strings.Join(slotsOf(hit), "+")+":"+strings.Join(types, ","))
			}
			if all := strings.Join(got, " "); all != c.want {
				t.Errorf("offered: %q, want %q", all, c.want)
			}
		})
	}
}
