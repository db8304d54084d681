package ehrsim

import (
	"slices"
	"strings"
)

// JSON says by its brackets what repeats and by its quotes what is a string;
// XML says neither, but fixes the order. These small tables, for the handful of
// types this server knows, are all that crossing between them needs.

// alwaysLists repeat wherever they stand.
var alwaysLists = words(`coding extension modifierExtension contained given prefix suffix line
	entry issue security tag telecom specialty serviceType availableTime notAvailable daysOfWeek
	qualification communication contact endpoint alias participant requestedPeriod program
	characteristic parameter part photo`)

// listsOf are the other repeating members, by the path from the resource.
var listsOf = map[string][]string{
	"*":                 words("meta.profile"),
	"Bundle":            words("link entry.link"),
	"Organization":      words("type address"),
	"Practitioner":      words("name address"),
	"PractitionerRole":  words("code location healthcareService"),
	"HealthcareService": words("type location coverageArea"),
	"Schedule":          words("actor"),
	"Appointment":       words("slot participant.type reason indication reasonCode reasonReference supportingInformation basedOn"),
	"Patient":           words("name address link generalPractitioner contact.relationship"),
	"RelatedPerson":     words("name address"),
	"Coverage":          words("payor class contract costToBeneficiary"),
	"Subscription":      words("channel.header"),
}

// listsOfR4 repeat in R4 and not in STU3.
var listsOfR4 = map[string][]string{
	"Slot":              words("serviceCategory"),
	"Schedule":          words("serviceCategory"),
	"Appointment":       words("serviceCategory"),
	"Location":          words("type hoursOfOperation"),
	"HealthcareService": words("category eligibility"),
}

// booleans and numbers are written without quotes in JSON.
var (
	booleans = words(`active allDay overbooked preferred appointmentRequired valueBoolean multipleBirthBoolean`)
	numbers  = words(`latitude longitude altitude minutesDuration rank total priority order score valueInteger
		valueDecimal valuePositiveInt valueUnsignedInt`)
)

// orders give the sequence of a resource's own members in XML, after those
// that every resource begins with.
var (
	orderFirst = words("resourceType id meta implicitRules language text contained extension modifierExtension")
	orders     = map[string][]string{
		"Bundle":            words("identifier type timestamp total link entry signature"),
		"Organization":      words("identifier active type name alias telecom address partOf contact endpoint"),
		"Practitioner":      words("identifier active name telecom address gender birthDate photo qualification communication"),
		"PractitionerRole":  words("identifier active period practitioner organization code specialty location healthcareService telecom availableTime notAvailable availabilityExceptions endpoint"),
		"Location":          words("identifier status operationalStatus name alias description mode type telecom address physicalType position managingOrganization partOf hoursOfOperation availabilityExceptions endpoint"),
		"HealthcareService": words("identifier active providedBy category type specialty location name comment extraDetails photo telecom coverageArea serviceProvisionCode eligibility eligibilityNote programName program characteristic communication referralMethod appointmentRequired availableTime notAvailable availabilityExceptions endpoint"),
		"Schedule":          words("identifier active serviceCategory serviceType specialty actor planningHorizon comment"),
		"Slot":              words("identifier serviceCategory serviceType specialty appointmentType schedule status start end overbooked comment"),
		"Patient":           words("identifier active name telecom gender birthDate deceasedBoolean deceasedDateTime address maritalStatus multipleBirthBoolean multipleBirthInteger photo contact animal communication generalPractitioner managingOrganization link"),
		"RelatedPerson":     words("identifier active patient relationship name telecom gender birthDate address photo period communication"),
		"Coverage":          words("identifier status type policyHolder subscriber subscriberId beneficiary dependent relationship period payor grouping class order network costToBeneficiary subrogation contract"),
		"Appointment":       words("identifier status cancelationReason serviceCategory serviceType specialty appointmentType reason reasonCode indication reasonReference priority description supportingInformation start end minutesDuration slot created comment patientInstruction incomingReferral basedOn participant requestedPeriod"),
	}
)

func words(s string) []string { return strings.Fields(s) }

// repeats says whether the member at a path ("participant.type") of a resource
// type is a list.
func repeats(version FHIR, resourceType, path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if resourceType == "Subscription" && path == "channel.endpoint" {
		return false // an address, where others have references
	}
	return slices.Contains(alwaysLists, name) ||
		slices.Contains(listsOf["*"], path) ||
		path == "identifier" && resourceType != "Bundle" ||
		slices.Contains(listsOf[resourceType], path) ||
		version == R4 && slices.Contains(listsOfR4[resourceType], path)
}

// typed turns the text of an XML attribute into the JSON value of that member.
func typed(name, text string) any {
	switch {
	case slices.Contains(booleans, name) && (text == "true" || text == "false"):
		return text == "true"
	case slices.Contains(numbers, name) && isNumber(text):
		return number(text)
	}
	return text
}

// isNumber accepts what JSON would: digits with an optional minus and point.
func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	whole, rest, point := strings.Cut(digits, ".")
	ok := whole != "" && strings.Trim(whole, "0123456789") == "" && strings.Trim(rest, "0123456789") == ""
	return ok && (!point || rest != "") && (whole == "0" || whole[0] != '0')
}

// inOrder sorts a resource's members as XML wants them; unknown ones stay last.
func inOrder(o object) object {
	own, known := orders[o.str("resourceType")]
	if !known {
		return o
	}
	rank := func(m member) int {
		if i := slices.Index(orderFirst, m.name); i >= 0 {
			return i
		}
		if i := slices.Index(own, m.name); i >= 0 {
			return len(orderFirst) + i
		}
		return len(orderFirst) + len(own)
	}
	out := slices.Clone(o)
	slices.SortStableFunc(out, func(a, b member) int { return rank(a) - rank(b) })
	return out
}
