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
	return c, nil
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
// there (natives, by ours), with our identifier beside its own, and without its
// narrative and references to anything else, which mean nothing there. It is
// written in any release.
//
// Errors: not-acceptable where it names somebody whom natives lack.
func CoverageToSend(c scheduling.Coverage, natives map[string]string, identifier string) (*model.Coverage, error) {
	all, err := tree(c.Resource)
	if err != nil {
		return nil, err
	}
	strange, named := natives[c.Patient] == "", false
	kept, _ := referring(func(reference string) (string, bool) {
		kind, id := RefParts(reference)
		if kind != kindPatient {
			return "", false
		}
		strange, named = strange || natives[id] == "", true
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
	imply(out, "Patient/"+natives[c.Patient])
	// What names nobody would be nobody's there.
	out.Implied.Beneficiary = out.Implied.Beneficiary && named
	if identifier != "" {
		out.Identifier = append(out.Identifier, model.Identifier{System: scheduling.CoverageIdentifierSystem, Value: identifier})
	}
	return out, nil
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
