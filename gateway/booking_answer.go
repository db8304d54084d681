package gateway

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// answerView answers $hold and $book: a Bundle of the one Appointment, and of
// an outcome where there is more to say.
func (x *exchange) answerView(v booking.View, asked fhir.Held) error {
	bundle := fhir.SearchSet(1, "", "")
	fhir.AddMatch(bundle, x.s.root(x.release), x.appointment(v))
	if outcome := fhir.BookOutcome(asked, notices(v), doubts(v)...); outcome != nil {
		addOutcome(bundle, outcome)
	}
	return x.resource(x.viewHead(v), bundle)
}

// appointment writes what the desk shows.
func (x *exchange) appointment(v booking.View) *model.Appointment {
	return fhir.StandingAppointment(x.release, standing(v))
}

// viewHead sets the headers that the appointment's state asks for, and gives
// the status: 202 while it is in doubt, 201 where a resource was sent.
func (x *exchange) viewHead(v booking.View) (status int) {
	status = fiber.StatusOK
	if v.Entry.Version > 0 { // an offer that nobody has held has none
		x.c.Set(fiber.HeaderETag, etag(v.Entry.Version))
	}
	if !v.Expires.IsZero() {
		x.c.Set(fiber.HeaderExpires, x.s.expires(v).Format(http.TimeFormat))
	}
	if v.Created {
		status = fiber.StatusCreated
	}
	if v.InDoubt {
		status = fiber.StatusAccepted
		x.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(seconds(v.RetryAfter)))
	}
	if status != fiber.StatusOK {
		x.c.Set(fiber.HeaderLocation, x.s.root(x.release)+"/Appointment/"+v.Entry.ID)
	}
	return status
}

// seconds is a wait in whole ones, rounded up; at least one.
func seconds(wait time.Duration) int {
	if wait <= 0 {
		wait = defaultRetry
	}
	return int(math.Ceil(wait.Seconds()))
}

// doubts tells that it is not known what the EHR did.
func doubts(v booking.View) []model.OutcomeIssue {
	if !v.InDoubt {
		return nil
	}
	e := &scheduling.Error{
		Code: scheduling.InDoubt, Who: scheduling.AtEHR, Source: v.Entry.Source,
		Message: "it is not known yet what the source did; read the appointment at Location after a while, and do not ask elsewhere meanwhile",
	}
	list := []model.OutcomeIssue{fhir.Issue(e)}
	if v.Entry.Doubt != nil && v.Entry.Doubt.Unresolved {
		e = &scheduling.Error{
			Code: scheduling.Unresolved, Who: scheduling.AtEHR, Source: v.Entry.Source,
			Message: "the source cannot be asked whether it did; a person will decide",
		}
		issue := fhir.Issue(e)
		issue.Severity = "warning"
		list = append(list, issue)
	}
	return list
}

// noticeText is what a caller reads.
func noticeText(n booking.Notice, v booking.View) string {
	text := string(n)
	if n == booking.CoverageRefused && len(v.Refusals) > 0 {
		text += ": " + strings.Join(v.Refusals, "; ")
	}
	if n == booking.NotProved && len(v.NotProved) > 0 {
		text += ": the source did not return " + strings.Join(v.NotProved, ", ")
	}
	return text
}

// etag is a version as ETag and If-Match have it.
func etag(version uint64) string { return `W/"` + strconv.FormatUint(version, 10) + `"` }

var errIfMatch = errors.New("gateway: an If-Match that is no ETag")

// ifMatch is the version that the caller saw, 0 for none or any. What is no
// version of ours is one that no appointment has.
func (x *exchange) ifMatch() (uint64, error) {
	text := strings.TrimSpace(x.header(fiber.HeaderIfMatch))
	if text == "" || text == "*" {
		return 0, nil
	}
	inner, ok := strings.CutPrefix(strings.TrimPrefix(text, "W/"), `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	if !ok || !closed || strings.Contains(inner, `"`) {
		e := scheduling.Refuse(scheduling.BadRequest, fiber.HeaderIfMatch, `If-Match names one version, such as W/"3"`)
		e.Err = errIfMatch
		return 0, e
	}
	version, err := strconv.ParseUint(inner, 10, 64)
	if err != nil || version == 0 {
		return math.MaxUint64, nil
	}
	return version, nil
}
