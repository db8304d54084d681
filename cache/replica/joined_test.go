package replica

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

// The doctor of two clinics is found at both, whichever record is asked for; by
// name, or by a number that many share, nobody is joined.
func TestOneDoctorIsFoundAtAllClinicsByNPI(t *testing.T) {
	t.Parallel()
	npi := func(value string) []scheduling.Identifier {
		return []scheduling.Identifier{{System: scheduling.NPISystem, Value: value}}
	}
	tomorrow := time.Date(2026, 11, 1, 14, 0, 0, 0, time.UTC)
	var sources []scheduling.Source
	snaps := map[scheduling.SourceID]scheduling.Snapshot{}
	for _, id := range []scheduling.SourceID{"a", "b", "c"} {
		source, dir := clinic(t, id)
		dir.Locations["where"].Identifiers = npi("1000000004")
		dir.Organizations["practice"].Identifiers = npi("1000000012")
		if id == "b" { // two places of b carry the number of their organization
			dir.Locations["annex"] = &scheduling.Location{ID: "annex", Name: "Annex", Identifiers: npi("1000000004")}
		}
		if id == "c" { // somebody else of the same name
			dir.Practitioners["who"].Identifiers = npi("1999999999")
		}
		snaps[id] = scheduling.Snapshot{
			Loaded: true, Directory: dir, Status: fine(id, noon),
			Windows: windowsOf(slotsOn("sched", "s", tomorrow, 4), source.Zone, 1, noon),
		}
		sources = append(sources, source)
	}
	r := open(t, sources...)
	for id, snap := range snaps {
		r.Load(id, snap)
	}
	ours := func(source scheduling.SourceID, kind scheduling.Kind, id string) []scheduling.Ref {
		return []scheduling.Ref{{Kind: kind, ID: scheduling.ResourceID(source, kind, id)}}
	}
	person, place, org := scheduling.KindPractitioner, scheduling.KindLocation, scheduling.KindOrganization
	for name, tc := range map[string]struct {
		q    scheduling.Query
		want int
	}{
		"a's doctor":              {scheduling.Query{Practitioners: ours("a", person, "who")}, 8},
		"b's doctor":              {scheduling.Query{Practitioners: ours("b", person, "who")}, 8},
		"c's doctor of that name": {scheduling.Query{Practitioners: ours("c", person, "who")}, 4},
		"by the address of a's":   {scheduling.Query{Practitioners: []scheduling.Ref{{URL: "https://a.example/fhir/Practitioner/who"}}}, 8},
		"a's doctor, at a alone":  {scheduling.Query{Practitioners: ours("a", person, "who"), Sources: []scheduling.SourceID{"a"}}, 4},
		"both, each once":         {scheduling.Query{Practitioners: append(ours("a", person, "who"), ours("b", person, "who")...)}, 8},
		"a's organization":        {scheduling.Query{Organizations: ours("a", org, "practice")}, 12},
		"a's place":               {scheduling.Query{Locations: ours("a", place, "where")}, 12},
		"b's place, whose number its annex has too": {scheduling.Query{Locations: ours("b", place, "where")}, 4},
		"nobody":                      {scheduling.Query{Practitioners: ours("a", person, "nobody")}, 0},
		"by a record of another kind": {scheduling.Query{Practitioners: ours("a", place, "where")}, 0},
	} {
		refs := len(tc.q.Practitioners) + len(tc.q.Locations) + len(tc.q.Organizations)
		if got := find(t, r, tc.q).Total; got != tc.want {
			t.Errorf("%s: %d offers, want %d", name, got, tc.want)
		}
		if len(tc.q.Practitioners)+len(tc.q.Locations)+len(tc.q.Organizations) != refs {
			t.Errorf("%s: the caller's question was changed", name)
		}
	}
}
