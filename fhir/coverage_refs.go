package fhir

import (
	"slices"
	"strconv"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

const kindRelated scheduling.Kind = "RelatedPerson"

// fold makes a RelatedPerson that came beside the Coverage a part of it, so that
// its meaning stays when it goes elsewhere: the subscriber as a rule, or who
// holds or pays the policy.
func (within CoverageContext) fold(c *model.Coverage) {
	if len(within.Related) == 0 {
		return
	}
	c.Contained = slices.Clone(c.Contained)
	folded := map[*model.RelatedPerson]string{}
	one := func(ref *model.Reference) *model.Reference {
		if ref == nil || within.Related[ref.Reference] == nil {
			return ref
		}
		person := within.Related[ref.Reference]
		if folded[person] == "" {
			folded[person] = freeID(c.Contained)
			c.Contained = append(c.Contained, inside(person, folded[person]))
		}
		out := *ref
		out.Reference = "#" + folded[person]
		return &out
	}
	c.Subscriber, c.PolicyHolder = one(c.Subscriber), one(c.PolicyHolder)
	c.Payor = slices.Clone(c.Payor)
	for i := range c.Payor {
		c.Payor[i] = *one(&c.Payor[i])
	}
}

// inside is a RelatedPerson as one that is contained, which has no narrative and
// no version of its own (constraints dom-1 and dom-4).
func inside(person *model.RelatedPerson, id string) *model.RelatedPerson {
	out := *person
	out.ID, out.Text = id, nil
	if out.Meta != nil {
		meta := *out.Meta
		meta.VersionID, meta.LastUpdated, meta.Source = "", "", ""
		out.Meta = &meta
		if len(meta.Profile)+len(meta.Security)+len(meta.Tag)+len(meta.Extension)+len(meta.X) == 0 {
			out.Meta = nil
		}
	}
	return &out
}

// freeID is an id that nothing contained has yet.
func freeID(contained []model.Resource) string {
	for n := 1; ; n++ {
		id := "related-" + strconv.Itoa(n)
		if !slices.ContainsFunc(contained, func(r model.Resource) bool { return r != nil && r.Common().ID == id }) {
			return id
		}
	}
}

// refer gives the resource with the references to people as ours, and refuses
// those that lead to people whom we do not have.
func (within CoverageContext) refer(data []byte) ([]byte, error) {
	all, err := tree(data)
	if err != nil {
		return nil, err
	}
	var refusal error
	ids := containedIDs(all)
	within.each(all, func(reference string) string {
		to, err := within.address(reference, ids)
		if err != nil && refusal == nil {
			refusal = err
		}
		return to
	})
	if refusal != nil {
		return nil, refusal
	}
	return untree(all)
}

// each changes every reference of the tree.
func (within CoverageContext) each(value any, change func(string) string) {
	switch v := value.(type) {
	case map[string]any:
		if at, ok := v["reference"].(string); ok {
			v["reference"] = change(at)
		}
		for _, inner := range v {
			within.each(inner, change)
		}
	case []any:
		for _, inner := range v {
			within.each(inner, change)
		}
	}
}

func containedIDs(all any) map[string]bool {
	ids := map[string]bool{}
	top, _ := all.(map[string]any)
	list, _ := top["contained"].([]any)
	for _, one := range list {
		inner, _ := one.(map[string]any)
		if id, ok := inner["id"].(string); ok {
			ids[strings.TrimPrefix(id, "#")] = true
		}
	}
	return ids
}

// address is what is kept of a reference.
func (within CoverageContext) address(reference string, contained map[string]bool) (string, error) {
	const element = "Coverage"
	if id, ok := strings.CutPrefix(reference, "#"); ok {
		if id != "" && !contained[id] {
			return "", refuseCoverage(element, "the coverage refers to something contained that is not there")
		}
		return reference, nil
	}
	local := localTo(within.Bases, reference)
	for _, known := range []string{reference, local} {
		if id := within.Patients[known]; id != "" {
			return "Patient/" + id, nil
		}
	}
	kind, id := RefParts(local)
	switch {
	case strings.HasPrefix(reference, "urn:uuid:"), strings.HasPrefix(reference, "urn:oid:"):
		return "", refuseCoverage(element, "the coverage refers to a resource that did not come with it")
	case kind == kindRelated:
		return "", refuseCoverage(element, "a RelatedPerson must be contained in the coverage, or come with it in one transaction")
	case kind != kindPatient:
		return reference, nil // means nothing at an EHR, and is not sent
	case strings.Count(local, "/") > 1 && !strings.HasPrefix(local, "Patient/"), !scheduling.OwnPatientID(id):
		return "", refuseCoverage(element, "the coverage names a patient who is not registered here; register the patient first")
	}
	return "Patient/" + id, nil
}

// patientIn is our Patient id in a reference, "" where it leads elsewhere.
func patientIn(ref *model.Reference) string {
	if ref == nil {
		return ""
	}
	kind, id := RefParts(ref.Reference)
	if kind != kindPatient || !scheduling.OwnPatientID(id) {
		return ""
	}
	return id
}

// relatedIn is the contained RelatedPerson that a reference leads to.
func relatedIn(c *model.Coverage, ref *model.Reference) *model.RelatedPerson {
	if ref == nil || !strings.HasPrefix(ref.Reference, "#") {
		return nil
	}
	for _, res := range c.Contained {
		person, ok := res.(*model.RelatedPerson)
		if ok && strings.TrimPrefix(person.ID, "#") == ref.Reference[1:] {
			return person
		}
	}
	return nil
}

// PatientsOf are our ids of everybody whom a coverage names, each once, the one
// whom it covers first.
func PatientsOf(c scheduling.Coverage) ([]string, error) {
	all, err := tree(c.Resource)
	if err != nil {
		return nil, err
	}
	list := []string{c.Patient}
	CoverageContext{}.each(all, func(reference string) string {
		if kind, id := RefParts(reference); kind == kindPatient && !slices.Contains(list, id) {
			list = append(list, id)
		}
		return reference
	})
	return list, nil
}
