package model

// OperationOutcome tells what went well or wrong.
type OperationOutcome struct {
	Base
	Issue []OutcomeIssue `json:"issue,omitempty"`
}

// ResourceType is "OperationOutcome".
func (*OperationOutcome) ResourceType() string { return "OperationOutcome" }

// OutcomeIssue is one thing that is told. Severity is fatal, error, warning or
// information; Code is one of FHIR's issue types.
type OutcomeIssue struct {
	Element
	Severity    string           `json:"severity,omitempty"`
	Code        string           `json:"code,omitempty"`
	Details     *CodeableConcept `json:"details,omitempty"`
	Diagnostics string           `json:"diagnostics,omitempty"`
	Location    []string         `json:"location,omitempty"`
	Expression  []string         `json:"expression,omitempty"`
}

// Failed tells whether an issue is an error or fatal: whatever the HTTP status
// said, the thing asked for did not happen.
func (o *OperationOutcome) Failed() bool {
	for _, i := range o.Issue {
		if i.Severity == "error" || i.Severity == "fatal" {
			return true
		}
	}
	return false
}
