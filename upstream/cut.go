package upstream

import (
	"errors"
	"strings"

	"slotgate/fhir"
	"slotgate/fhir/model"
)

// cutCodes are the issue types by which a server says that its answer is not
// whole (http://hl7.org/fhir/valueset-issue-type.html).
var cutCodes = []string{"incomplete", "too-costly", "timeout", "throttled", "transient"}

// cutWords say it where the issue type does not.
var cutWords = []string{"truncat", "incomplete", "partial result", "too many", "more results", "exceed"}

// saysCut tells whether a page itself says that it is not the whole truth. The
// words are ours: the source's are not shown.
func saysCut(page *fhir.Page) string {
	for _, outcome := range page.Outcomes {
		for i := range outcome.Issue {
			if issue := &outcome.Issue[i]; issueCuts(issue) {
				return "the source says that its answer is not complete"
			}
		}
	}
	return ""
}

// Epic's codes for an answer with nothing in it, and for one of which there is
// more than it gives.
var (
	epicEmpty = []string{"4101"}
	epicMore  = []string{"4127", "59133"}
)

func issueCuts(issue *model.OutcomeIssue) bool {
	switch {
	case codedAs(issue, epicEmpty):
		return false
	case codedAs(issue, epicMore):
		return true
	}
	if oneOf(issue.Code, cutCodes...) {
		return true
	}
	text := issue.Diagnostics
	if issue.Details != nil {
		text += " " + issue.Details.Text
	}
	text = strings.ToLower(text)
	for _, word := range cutWords {
		if strings.Contains(text, word) {
			return true
		}
	}
	// "Nothing found" is told as an error by some; an empty answer it is.
	return (issue.Severity == "error" || issue.Severity == "fatal") && issue.Code != "not-found"
}

// codedAs tells whether a code of the vendor's own is among these.
func codedAs(issue *model.OutcomeIssue, codes []string) bool {
	if issue.Details == nil {
		return false
	}
	for i := range issue.Details.Coding {
		if oneOf(issue.Details.Coding[i].Code, codes...) {
			return true
		}
	}
	return false
}

func tooLarge(err error) bool { return errors.Is(err, errTooLarge) }
