package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// The code systems of our own errors (issue.details.coding).
const (
	ErrorSystem  = "urn:slotgate:error"
	WhoSystem    = "urn:slotgate:who"
	SourceSystem = "urn:slotgate:source"
)

// Outcome tells errors to a caller: our codes, our words, and nothing of what
// was behind them.
func Outcome(errs ...*scheduling.Error) *model.OperationOutcome {
	out := &model.OperationOutcome{}
	for _, e := range errs {
		out.Issue = append(out.Issue, Issue(e))
	}
	return out
}

// Issue tells one error. An internal one has no code of the contract's; it is
// an exception.
func Issue(e *scheduling.Error) model.OutcomeIssue {
	details := &model.CodeableConcept{Text: e.Message}
	if e.Code != scheduling.Internal {
		details.Coding = append(details.Coding, model.Coding{System: ErrorSystem, Code: string(e.Code)})
	}
	if e.Who != "" {
		details.Coding = append(details.Coding, model.Coding{System: WhoSystem, Code: string(e.Who)})
	}
	if e.Source != "" {
		details.Coding = append(details.Coding, model.Coding{System: SourceSystem, Code: string(e.Source)})
	}
	issue := model.OutcomeIssue{Severity: severity(e.Code), Code: issueCode(e.Code), Details: details, Diagnostics: e.Message}
	if e.Param != "" {
		// "http." and the name of the parameter, as the specification has it
		// (https://hl7.org/fhir/R4/operationoutcome.html).
		issue.Location = []string{"http." + e.Param}
	}
	return issue
}

func severity(code scheduling.Code) string {
	if code == scheduling.InDoubt {
		return "warning"
	}
	return "error"
}

// issueCode is the nearest of FHIR's issue types, of those that both versions
// have (http://hl7.org/fhir/ValueSet/issue-type).
func issueCode(code scheduling.Code) string {
	switch code {
	case scheduling.SlotTaken, scheduling.HoldExpired:
		return "conflict"
	case scheduling.HoldLimit, scheduling.NotAcceptable, scheduling.NeedsClinic:
		return "business-rule"
	case scheduling.UnknownID, scheduling.UsedID:
		return "not-found"
	case scheduling.BadRequest:
		return "invalid"
	case scheduling.MissingData:
		return "required"
	case scheduling.NotSupported:
		return "not-supported"
	case scheduling.InDoubt, scheduling.Unresolved:
		return "incomplete"
	case scheduling.SourceDown:
		return "transient"
	case scheduling.SourceSlow:
		return "timeout"
	case scheduling.SourceRefused:
		return "processing"
	case scheduling.Throttled, scheduling.Shedding:
		return "throttled"
	case scheduling.Unauthorized:
		return "login"
	case scheduling.Forbidden:
		return "forbidden"
	}
	return "exception"
}

// Told is a plain remark: what was not applied, cut, or not known.
func Told(severity, code, text, param string) model.OutcomeIssue {
	issue := model.OutcomeIssue{
		Severity: severity, Code: code, Details: &model.CodeableConcept{Text: text}, Diagnostics: text,
	}
	if param != "" {
		issue.Location = []string{"http." + param}
	}
	return issue
}
