package upstream

import (
	"context"
	"net/http"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

const (
	// matchGrade is the extension that says how sure a source is of a match.
	matchGrade = "http://hl7.org/fhir/StructureDefinition/match-grade"
	// matchCount is how many are asked for: two are too many already.
	matchCount = 10

	// The values of the option `match`.
	matchAll     = "all"
	matchCertain = "certain"
)

// MatchPatients asks Patient/$match whom the source takes for the person. It
// asks for certain ones first; where there is none it asks for all, since a
// source that is told to give certain ones keeps quiet about several, and about
// those who are alike. Those who are certainly not the person are left out.
//
// Errors: as FindPatients; missing-data names the elements in Param; not-supported
// where the source has no such operation.
func (c *Client) MatchPatients(ctx context.Context, person scheduling.Registration) ([]scheduling.NativePatient, error) {
	within, cancel := context.WithTimeout(ctx, c.opts.Booking.ReadTimeout.Std())
	defer cancel()
	list, err := c.match(within, person, true)
	if err != nil || len(list) > 0 || c.opts.Match == matchCertain {
		return list, err
	}
	return c.match(within, person, false)
}

// match asks once. It changes nothing at the source, and is a read therefore.
func (c *Client) match(ctx context.Context, person scheduling.Registration, certain bool) ([]scheduling.NativePatient, error) {
	send, err := c.matchCall(person, certain)
	if err != nil {
		return nil, err
	}
	var page *fhir.Page
	send.read = func(f fhir.Format, body []byte) (err error) {
		page, err = fhir.ReadBundle(c.source.Release, f, body)
		return err //nolint:wrapcheck // judged by the stack
	}
	a, err := c.send(ctx, send)
	switch {
	case err != nil:
		return nil, c.judgeMatch(a, err)
	case page.Failed():
		return nil, c.refuseRegistration(shapeOutcome, &patientReply{shown[*model.Patient]{reply: reply{status: a.status, outcomes: page.Outcomes}}})
	case page.Broken.Total() > 0:
		return nil, c.readFault(scheduling.SourceNonsense, nil, "the source's list of matches is not whole")
	}
	c.metrics.page(send.op)
	list, err := c.hitsOn(page, func(p scheduling.NativePatient) bool { return p.Grade != scheduling.MatchCertainlyNot })
	if err == nil && page.Next() != "" && len(list) > 0 {
		return nil, c.needsClinic(nil)
	}
	return list, err
}

func (c *Client) matchCall(person scheduling.Registration, certain bool) (*call, error) {
	patient, err := fhir.PatientToRegister(person, "")
	if err != nil {
		return nil, err
	}
	count, format := matchCount, c.writes()
	body, err := fhir.Write(c.source.Release, format, &model.Parameters{Parameter: []model.Parameter{
		{Name: "resource", Resource: patient},
		{Name: "onlyCertainMatches", ValueBoolean: &certain},
		{Name: "count", ValueInteger: &count},
	}})
	if err != nil {
		return nil, scheduling.Blame(scheduling.NotAcceptable, c.source.ID, err, "what the source would have to be sent cannot be written")
	}
	return &call{
		op: "match-patient", lane: laneBook, probe: true, method: http.MethodPost, url: resolve(c.base, "Patient/$match", nil),
		body: body, kind: format.ContentType(), fresh: true, limit: c.opts.Booking.ReadTimeout.Std(),
	}, nil
}

func gradeOf(search *model.BundleSearch) scheduling.MatchGrade {
	if search == nil {
		return ""
	}
	for i := range search.Extension {
		if search.Extension[i].URL == matchGrade {
			return scheduling.MatchGrade(search.Extension[i].ValueCode)
		}
	}
	return ""
}

// judgeMatch judges an answer that is not 2xx, or none.
func (c *Client) judgeMatch(a *answer, err error) error {
	if a == nil || a.status/100 != 4 {
		return c.judgeRead(err)
	}
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusRequestTimeout:
		return c.judgeRead(err)
	case http.StatusNotFound, http.StatusGone, http.StatusMethodNotAllowed:
		return c.readFault(scheduling.NotSupported, faultOf(err), "the source does not match patients")
	}
	got := &patientReply{}
	got.heads(c, a)
	return c.refuseRegistration(shapeStatus, got)
}
