package fhir_test

import (
	"testing"
	"time"

	"slotgate/fhir"
	"slotgate/scheduling"
)

func TestPlaceCarriesItsOwnZoneElseItsSources(t *testing.T) {
	t.Parallel()
	denver, err := time.LoadLocation("America/Denver")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		own    string
		source *time.Location
		want   string
	}{
		"its own":                {"America/Chicago", denver, "America/Chicago"},
		"its source's":           {"", denver, "America/Denver"},
		"none is known":          {"", nil, ""},
		"a server's own is none": {"", time.Local, ""},
	} {
		place := fhir.FromLocation(fhir.Origin{Source: "a", Zone: c.source}, &scheduling.Location{ID: "l", Zone: c.own})
		got := ""
		for _, e := range place.Extension {
			got = e.ValueCode
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
