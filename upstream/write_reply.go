package upstream

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// reply is what a write was answered, in whatever shape: the resource itself, a
// Bundle (searchset or transaction-response), Parameters around either, an
// OperationOutcome, or nothing but headers.
type reply struct {
	status   int
	header   http.Header
	appts    []*model.Appointment
	slots    []*model.Slot
	outcomes []*model.OperationOutcome
	location string // of the Appointment: its id
	etag     string
	text     string // the beginning of a body that is no FHIR
}

var errUnknownReply = errors.New("upstream: an answer of an unknown kind")

// read takes in a body. An empty one is an answer too.
func (r *reply) read(release scheduling.Release, f fhir.Format, body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	res, err := fhir.Read(release, f, body)
	if err != nil {
		return err //nolint:wrapcheck // judged by the stack
	}
	if !r.take(res) {
		return errUnknownReply
	}
	return nil
}

// take sorts a resource; false for one that has no business in an answer.
func (r *reply) take(res model.Resource) bool {
	switch res := res.(type) {
	case *model.Appointment:
		r.appts = append(r.appts, res)
	case *model.Slot:
		r.slots = append(r.slots, res)
	case *model.OperationOutcome:
		r.outcomes = append(r.outcomes, res)
	case *model.Parameters:
		for i := range res.Parameter {
			if inner := res.Parameter[i].Resource; inner != nil {
				r.take(inner)
			}
		}
	case *model.Bundle:
		for i := range res.Entry {
			r.entry(&res.Entry[i])
		}
	default:
		return false
	}
	return true
}

func (r *reply) entry(e *model.BundleEntry) {
	if e.Resource != nil {
		r.take(e.Resource)
	}
	if e.Response == nil {
		return
	}
	if e.Response.Outcome != nil {
		r.take(e.Response.Outcome)
	}
	if id := appointmentID(e.Response.Location); id != "" {
		r.location, r.etag = id, e.Response.Etag
	}
}

// heads takes in what the headers say, and the text of a refusal.
func (r *reply) heads(c *Client, a *answer) {
	r.status, r.header = a.status, a.header
	if id := appointmentID(a.header.Get("Location")); id != "" {
		r.location = id
	}
	if etag := a.header.Get("ETag"); etag != "" {
		r.etag = etag
	}
	if a.status/100 == 2 {
		return
	}
	if r.read(c.source.Release, formatOf(a), a.body) != nil {
		r.appts, r.slots, r.outcomes = nil, nil, nil
	}
	if len(r.outcomes) == 0 {
		r.text = string(a.body[:min(len(a.body), maxWaitText)])
	}
}

// appointmentID finds the id in a Location, absolute or relative, with a version
// or without.
func appointmentID(location string) string {
	if u, err := url.Parse(strings.TrimSpace(location)); err == nil {
		location = u.Path
	}
	if kind, id := fhir.RefParts(location); kind == kindAppointment {
		return id
	}
	return ""
}

// appointment is the one that the answer is about: the first that is not void,
// else the first; nil without one.
func (r *reply) appointment() *model.Appointment {
	for _, a := range r.appts {
		if !scheduling.AppointmentStatus(a.Status).Void() {
			return a
		}
	}
	if len(r.appts) > 0 {
		return r.appts[0]
	}
	return nil
}

// native is the appointment's id at the source, "" where it was not told.
func (r *reply) native() string {
	if a := r.appointment(); a != nil && a.ID != "" {
		return a.ID
	}
	return r.location
}

// failed tells whether an OperationOutcome says that it did not happen.
func (r *reply) failed() bool {
	for _, o := range r.outcomes {
		if o.Failed() {
			return true
		}
	}
	return false
}

// holdLength is Expires minus Date, both by the source's clock; 0 where it does
// not say. Servers that forbid caching send an Expires of 0 or of long ago.
func (r *reply) holdLength(now time.Time) time.Duration {
	expires, err := http.ParseTime(r.header.Get("Expires"))
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		date = now
	}
	return max(0, expires.Sub(date))
}
