package gateway

import (
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
)

func TestPlaceWithoutAZoneOfItsOwnCarriesItsSources(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for source, want := range map[string]string{"napa": "America/Los_Angeles", "york": "America/New_York"} {
		for _, rel := range releases() {
			b := w.bundle(w.get("/fhir/"+string(rel)+"/Location?source="+source), rel)
			for _, e := range b.Entry {
				place, ok := e.Resource.(*model.Location)
				if !ok || len(place.Extension) != 1 || place.Extension[0].URL != fhir.TimezoneExtension || place.Extension[0].ValueCode != want {
					t.Errorf("%s in %s: %+v, want the zone %s", source, rel, e.Resource, want)
				}
			}
			if len(b.Entry) == 0 {
				t.Errorf("%s in %s: no places", source, rel)
			}
		}
	}
}
