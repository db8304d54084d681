package fhir

import "slotgate/fhir/model"

// BookOutcome tells what there is to say beside an appointment: what of the
// request was not applied, and the notices. It is nil where there is nothing.
func BookOutcome(asked Held, notices []Notice, more ...model.OutcomeIssue) *model.OperationOutcome {
	out := &model.OperationOutcome{Issue: more}
	for _, name := range asked.Unknown {
		out.Issue = append(out.Issue, Told("warning", "not-supported", "parameter "+name+" is not known and was not applied", name))
	}
	for _, name := range asked.NotApplied {
		out.Issue = append(out.Issue, Told("warning", "incomplete", "parameter "+name+" was not applied", name))
	}
	for _, n := range notices {
		issue := Told("warning", "informational", n.Text, "")
		issue.Details.Coding = []model.Coding{{System: NoticeSystem, Code: n.Code}}
		out.Issue = append(out.Issue, issue)
	}
	if len(out.Issue) == 0 {
		return nil
	}
	return out
}
