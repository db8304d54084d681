package cache

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestASourcesOwnTimeGoesWithTheCheck(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	scope := scheduling.Scope{Days: scheduling.Days{From: 20_000, To: 20_007}, Schedules: []string{"a"}}
	for name, tc := range map[string]struct{ told, want time.Time }{
		"earlier":          {at.Add(-40 * time.Second), at.Add(-40 * time.Second)},
		"ahead of ours":    {at.Add(time.Hour), at},
		"it tells none":    {time.Time{}, time.Time{}},
		"before the epoch": {time.Unix(-5, 0), time.Unix(-5, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := newCheck(scope, 7, at).validAt(tc.told).text()
			if err != nil {
				t.Fatal(err)
			}
			back, err := readCheck("", text)
			if err != nil {
				t.Fatal(err)
			}
			if got := back.domain(); !got.Valid.Equal(tc.want) || !got.At.Equal(at) {
				t.Errorf("%+v", got)
			}
		})
	}
	if floor := newCheck(scope, 7, at).validAt(at).floor(); floor.Valid != 0 {
		t.Error("a floor says nothing of freshness")
	}
}
