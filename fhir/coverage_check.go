package fhir

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// What one Coverage may have: more is no insurance card.
const (
	maxCoverage = 64 << 10 // bytes, as JSON
	maxListed   = 50       // of one element
)

// checkCoverage tells what keeps a coverage from being kept: the Argonaut
// profile's rules, as far as they do not need the plan, and ours.
func checkCoverage(c *model.Coverage) error {
	for _, check := range []func(*model.Coverage) error{checkCoverageSize, checkCoverageRules, checkCoverageCodes, checkWhom, checkPayor, checkRelated, checkCoverageDates} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func checkCoverageSize(c *model.Coverage) error {
	for _, n := range []struct {
		element string
		have    int
	}{
		{"Coverage.identifier", len(c.Identifier)},
		{"Coverage.contained", len(c.Contained)},
		{"Coverage.payor", len(c.Payor)},
		{"Coverage.class", len(c.Class)},
		{"Coverage.extension", len(c.Extension)},
	} {
		if n.have > maxListed {
			return scheduling.Refuse(scheduling.NotAcceptable, n.element, "there are more than %d of %s", maxListed, n.element)
		}
	}
	data, err := codecOf(scheduling.R4).encode(c)
	if err != nil || len(data) > maxCoverage {
		return scheduling.Refuse(scheduling.NotAcceptable, "Coverage", "the coverage is larger than %d bytes", maxCoverage)
	}
	return nil
}

// ofAnotherRelease refuses elements that this release has no place for, and
// which would be lost. JSON lets them through.
func ofAnotherRelease(rel scheduling.Release, c *model.Coverage) error {
	names := []string{"grouping", "sequence"}
	if rel == scheduling.STU3 {
		names = []string{"costToBeneficiary", "subrogation"}
	}
	for _, name := range names {
		if bytes.Contains(c.X, []byte(`"`+name+`":`)) {
			return refuseCoverage("Coverage."+name, "this version of FHIR has no Coverage."+name)
		}
	}
	return nil
}

// checkCoverageRules refuses what changes the meaning in a way that is not known
// here, and identifiers that are ours to give.
func checkCoverageRules(c *model.Coverage) error {
	modified := c.ImplicitRules != "" || len(c.ModifierExtension) > 0
	for _, res := range c.Contained {
		base := res.Common()
		modified = modified || base.ImplicitRules != "" || len(base.ModifierExtension) > 0
	}
	if modified {
		return refuseCoverage("Coverage", "the coverage follows rules that are not known here")
	}
	for _, id := range c.Identifier {
		if strings.HasPrefix(id.System, "urn:slotgate:") {
			return refuseCoverage("Coverage.identifier", "identifiers of this system are the gateway's")
		}
	}
	return nil
}

func checkCoverageCodes(c *model.Coverage) error {
	switch {
	case !slices.Contains([]string{"", "active", "cancelled", "draft", "entered-in-error"}, c.Status):
		return refuseCoverage("Coverage.status", "Coverage.status is none of active, cancelled, draft, entered-in-error")
	case c.Order != nil && *c.Order < 1:
		return refuseCoverage("Coverage.order", "Coverage.order is not a positive number")
	}
	return nil
}

// checkWhom refuses whatever an EHR could take for another patient than the one
// who is registered here: an identifier is a record there that nobody here has
// looked at. People are named by reference alone.
func checkWhom(c *model.Coverage) error {
	const other = "must be a reference to a patient who is registered here, without an identifier beside it"
	for _, res := range c.Contained {
		if res.ResourceType() == string(kindPatient) {
			return refuseCoverage("Coverage.contained", "a patient whom the coverage names must be registered; refer to the Patient")
		}
	}
	if c.Beneficiary != nil && patientIn(c.Beneficiary) == "" {
		return refuseCoverage("Coverage.beneficiary", "Coverage.beneficiary "+other)
	}
	if c.Subscriber != nil && c.Subscriber.Identifier != nil {
		return refuseCoverage("Coverage.subscriber", "Coverage.subscriber "+other+", or a RelatedPerson who is contained")
	}
	refs := map[string]*model.Reference{"Coverage.beneficiary": c.Beneficiary, "Coverage.policyHolder": c.PolicyHolder}
	for i := range c.Payor {
		if refersToSomebody(c, &c.Payor[i]) && c.Payor[i].Identifier != nil {
			return refuseCoverage("Coverage.payor", "Coverage.payor "+other)
		}
	}
	for _, res := range c.Contained {
		if person, ok := res.(*model.RelatedPerson); ok {
			refs["RelatedPerson.patient"] = person.Patient
			if person.Patient != nil && person.Patient.Identifier != nil {
				return refuseCoverage("RelatedPerson.patient", "RelatedPerson.patient "+other)
			}
		}
	}
	for element, ref := range refs {
		if refersToSomebody(c, ref) && ref.Identifier != nil {
			return refuseCoverage(element, element+" "+other)
		}
	}
	return nil
}

// refersToSomebody: the reference leads to a person, not to an organization.
func refersToSomebody(c *model.Coverage, ref *model.Reference) bool {
	return patientIn(ref) != "" || relatedIn(c, ref) != nil
}

// checkPayor wants to be told who pays in a way that others understand: the
// address of an Organization elsewhere is not.
func checkPayor(c *model.Coverage) error {
	for i := range c.Payor {
		ref := &c.Payor[i]
		known := strings.HasPrefix(ref.Reference, "#") || patientIn(ref) != "" || ref.Display != "" ||
			ref.Identifier != nil && ref.Identifier.Value != ""
		if !known {
			return lacksCoverage("Coverage.payor", "Coverage.payor needs a display or an identifier, or must be contained")
		}
	}
	if len(c.Payor) == 0 {
		return lacksCoverage("Coverage.payor", "the coverage lacks Coverage.payor")
	}
	return nil
}

func lacksCoverage(element, message string) error {
	return scheduling.Refuse(scheduling.MissingData, element, "%s", message)
}

func checkRelated(c *model.Coverage) error {
	for _, res := range c.Contained {
		person, ok := res.(*model.RelatedPerson)
		switch {
		case !ok:
		case patientIn(person.Patient) == "":
			return lacksCoverage("RelatedPerson.patient", "a RelatedPerson needs a reference to the patient whom it is related to")
		case !slices.Contains([]string{"", "male", "female", "other", "unknown"}, person.Gender):
			return refuseCoverage("RelatedPerson.gender", "RelatedPerson.gender is none of male, female, other, unknown")
		case len(person.Name) > maxListed, len(person.Telecom) > maxListed, len(person.Address) > maxListed, len(person.Identifier) > maxListed:
			return scheduling.Refuse(scheduling.NotAcceptable, "RelatedPerson", "there are more than %d of one element", maxListed)
		}
	}
	return nil
}

// dateTime of any precision (https://hl7.org/fhir/R4/datatypes.html#dateTime).
var dateTime = regexp.MustCompile(`^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?)?)?$`)

// realDate tells whether the text is a day, a month, a year or a time that there
// is in the calendar.
func realDate(text string) bool {
	if !dateTime.MatchString(text) {
		return false
	}
	layouts := map[int]string{4: "2006", 7: "2006-01", 10: time.DateOnly}
	if layout := layouts[len(text)]; layout != "" {
		_, err := time.Parse(layout, text)
		return err == nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return false
}

func checkPeriod(element string, p *model.Period) error {
	if p == nil {
		return nil
	}
	for _, text := range []string{p.Start, p.End} {
		if text != "" && !realDate(text) {
			return refuseCoverage(element, element+" has an impossible date")
		}
	}
	if n := min(len(p.Start), len(p.End), len(time.DateOnly)); n > 0 && p.Start[:n] > p.End[:n] {
		return refuseCoverage(element, element+" ends before it begins")
	}
	return nil
}

func checkCoverageDates(c *model.Coverage) error {
	if err := checkPeriod("Coverage.period", c.Period); err != nil {
		return err
	}
	for _, id := range c.Identifier {
		if err := checkPeriod("Coverage.identifier.period", id.Period); err != nil {
			return err
		}
	}
	for _, res := range c.Contained {
		person, ok := res.(*model.RelatedPerson)
		if !ok {
			continue
		}
		if person.BirthDate != "" && (!realDate(person.BirthDate) || len(person.BirthDate) > len(time.DateOnly)) {
			return refuseCoverage("RelatedPerson.birthDate", "RelatedPerson.birthDate is no date")
		}
		if err := checkPeriod("RelatedPerson.period", person.Period); err != nil {
			return err
		}
	}
	return nil
}

// covered finds whom the coverage covers: the beneficiary, else the patient of
// the RelatedPerson who subscribes, else the subscriber; else the one who is
// meant where it came from.
func covered(c *model.Coverage, otherwise string) (string, error) {
	const element = "Coverage.beneficiary"
	beneficiary, subscriber := patientIn(c.Beneficiary), patientIn(c.Subscriber)
	if c.Beneficiary != nil && strings.HasPrefix(c.Beneficiary.Reference, "#") {
		return "", refuseCoverage(element, "the patient who is covered must be registered; refer to the Patient")
	}
	dependent := ""
	if person := relatedIn(c, c.Subscriber); person != nil {
		dependent = patientIn(person.Patient)
	}
	switch {
	case beneficiary != "" && dependent != "" && beneficiary != dependent:
		return "", refuseCoverage(element, "the beneficiary is another patient than the one whom the subscriber is related to")
	case beneficiary != "":
		return beneficiary, nil
	case dependent != "":
		return dependent, nil
	case subscriber != "" && !ofAnother(c.Relationship):
		return subscriber, nil
	case otherwise != "" && otherwise != subscriber:
		return otherwise, nil
	case subscriber != "":
		return "", lacksCoverage(element, "the patient is not the subscriber: the coverage lacks "+element)
	default:
		return "", lacksCoverage(element, "the coverage says by no reference whom it covers: it lacks "+element+" or Coverage.subscriber")
	}
}

// ofAnother tells whether the patient is somebody else than the subscriber, or
// may be: whatever is said of a relationship and is not "self", in whichever code
// system, leaves it open who is covered.
func ofAnother(relationship *model.CodeableConcept) bool {
	if relationship == nil {
		return false
	}
	self, other := false, false
	for _, coding := range relationship.Coding {
		switch code := strings.ToLower(coding.Code); {
		case code == "self", code == "oneself":
			self = true
		case code != "" || coding.Display != "":
			other = true
		}
		if slices.Contains(relationshipSystems, coding.System) && coding.Code != "" {
			return coding.Code != "self"
		}
	}
	if self || other {
		return !self
	}
	return relationship.Text != "" && !strings.EqualFold(relationship.Text, "self")
}

// relationshipSystems are FHIR's own, of R4 and of STU3: what they say counts.
var relationshipSystems = []string{
	"http://terminology.hl7.org/CodeSystem/subscriber-relationship", "http://hl7.org/fhir/policyholder-relationship",
}
