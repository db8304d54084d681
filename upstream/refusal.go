package upstream

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// shape is how a refusal looks.
type shape string

const (
	anyShape       shape = ""
	shapeStatus    shape = "status"    // an HTTP status that is not 2xx
	shapeOutcome   shape = "outcome"   // 2xx, and an OperationOutcome of severity error or fatal
	shapeCancelled shape = "cancelled" // 2xx, and the Appointment with status cancelled
)

// refusalRow is one row of the table of law 2. An empty field means any. The
// first row that fits counts; within an answer, each issue is tried at each row.
type refusalRow struct {
	dialect string
	calls   []scheduling.CallKind
	shape   shape
	status  []int
	issue   []string       // OperationOutcome.issue.code
	text    *regexp.Regexp // codes, details and diagnostics of the issue; the body where it is no FHIR
	code    scheduling.Code
}

var (
	// What EHRs write when somebody else has the slot: athenahealth, Medplum,
	// Epic (59144: the proposed appointment is gone, 4101: nothing there any
	// more), GP Connect.
	textTaken = regexp.MustCompile(`(?i)no slot found|(slot|time|appointment|offer)\b[^.\n]{0,60}\b(unavailable|(not|no longer) available)|already (been )?(booked|taken|reserved|held)|overlapping (busy )?slot|double.?book|DUPLICATE_REJECTED|REC_CONFLICT`)
	textEpic  = regexp.MustCompile(`\b(59144|4101)\b`)
	// Epic's further codes: no visit type fits (59200); it was processed, or is
	// there twice, and nobody can say with what end (59134, 59141).
	textEpicRules = regexp.MustCompile(`\b59200\b`)
	textEpicReads = regexp.MustCompile(`\b(59134|59141)\b`)
	// What they write when it is the patient whom they do not know, not the slot.
	textPatient = regexp.MustCompile(`(?i)\bpatient\b[^.\n]{0,80}\b(unknown|not (be |been )?(known|found|exist\w*|registered|valid)|doesn't exist|no longer exists)|\b(unknown|no such|no|invalid) patient\b`)
	// What they write when nobody but the clinic can help.
	textClinic = regexp.MustCompile(`(?i)\b(call|contact|phone|telephone)\b.{0,20}\b(clinic|office|practice|department|us)\b`)
)

var (
	making   = []scheduling.CallKind{scheduling.CallHold, scheduling.CallBook, scheduling.CallMove}
	undoing  = []scheduling.CallKind{scheduling.CallCancel, scheduling.CallRelease}
	ofCancel = []scheduling.CallKind{scheduling.CallCancel}
	ofLetGo  = []scheduling.CallKind{scheduling.CallRelease}
)

// refusals is the table of law 2: what a refusal means, in any shape. What is in
// no row is source-refused, and is read back before anybody is told. Only
// slot-taken takes the offer away.
var refusals = []refusalRow{
	// Their login is our fault, whatever they write.
	{status: []int{http.StatusUnauthorized, http.StatusForbidden}, code: scheduling.SourceLogin},
	{status: []int{http.StatusTooManyRequests}, code: scheduling.Throttled},
	{issue: []string{"throttled"}, code: scheduling.Throttled},
	{issue: []string{"login", "security", "forbidden"}, code: scheduling.SourceLogin},
	{status: []int{http.StatusMethodNotAllowed, http.StatusNotImplemented}, code: scheduling.NotSupported},
	{issue: []string{"not-supported"}, code: scheduling.NotSupported},

	// Words are more exact than codes: 400 invalid is a taken slot at Medplum.
	{calls: making, dialect: Argonaut, text: textEpic, code: scheduling.SlotTaken},
	{calls: making, dialect: Epic, text: textEpic, code: scheduling.SlotTaken},
	{calls: making, dialect: Epic, text: textEpicRules, code: scheduling.NotAcceptable},
	{dialect: Epic, text: textEpicReads, code: scheduling.SourceRefused},
	{calls: making, text: textTaken, code: scheduling.SlotTaken},
	{text: textClinic, code: scheduling.NeedsClinic},
	{calls: making, text: textPatient, code: scheduling.NotAcceptable},

	// A conditional create that finds two is no refusal of the slot.
	{issue: []string{"multiple-matches"}, code: scheduling.SourceRefused},

	// 412 to a hold: the slot has another version than the one we saw.
	{calls: making, issue: []string{"conflict", "duplicate", "lock-error"}, code: scheduling.SlotTaken},
	{calls: making, issue: []string{"not-found", "deleted", "expired"}, code: scheduling.SlotTaken},
	{calls: making, status: []int{http.StatusConflict, http.StatusGone, http.StatusPreconditionFailed, http.StatusLocked}, code: scheduling.SlotTaken},
	{calls: undoing, status: []int{http.StatusNotFound, http.StatusGone}, code: scheduling.UnknownID},
	{calls: undoing, issue: []string{"not-found", "deleted"}, code: scheduling.UnknownID},
	{calls: ofLetGo, issue: []string{"conflict", "duplicate"}, code: scheduling.NotAcceptable},
	{calls: ofLetGo, status: []int{http.StatusConflict, http.StatusPreconditionFailed}, code: scheduling.NotAcceptable},
	// A cancel that meets another version, or a lock: read again and judge anew.
	{calls: ofCancel, issue: []string{"conflict", "duplicate", "lock-error"}, code: scheduling.SourceRefused},
	{calls: ofCancel, status: []int{http.StatusConflict, http.StatusPreconditionFailed, http.StatusLocked}, code: scheduling.SourceRefused},

	{issue: []string{"required"}, code: scheduling.MissingData},
	{issue: []string{"invalid", "structure", "value", "invariant", "business-rule", "too-long", "code-invalid", "extension"}, code: scheduling.NotAcceptable},
	{issue: []string{"processing"}, status: []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, code: scheduling.NotAcceptable},
	{status: []int{http.StatusUnprocessableEntity}, code: scheduling.NotAcceptable},

	// The guide's refusal without a word: the appointment comes back cancelled.
	{calls: making, shape: shapeCancelled, code: scheduling.SlotTaken},
}

// told is one thing that a refusal says: an issue, or a body that is no FHIR.
type told struct{ code, text string }

// meaning finds the row for a refusal.
func meaning(dialect string, kind scheduling.CallKind, how shape, status int, said []told) scheduling.Code {
	if len(said) == 0 {
		said = []told{{}}
	}
	for _, row := range refusals {
		for _, one := range said {
			if row.fits(dialect, kind, how, status, one) {
				return row.code
			}
		}
	}
	return scheduling.SourceRefused
}

func (r *refusalRow) fits(dialect string, kind scheduling.CallKind, how shape, status int, said told) bool {
	return (r.dialect == "" || r.dialect == dialect) &&
		(r.calls == nil || slices.Contains(r.calls, kind)) &&
		(r.shape == anyShape || r.shape == how) &&
		(r.status == nil || slices.Contains(r.status, status)) &&
		(r.issue == nil || slices.Contains(r.issue, said.code)) &&
		(r.text == nil || r.text.MatchString(said.text))
}

// said is everything that an answer gives as a reason. Warnings are none.
func (r *reply) said() []told {
	var out []told
	for _, outcome := range r.outcomes {
		for i := range outcome.Issue {
			issue := &outcome.Issue[i]
			if issue.Severity == "error" || issue.Severity == "fatal" {
				out = append(out, told{issue.Code, wordsOf(issue)})
			}
		}
	}
	if r.text != "" {
		out = append(out, told{"", r.text})
	}
	return out
}

func wordsOf(issue *model.OutcomeIssue) string {
	words := []string{issue.Diagnostics}
	if issue.Details != nil {
		words = append(words, issue.Details.Text)
		for _, coding := range issue.Details.Coding {
			words = append(words, coding.Code, coding.Display)
		}
	}
	return strings.Join(words, "\n")
}

// refusalText is what callers are told; never a word of the source.
func refusalText(code scheduling.Code) string {
	switch code {
	case scheduling.SlotTaken:
		return "somebody else has the slot"
	case scheduling.NotAcceptable:
		return "the source does not accept this"
	case scheduling.MissingData:
		return "the source wants more data"
	case scheduling.NeedsClinic:
		return "the clinic must be called for this"
	case scheduling.NotSupported:
		return "the source cannot do this"
	case scheduling.SourceLogin:
		return "the source does not accept our login"
	case scheduling.Throttled:
		return "the source asks us to slow down"
	case scheduling.UnknownID:
		return "the source has no such appointment"
	default:
		return "the source refused, and did not say why in words that are known here"
	}
}

// judgeReply judges an answer of status 2xx (law 2); nil means yes.
func (c *Client) judgeReply(kind scheduling.CallKind, r *reply) error {
	a := r.appointment()
	switch {
	case a != nil && slices.Contains(making, kind) && scheduling.AppointmentStatus(a.Status).Void():
		return c.refuse(meaning(c.opts.Dialect, kind, shapeCancelled, r.status, r.said()), r)
	case !r.failed():
		return nil
	case a != nil && a.Status != "" && a.Status != "proposed":
		// It says both yes and no: only reading can tell.
		return c.refuse(scheduling.SourceRefused, r)
	default:
		return c.refuse(meaning(c.opts.Dialect, kind, shapeOutcome, r.status, r.said()), r)
	}
}

// judgeRefused judges an answer that is not 2xx, or that cannot be read.
func (c *Client) judgeRefused(kind scheduling.CallKind, r *reply, a *answer, err error) error {
	switch {
	case a.status/100 == 2, // unreadable
		a.status == http.StatusRequestTimeout, // a proxy's word for a lost answer
		a.status/100 == 3 && a.status != http.StatusTemporaryRedirect && a.status != http.StatusPermanentRedirect,
		// Some answer 500 with a code of their own to a wrong parameter
		// (BRP516E33); others after they have done it. Reading decides.
		a.status >= 500 && a.status != http.StatusNotImplemented:
		return c.doubt(faultOf(err))
	}
	e := c.refuse(meaning(c.opts.Dialect, kind, shapeStatus, a.status, r.said()), r)
	e.RetryAfter = retryAfter(a, c.now())
	return e
}

func (c *Client) refuse(code scheduling.Code, r *reply) *scheduling.Error {
	return scheduling.Blame(code, c.source.ID, &fault{status: r.status}, refusalText(code))
}
