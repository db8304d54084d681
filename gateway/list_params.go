package gateway

import (
	"net/url"
	"slices"
	"strings"

	"slotgate/fhir"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// listAsked is a list that may be answered.
type listAsked struct {
	booking.ListRequest
	sources []scheduling.SourceID // the list is of these; all when there are none
	params  url.Values            // what was applied, for links
	count   int
	cursor  string
	after   scheduling.Cursor
	unknown []string
	cut     []string
}

// parseList reads a search for appointments. Errors: missing-data (422) without
// a patient, not-acceptable for several, bad-request for what cannot be read.
func (x *exchange) parseList(values url.Values) (listAsked, error) {
	a := listAsked{params: url.Values{}}
	for _, name := range sortedNames(values) {
		for _, text := range values[name] {
			if text == "" {
				continue // as FHIR has it, an empty parameter is none
			}
			if err := x.listParam(&a, name, text); err != nil {
				return a, err
			}
		}
	}
	if x.strict() && len(a.unknown) > 0 {
		return a, refuseUnknown(a.unknown)
	}
	if a.Patient == "" {
		return a, scheduling.Refuse(scheduling.MissingData, "patient", "parameter patient is needed: appointments are listed by patient")
	}
	if err := x.listSource(&a); err != nil {
		return a, err
	}
	var err error
	if a.count, a.cut, err = x.count(values.Get("_count")); err != nil {
		return a, err
	}
	if a.cursor = values.Get(fhir.CursorParam); a.cursor != "" {
		a.after, err = x.s.cursors.read(listPlace(a.params), a.cursor)
	}
	return a, err
}

// listParam takes one parameter, and notes it for the links.
func (x *exchange) listParam(a *listAsked, name, text string) (err error) {
	switch name {
	case "patient":
		err = x.listPatient(a, text)
	case "status":
		err = x.listStatus(a, text)
	case "practitioner":
		err = x.listPractitioner(a, text)
	case "source":
		err = x.listSources(a, text)
	case "date":
		a.Dates, err = addRange(a.Dates, name, text)
	case "_lastUpdated":
		a.Updated, err = addRange(a.Updated, name, text)
	default:
		a.unknown = noteUnknown(a.unknown, name)
		return nil
	}
	a.params.Add(name, text)
	return err
}

func (x *exchange) listPatient(a *listAsked, text string) error {
	id := text
	for _, rel := range releases() {
		id = strings.TrimPrefix(id, x.s.root(rel)+"/")
	}
	if kind, named := fhir.RefParts(id); kind == "Patient" && strings.Count(id, "/") == 1 {
		id = named
	}
	switch {
	case strings.Contains(text, ","), a.Patient != "" && a.Patient != id:
		return scheduling.Refuse(scheduling.NotAcceptable, "patient", "parameter patient: appointments are listed for one patient")
	case !scheduling.ValidID(id):
		return scheduling.Refuse(scheduling.BadRequest, "patient", "parameter patient: is not a reference to a Patient")
	}
	a.Patient = id
	return nil
}

// listStatus takes statuses. STU3 has two fewer: what is shown there as another
// one is found by that.
func (x *exchange) listStatus(a *listAsked, text string) error {
	for _, one := range splitList(text) {
		token, ok := scheduling.ParseToken(one)
		status := scheduling.AppointmentStatus(token.Code)
		if !ok || !status.Known() {
			return scheduling.Refuse(scheduling.BadRequest, "status", "parameter status: is not the status of an Appointment")
		}
		add := []scheduling.AppointmentStatus{status}
		if x.release == scheduling.STU3 {
			switch status {
			case scheduling.ApptArrived:
				add = append(add, scheduling.ApptCheckedIn)
			case scheduling.ApptPending:
				add = append(add, scheduling.ApptWaitlist)
			}
		}
		for _, s := range add {
			if !slices.Contains(a.Status, s) {
				a.Status = append(a.Status, s)
			}
		}
	}
	return nil
}

func (x *exchange) listPractitioner(a *listAsked, text string) error {
	s := scheduling.Search{}
	for _, one := range splitList(text) {
		ref, ok := parseRef(scheduling.KindPractitioner, one)
		if !ok {
			return scheduling.Refuse(scheduling.BadRequest, "practitioner", "parameter practitioner: is not a reference to a Practitioner")
		}
		s.Practitioners = append(s.Practitioners, ref)
	}
	x.s.localize(&s)
	a.Practitioners = append(a.Practitioners, s.Practitioners...)
	return nil
}

// listSources takes sources. One that is not served here is refused, as a search
// for offers refuses it: an empty list would say that nothing is booked there.
func (x *exchange) listSources(a *listAsked, text string) error {
	for _, one := range splitList(text) {
		if one == "" {
			return scheduling.Refuse(scheduling.BadRequest, "source", "parameter source: is empty")
		}
		source := scheduling.SourceID(one)
		if !slices.ContainsFunc(x.s.live.Load().sources, func(s scheduling.Source) bool { return s.ID == source }) {
			return scheduling.Refuse(scheduling.BadRequest, "source", "parameter source: no source of this id is served here")
		}
		a.sources = append(a.sources, source)
	}
	return nil
}

// listSource lists from one source alone where one alone is named.
func (x *exchange) listSource(a *listAsked) error {
	source, err := x.oneSource(url.Values{"source": sourceTexts(a.sources)})
	switch {
	case err == nil:
		a.Source = source
	case x.user.Given():
		return err
	}
	if a.Source == "" && x.user.Given() {
		return refuseUserHere()
	}
	return nil
}

func sourceTexts(sources []scheduling.SourceID) []string {
	texts := make([]string, len(sources))
	for i, s := range sources {
		texts[i] = string(s)
	}
	return texts
}

// within is the part of a list that is of the sources asked for.
func (a listAsked) within(list booking.List) booking.List {
	if len(a.sources) == 0 {
		return list
	}
	list.Views = slices.DeleteFunc(list.Views, func(v booking.View) bool { return !slices.Contains(a.sources, v.Entry.Source) })
	list.Unreached = slices.DeleteFunc(slices.Clone(list.Unreached), func(e *scheduling.Error) bool {
		return !slices.Contains(a.sources, e.Source)
	})
	return list
}
