package upstream

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"slotgate/upstream/ehrsim"
)

func TestAnAnswerIsAsOldAsItsSourceSays(t *testing.T) {
	t.Parallel()
	said, sent := time.Date(2026, 11, 23, 11, 59, 20, 0, time.UTC), time.Date(2026, 11, 23, 11, 59, 50, 0, time.UTC)
	for name, tc := range map[string]struct {
		meta, date string
		want       time.Time
	}{
		"by the Bundle":                  {`"meta":{"lastUpdated":"2026-11-23T12:59:20+01:00"},`, sent.Format(http.TimeFormat), said},
		"by the Date of the answer":      {"", sent.Format(http.TimeFormat), sent},
		"where the Bundle's is nonsense": {`"meta":{"lastUpdated":"just now"},`, sent.Format(http.TimeFormat), sent},
		"not at all":                     {"", "yesterday", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", tc.date)
				_, _ = fmt.Fprintf(w, `{"resourceType":"Bundle",%s"type":"searchset","total":0}`, tc.meta)
			}), nil)
			if got := fetch(t, c, ahead(noon, 1)); !got.Valid.Equal(tc.want) || !got.Complete {
				t.Errorf("valid %v, want %v; complete %v", got.Valid, tc.want, got.Complete)
			}
		})
	}
}

func TestOfManyPagesTheOldestCounts(t *testing.T) {
	t.Parallel()
	a, b := noon, noon.Add(-time.Minute)
	for _, tc := range []struct{ one, two, want time.Time }{
		{a, b, b}, {b, a, b}, {time.Time{}, a, a}, {a, time.Time{}, a}, {time.Time{}, time.Time{}, time.Time{}},
	} {
		if got := older(tc.one, tc.two); !got.Equal(tc.want) {
			t.Errorf("of %v and %v: %v", tc.one, tc.two, got)
		}
	}
}

func TestAManifestTellsItsTime(t *testing.T) {
	t.Parallel()
	p := published(t, ehrsim.Options{}, nil)
	got := fetch(t, p.client, ahead(time.Now(), 3))
	if got.Valid.IsZero() || got.Valid.After(time.Now()) {
		t.Errorf("valid %v", got.Valid)
	}
}
