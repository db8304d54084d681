package fhir

import (
	"regexp"
	"slices"

	"slotgate/fhir/model"
	"slotgate/fhir/stu3"
	"slotgate/scheduling"
)

// The code systems of why an appointment was cancelled: the Argonaut guide's
// (http://fhir.org/guides/argonaut-scheduling/ValueSet/status-reason) and R4's
// (http://hl7.org/fhir/R4/valueset-appointment-cancellation-reason.html).
const (
	argonautReasons = "http://fhir.org/guides/argonaut-scheduling/CodeSystem/status-reason"
	r4Reasons       = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
)

// reasonForm is what a reason's code may look like: what else is sent in its
// place is text, which may tell of a person and is not kept.
var reasonForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// reasonOf is the code of an Appointment's reason, "" for none.
func reasonOf(a *model.Appointment) string {
	if code := reasonCode(a.CancelationReason); code != "" {
		return code
	}
	for i := range a.Extension {
		if a.Extension[i].URL == stu3.StatusReason {
			return reasonCode(a.Extension[i].ValueCodeableConcept)
		}
	}
	return ""
}

func reasonCode(c *model.CodeableConcept) string {
	if c == nil {
		return ""
	}
	for i := range c.Coding {
		if reasonForm.MatchString(c.Coding[i].Code) {
			return c.Coding[i].Code
		}
	}
	return ""
}

// fromReason writes the code of a reason with the system that has it, nil for
// none. STU3 writes it as the guide's extension.
func fromReason(rel scheduling.Release, code string) *model.CodeableConcept {
	if code == "" {
		return nil
	}
	system := ""
	guide, own := slices.Contains(guideReasonCodes(), code), slices.Contains(ownReasonCodes(), code)
	switch {
	case guide && (rel == scheduling.STU3 || !own):
		system = argonautReasons
	case own:
		system = r4Reasons
	}
	return &model.CodeableConcept{Coding: []model.Coding{{System: system, Code: code}}}
}

func guideReasonCodes() []string {
	return []string{
		"abnormal-results", "cms-auth", "deceased", "discharged", "disgruntled", "equip-unavail", "financial",
		"hospitalized", "improper-iv", "improved", "interpreter-unavail", "meeting", "moved", "needs-tests",
		"new-provider", "no-show", "other", "patient-cancel", "personal", "plan-changes", "pregnant",
		"prep-incomplete", "prep-unavail", "refused", "room-unavial", "scheduling-error", "staff-cancel",
		"terminated", "transportation", "wait-list", "walk-in-error", "weather",
	}
}

func ownReasonCodes() []string {
	return []string{
		"pat", "pat-crs", "pat-cpp", "pat-dec", "pat-fb", "pat-lt", "pat-mt", "pat-mv", "pat-preg", "pat-swl",
		"pat-uwo", "prov", "prov-pers", "prov-dch", "prov-edu", "prov-hosp", "prov-labs", "prov-mss", "prov-onc",
		"maint", "maint-hlth", "meds-inc", "other", "oth-cms", "oth-err", "oth-fin", "oth-iv", "oth-int", "oth-mu",
		"oth-room", "oth-oerr", "oth-swie", "oth-weath",
	}
}
