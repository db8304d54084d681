package fhir

import (
	"strconv"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Coverage comes in whatever release a caller speaks, and is kept as it came but
// for its references: what leads to a person leads to a Patient of ours, and a
// RelatedPerson is contained. It goes to a source in the source's release, with
// the source's own Patient ids.

// CoverageContext is what a Coverage may refer to.
type CoverageContext struct {
	// Bases are our own base URLs: a reference below one of them is ours.
	Bases []string
	// Patients are ids of ours by references that only the same request explains:
	// those of Patients that came with it.
	Patients map[string]string
	// Related are the RelatedPersons that came with it, by reference. One that the
	// Coverage names becomes part of it.
	Related map[string]*model.RelatedPerson
	// Patient is our id of the one whom it covers if it does not say so itself.
	Patient string
}

// ReadCoverage reads a Coverage that somebody gives.
//
// Errors: bad-request where it cannot be read; missing-data naming the elements;
// not-acceptable for what cannot be kept whole or must not be passed on, and for
// references to people who are not registered here.
func ReadCoverage(rel scheduling.Release, f Format, body []byte, within CoverageContext) (scheduling.Coverage, error) {
	given, err := DecodeCoverage(rel, f, body)
	if err != nil {
		return scheduling.Coverage{}, err
	}
	return CoverageOf(rel, given, within)
}

// DecodeCoverage reads a Coverage as it came.
//
// Errors: bad-request; not-acceptable for what cannot be kept whole.
func DecodeCoverage(rel scheduling.Release, f Format, body []byte) (*model.Coverage, error) {
	res, dropped, err := ReadCounting(rel, f, body)
	if err != nil {
		return nil, err
	}
	given, ok := res.(*model.Coverage)
	switch {
	case !ok:
		return nil, scheduling.Refuse(scheduling.BadRequest, "", "the body is not a Coverage")
	case dropped > 0:
		return nil, refuseCoverage("Coverage", "the coverage has elements that this version of FHIR does not have")
	}
	return given, nil
}

// CoverageOf makes what is kept of a Coverage, as ReadCoverage does.
func CoverageOf(rel scheduling.Release, given *model.Coverage, within CoverageContext) (scheduling.Coverage, error) {
	var none scheduling.Coverage
	if err := ofAnotherRelease(rel, given); err != nil {
		return none, err
	}
	kept := *given
	kept.ID = ""
	if kept.Meta != nil {
		meta := *kept.Meta
		meta.VersionID, meta.LastUpdated, meta.Source = "", "", ""
		kept.Meta = &meta
	}
	within.fold(&kept)
	data, err := codecOf(rel).encode(&kept)
	if err != nil {
		return none, refuseCoverage("Coverage", "the coverage cannot be kept")
	}
	if err := harmless("Coverage", data); err != nil {
		return none, err
	}
	if data, err = within.refer(data); err != nil {
		return none, err
	}
	c := scheduling.Coverage{Release: rel, Resource: data}
	ours, err := coverageOf(c)
	if err != nil {
		return none, refuseCoverage("Coverage", "the coverage cannot be kept")
	}
	if err := checkCoverage(ours); err != nil {
		return none, err
	}
	if c.Patient, err = covered(ours, within.Patient); err != nil {
		return none, err
	}
	imply(ours, "Patient/"+c.Patient)
	if Check(rel, ours) != nil {
		return none, refuseCoverage("Coverage", "the coverage is not valid in this version of FHIR")
	}
	if err := sendable(c); err != nil {
		return none, err
	}
	return c, nil
}

// sendable refuses what no EHR could be sent later.
func sendable(c scheduling.Coverage) error {
	people, err := PatientsOf(c)
	if err != nil {
		return err
	}
	natives := make(map[string]string, len(people))
	for _, id := range people {
		natives[id] = "1"
	}
	sent, err := CoverageToSend(c, natives, "")
	if err != nil {
		return err
	}
	if !writable(sent) {
		return refuseCoverage("Coverage", "without the references that mean nothing elsewhere, nothing valid is left of the coverage")
	}
	return nil
}

func refuseCoverage(element, message string) *scheduling.Error {
	return scheduling.Refuse(scheduling.NotAcceptable, element, "%s", message)
}

// imply fills in what R4 requires and STU3 does not: who has an insurance card
// to show has an insurance that is active.
func imply(c *model.Coverage, beneficiary string) {
	if !named(c.Beneficiary) {
		c.Beneficiary, c.Implied.Beneficiary = &model.Reference{Reference: beneficiary}, true
	}
	if c.Status == "" {
		c.Status, c.Implied.Status = "active", true
	}
}

// CoverageFor is the coverage as callers see it: everything as it came, under
// our id. It is written in any release.
func CoverageFor(c scheduling.Coverage) (*model.Coverage, error) {
	out, err := coverageOf(c)
	if err != nil {
		return nil, err
	}
	out.ID = c.ID
	if out.Meta == nil {
		out.Meta = &model.Meta{}
	}
	if c.Version > 0 {
		out.Meta.VersionID = strconv.FormatUint(c.Version, 10)
	}
	if !c.Updated.IsZero() {
		out.Meta.LastUpdated = c.Updated.UTC().Format(time.RFC3339)
	}
	imply(out, "Patient/"+c.Patient)
	return out, nil
}

// CoverageToSend is the coverage as an EHR is sent it: its people by their ids
// there (natives, by ours) and by nothing else, so that nobody is meant whom
// nobody asked for; with our identifier beside its own, and without its narrative
// and references to anything else, which mean nothing there. Whom it covers is
// its patient, whatever it says. It is written in any release.
//
// Errors: not-acceptable where it names somebody whom natives lack.
func CoverageToSend(c scheduling.Coverage, natives map[string]string, identifier string) (*model.Coverage, error) {
	all, err := tree(c.Resource)
	if err != nil {
		return nil, err
	}
	strange := natives[c.Patient] == ""
	onlyReferences(all)
	kept, _ := referring(func(reference string) (string, bool) {
		kind, id := RefParts(reference)
		if kind != kindPatient {
			return "", false
		}
		strange = strange || natives[id] == ""
		return "Patient/" + natives[id], natives[id] != ""
	}).value(withoutNarrative(all))
	if strange {
		return nil, refuseCoverage("Coverage", "the coverage names a patient whom the source does not know")
	}
	data, err := untree(kept)
	if err != nil {
		return nil, err
	}
	out, err := coverageOf(scheduling.Coverage{Release: c.Release, Resource: data})
	if err != nil {
		return nil, err
	}
	if out.Implied.Beneficiary, err = saysWhom(c); err != nil {
		return nil, err
	}
	ours := model.Reference{Reference: "Patient/" + natives[c.Patient]}
	if was := out.Beneficiary; was != nil && was.Type == string(kindPatient) {
		ours.Type = was.Type
	}
	out.Beneficiary = &ours
	imply(out, ours.Reference)
	if identifier != "" {
		out.Identifier = append(out.Identifier, model.Identifier{System: scheduling.CoverageIdentifierSystem, Value: identifier})
	}
	return out, nil
}

// saysWhom: the coverage has no beneficiary, and needs none where the release
// does not require it: what else it says leads to its patient. What names nobody,
// or the subscriber alone, would be nobody's there, or the subscriber's.
func saysWhom(c scheduling.Coverage) (bool, error) {
	ours, err := coverageOf(c)
	if err != nil || ours.Beneficiary != nil {
		return false, err
	}
	patient, err := covered(ours, "")
	return err == nil && patient == c.Patient, nil
}

// onlyReferences drops what stands beside a reference to a person: a logical
// identifier or a name may be another's than the one whom it leads to.
func onlyReferences(value any) {
	switch v := value.(type) {
	case map[string]any:
		at, _ := v["reference"].(string)
		if kind, _ := RefParts(at); kind == kindPatient {
			for _, name := range []string{"identifier", "display", "_display"} {
				delete(v, name)
			}
		}
		for _, inner := range v {
			onlyReferences(inner)
		}
	case []any:
		for _, inner := range v {
			onlyReferences(inner)
		}
	}
}

// withoutNarrative drops the texts that were made of the elements for people to
// read: they name ids that mean nothing elsewhere.
func withoutNarrative(all any) any {
	top, ok := all.(map[string]any)
	if !ok {
		return all
	}
	delete(top, "text")
	inner, _ := top["contained"].([]any)
	for _, one := range inner {
		withoutNarrative(one)
	}
	return top
}

func coverageOf(c scheduling.Coverage) (*model.Coverage, error) {
	res, err := Read(c.Release, JSON, c.Resource)
	if err != nil {
		return nil, scheduling.Fault(scheduling.Internal, err, "a coverage that was kept cannot be read")
	}
	out, ok := res.(*model.Coverage)
	if !ok {
		return nil, scheduling.Fault(scheduling.Internal, nil, "what was kept is not a coverage")
	}
	return out, nil
}
