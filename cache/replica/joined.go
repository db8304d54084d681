package replica

import (
	"slices"

	"slotgate/scheduling"
)

// One doctor works for several clinics, and each EHR has a record of its own. By
// the NPI (http://hl7.org/fhir/sid/us-npi) they are known to be one: who asks for
// the record of one source is shown the offers of all. By name nobody is joined,
// nor by an NPI that several records of a source carry, as the places of one
// organization do.

// joined widens refs to records by the records that other sources have of the
// same.
func (t *table) joined(q *scheduling.Query) {
	q.Practitioners = t.widened(q.Practitioners, scheduling.KindPractitioner)
	q.Locations = t.widened(q.Locations, scheduling.KindLocation)
	q.Organizations = t.widened(q.Organizations, scheduling.KindOrganization)
}

func (t *table) widened(refs []scheduling.Ref, kind scheduling.Kind) []scheduling.Ref {
	wide := slices.Clip(refs) // the caller's own list stays as it is
	for _, ref := range refs {
		if ref.Kind != "" && ref.Kind != kind {
			continue
		}
		for _, npi := range t.npis(ref, kind) {
			wide = append(wide, scheduling.Ref{Kind: kind, Identifier: npi})
		}
	}
	return wide
}

// npis are those of the record that the ref names, where no other record of its
// source has them.
func (t *table) npis(ref scheduling.Ref, kind scheduling.Kind) []scheduling.Identifier {
	entries := t.tagged(ref.ID)
	if ref.URL != "" {
		entries = t.list
	}
	var found []scheduling.Identifier
	for _, e := range entries {
		st := e.state.Load()
		known := st.dir.kinds[kind]
		for _, n := range st.dir.matches(scheduling.Ref{Kind: kind, ID: ref.ID, URL: ref.URL}, kind, st.source.Base, false, nil) {
			for _, identifier := range known.identifiers[n] {
				npi := scheduling.Identifier{System: scheduling.NPISystem, Value: identifier.Value}
				if identifier.System == npi.System && len(known.identified(npi, nil)) == 1 && !slices.Contains(found, npi) {
					found = append(found, npi)
				}
			}
		}
	}
	return found
}
