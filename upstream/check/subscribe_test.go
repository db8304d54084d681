package check

import (
	"slices"
	"testing"

	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

func TestItIsToldWhetherASourceTakesSubscriptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		offered bool
		way     upstream.Subscribe
		want    Verdict // "": no row
	}{
		{"not wanted", true, upstream.SubscribeNever, ""},
		{"wanted and offered", true, upstream.SubscribeAlways, Works},
		{"wanted and not offered", false, upstream.SubscribeAlways, WithQuirk},
		{"where it is offered", false, upstream.SubscribeAuto, Works},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := rows(t, func(o *ehrsim.Options) { o.Notify.Offered = c.offered }, func(o *upstream.Options) { o.Subscribe = c.way })
			at := slices.IndexFunc(all, func(r Row) bool { return r.Name == "subscribe" })
			if c.want == "" && at < 0 {
				return
			}
			if at < 0 || all[at].Verdict != c.want || all[at].Needed {
				t.Errorf("%+v", all)
			}
		})
	}
}
