package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

const kindCoverage scheduling.Kind = "Coverage"

// PutCoverage asks the source to take a Coverage, or to put it in place of the
// one that it has under call.Native. It is sent once.
//
// Errors: see booking.Insurer. not-acceptable and missing-data name elements in
// Param where the source does.
func (c *Client) PutCoverage(ctx context.Context, call scheduling.CoverageCall) (scheduling.NativeCoverage, error) {
	coverage, err := fhir.CoverageToSend(call.Coverage, call.Natives, call.Identifier)
	if err != nil {
		return scheduling.NativeCoverage{}, err
	}
	o := order{kind: scheduling.CallCover, lane: laneBook, method: http.MethodPost, path: string(kindCoverage), resource: coverage}
	switch {
	case call.Native != "":
		if !scheduling.ValidID(call.Native) {
			return scheduling.NativeCoverage{}, c.readFault(scheduling.NotAcceptable, nil, goneCoverage)
		}
		coverage.ID = call.Native
		o.method, o.path = http.MethodPut, string(kindCoverage)+"/"+call.Native
	case call.Conditional && call.Identifier != "":
		o.ifNoneExist = url.Values{"identifier": {tokensOf(ourCoverage(call.Identifier))}}.Encode()
	}
	within, cancel := c.withinCall(ctx)
	defer cancel()
	return c.sendCoverage(within, o, coverage)
}

const goneCoverage = "the source no longer has the coverage that was to be changed"

// ourCoverage is our identifier on a Coverage.
func ourCoverage(identifier string) []scheduling.PersonIdentifier {
	return []scheduling.PersonIdentifier{{System: scheduling.CoverageIdentifierSystem, Value: identifier}}
}

// coverageReply is what a Coverage was answered.
type coverageReply struct{ shown[*model.Coverage] }

func (c *Client) sendCoverage(ctx context.Context, o order, sent *model.Coverage) (scheduling.NativeCoverage, error) {
	var none scheduling.NativeCoverage
	send, err := c.writeCall(o)
	if err != nil {
		return none, err
	}
	got := &coverageReply{}
	send.read = func(f fhir.Format, body []byte) error { return got.read(c.source.Release, f, body) }
	a, err := c.send(ctx, send)
	if a != nil {
		got.heads(c, a)
	}
	switch {
	case err == nil && got.failed() && len(got.found) == 0:
		return none, c.refuseCoverage(shapeOutcome, got, sent)
	case err == nil && got.failed():
		return none, c.doubt(&fault{status: a.status}) // it says both yes and no
	case err == nil:
		return c.nativeCoverage(got, a, o, sent)
	case a == nil:
		return none, c.judgeUnanswered(send.sent, err)
	default:
		return none, c.judgeUncovered(got, a, err, o, sent)
	}
}

// nativeCoverage reads an answer of status 2xx.
func (c *Client) nativeCoverage(r *coverageReply, a *answer, o order, sent *model.Coverage) (scheduling.NativeCoverage, error) {
	native := scheduling.NativeCoverage{Made: a.status == http.StatusCreated}
	for _, one := range r.found {
		if others(one.Beneficiary, sent.Beneficiary) {
			return scheduling.NativeCoverage{}, c.readFault(scheduling.NotAcceptable, nil, "the source answered with the coverage of somebody else")
		}
		native.ID = one.ID
	}
	if o.method == http.MethodPut {
		native.ID = sent.ID // whatever a server answers, this one was put
	}
	if native.ID == "" {
		if kind, id := fhir.RefParts(pathOf(a.header.Get("Location"))); kind == kindCoverage {
			native.ID = id
		}
	}
	if len(r.found) > 1 || !scheduling.ValidID(native.ID) {
		// It was done, and nobody knows what: it is looked for.
		return scheduling.NativeCoverage{}, c.doubt(&fault{status: a.status})
	}
	return native, nil
}

// others: both references name a Patient, and not the same one.
func others(theirs, ours *model.Reference) bool {
	if theirs == nil || ours == nil {
		return false
	}
	kind, id := fhir.RefParts(theirs.Reference)
	_, want := fhir.RefParts(ours.Reference)
	return kind == kindPatient && id != "" && want != "" && id != want
}

// judgeUncovered judges an answer that is not 2xx, or that cannot be read.
func (c *Client) judgeUncovered(r *coverageReply, a *answer, err error, o order, sent *model.Coverage) error {
	judged := c.judgeRefused(scheduling.CallCover, &r.reply, a, err)
	if c.unavailable(a) {
		down := scheduling.Blame(scheduling.SourceDown, c.source.ID, &fault{status: a.status}, "the source takes nothing just now")
		down.RetryAfter = retryAfter(a, c.now())
		return down
	}
	if scheduling.CodeOf(judged) == scheduling.InDoubt {
		return judged
	}
	e := c.refuseCoverage(shapeStatus, r, sent)
	switch a.status {
	case http.StatusNotFound, http.StatusGone:
		e = c.refuse(scheduling.NotSupported, &r.reply)
		if o.method == http.MethodPut {
			e = c.refuse(scheduling.NotAcceptable, &r.reply)
			e.Message = goneCoverage
		}
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		e = c.refuse(scheduling.NotSupported, &r.reply)
	}
	if from := asError(judged); from != nil {
		e.RetryAfter = from.RetryAfter
	}
	return e
}

// unavailable: the source, or what stands before it, says that it does nothing
// just now, and nothing in the answer speaks of a Coverage. Where Coverage cannot
// be searched, a doubt would keep it from ever being sent; whoever sends it again
// looks for it first, or makes the create conditional on the same identifier.
func (c *Client) unavailable(a *answer) bool {
	if a.status != http.StatusServiceUnavailable || a.header.Get("Location") != "" || a.header.Get("ETag") != "" {
		return false
	}
	told := &coverageReply{}
	return told.read(c.source.Release, formatOf(a), a.body) != nil || len(told.found) == 0
}

// refuseCoverage says what a refusal means. A Coverage that is not taken is the
// caller's to correct, whatever the source calls it; only what is no word on the
// coverage at all (our login, a limit) stays what it is.
func (c *Client) refuseCoverage(how shape, r *coverageReply, sent *model.Coverage) *scheduling.Error {
	code := meaning(c.opts.Dialect, scheduling.CallCover, how, r.status, r.said())
	switch code {
	case scheduling.SourceLogin, scheduling.Throttled, scheduling.NotSupported:
		return c.refuse(code, &r.reply)
	case scheduling.MissingData:
		e := c.refuse(code, &r.reply)
		if e.Param = r.elements(); e.Param != "" {
			e.Message = "the source wants to be told " + e.Param
		}
		return e
	}
	e := c.refuse(scheduling.NotAcceptable, &r.reply)
	e.Param, e.Message = r.elements(), "the source does not take the coverage"
	if reason := r.reason(sent); reason != "" {
		e.Message += ": " + reason
	}
	return e
}

// FindCoverage looks for the Coverage that carries our identifier, by POST.
//
// Errors: as a read's; not-supported where the source does not search Coverage.
func (c *Client) FindCoverage(ctx context.Context, identifier string) (native scheduling.NativeCoverage, found bool, err error) {
	if identifier == "" {
		return native, false, nil
	}
	within, cancel := context.WithTimeout(ctx, c.opts.Booking.ReadTimeout.Std())
	defer cancel()
	form := url.Values{"_count": {"50"}, "identifier": {tokensOf(ourCoverage(identifier))}}
	page, err := c.page(within, &call{
		op: "search-coverage", lane: laneBook, probe: true, method: http.MethodPost, url: resolve(c.base, "Coverage/_search", nil),
		body: []byte(form.Encode()), kind: "application/x-www-form-urlencoded", fresh: true, limit: c.opts.Booking.ReadTimeout.Std(),
	})
	if err != nil {
		return native, false, c.judgeSearch(err)
	}
	for i := range page.Entries {
		one, ok := page.Entries[i].Resource.(*model.Coverage)
		if ok && scheduling.ValidID(one.ID) && slices.ContainsFunc(one.Identifier, func(id model.Identifier) bool {
			return id.System == scheduling.CoverageIdentifierSystem && id.Value == identifier
		}) {
			return scheduling.NativeCoverage{ID: one.ID}, true, nil
		}
	}
	if page.Failed() || page.Broken.Total() > 0 || page.Next() != "" {
		return native, false, c.readFault(scheduling.SourceNonsense, nil, "the source's list of coverages is not whole")
	}
	return native, false, nil
}
