package gateway

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// listAppointments answers a search for a patient's appointments, by GET or by
// POST _search.
func (x *exchange) listAppointments() error {
	values, err := x.searchValues()
	if err != nil {
		return err
	}
	asked, err := x.parseList(values)
	if err != nil {
		return err
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	list, err := x.s.deps.Desk.List(ctx, x.bookingCaller(), asked.ListRequest)
	if err != nil {
		return err
	}
	return x.answerList(asked, asked.within(list))
}

// answerList writes one page, and last what could not be reached or was not
// applied.
func (x *exchange) answerList(asked listAsked, list booking.List) error {
	page, more := asked.page(list.Views)
	address, next := x.s.root(x.release)+"/Appointment", ""
	if more {
		last := page[len(page)-1]
		next = link(address, asked.params, asked.count, x.s.cursors.make(listPlace(asked.params), placeOf(last)))
	}
	bundle := fhir.SearchSet(len(list.Views), link(address, asked.params, asked.count, asked.cursor), next)
	for _, view := range page {
		fhir.AddMatch(bundle, x.s.root(x.release), x.appointment(view))
	}
	outcome := fhir.BookOutcome(fhir.Held{Unknown: asked.unknown, NotApplied: asked.cut}, nil, unreached(list)...)
	if outcome != nil {
		addOutcome(bundle, outcome)
	}
	x.c.Set(headerComplete, strconv.FormatBool(complete(list)))
	return x.resource(fiber.StatusOK, bundle)
}

// complete tells whether every source was asked.
func complete(list booking.List) bool {
	return len(list.Unreached) == 0 &&
		!slices.ContainsFunc(list.Views, func(v booking.View) bool { return v.Has(booking.NotReached) })
}

// unreached tells of each source that could not be asked: what is shown of it
// is what was known last.
func unreached(list booking.List) []model.OutcomeIssue {
	var issues []model.OutcomeIssue
	for _, e := range list.Unreached {
		issue := fhir.Issue(e)
		issue.Severity = "warning"
		issues = append(issues, issue)
	}
	return issues
}

// page are the views behind the cursor, as many as were asked for; more tells
// that others follow.
func (a listAsked) page(views []booking.View) (page []booking.View, more bool) {
	from := slices.IndexFunc(views, func(v booking.View) bool { return a.after.Before(placeOf(v).Start, v.Entry.ID) })
	if from < 0 || a.count == 0 {
		return nil, false
	}
	to := min(len(views), from+a.count)
	return views[from:to], to < len(views)
}

// placeOf is where a view stands in the order of a list.
func placeOf(v booking.View) scheduling.Cursor {
	start := v.Start
	if start.IsZero() {
		start = v.Entry.Offer.Start()
	}
	return scheduling.Cursor{Start: start, ID: v.Entry.ID}
}

// listPlace names the list that a cursor belongs to.
func listPlace(params url.Values) string { return "Appointment?" + params.Encode() }

// listSearch are the parameters of a list, for the CapabilityStatement.
func listSearch() []fhir.ServedSearch {
	return []fhir.ServedSearch{
		{Name: "patient", Type: "reference", Doc: "Required."},
		{Name: "status", Type: "token"},
		{Name: "date", Type: "date"},
		{Name: "practitioner", Type: "reference"},
		{Name: "source", Type: "string", Doc: "The ids of the sources to list from."},
		{Name: "_lastUpdated", Type: "date"},
	}
}
