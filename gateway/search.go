package gateway

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// search answers a search of the directory, by GET or by POST _search.
func (x *exchange) search(kind scheduling.Kind) error {
	values, err := x.searchValues()
	if err != nil {
		return err
	}
	s, unknown, err := parseSearch(kind, values)
	if err != nil {
		return err
	}
	if x.strict() && len(unknown) > 0 {
		return refuseUnknown(unknown)
	}
	x.s.localize(&s)
	count, cut, err := x.count(values.Get("_count"))
	if err != nil {
		return err
	}
	s.Count = count
	params, cursor := searchParams(s), values.Get(fhir.CursorParam)
	place := searchPlace(kind, params)
	if cursor != "" {
		after, err := x.s.cursors.read(place, cursor)
		if err != nil {
			return err
		}
		s.After = after.ID
	}
	records, err := x.s.deps.Finder.Search(s)
	if err != nil {
		return err
	}
	address, next := x.s.root(x.release)+"/"+string(kind), ""
	if last := len(records.Records) - 1; records.More && last >= 0 {
		next = x.link(address, params, count, x.s.cursors.make(place, scheduling.Cursor{ID: records.Records[last].ID}))
	}
	bundle := fhir.SearchSet(records.Total, x.link(address, params, count, cursor), next)
	return x.answerSearch(bundle, records, fhir.Find{Query: scheduling.Query{Sources: s.Sources}, Unknown: unknown, Cut: cut}, kind == scheduling.KindSlot)
}

// searchPlace names the search that a cursor belongs to.
func searchPlace(kind scheduling.Kind, params url.Values) string {
	return string(kind) + "?" + params.Encode()
}

// searchValues are the parameters of the address and, by POST, of the form.
func (x *exchange) searchValues() (url.Values, error) {
	values, err := x.query()
	if err != nil || x.method() != fiber.MethodPost {
		return values, err
	}
	kind, _, _ := strings.Cut(x.header(fiber.HeaderContentType), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), fiber.MIMEApplicationForm) && len(x.body()) > 0 {
		return nil, refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	form, err := x.s.parseForm(string(x.body()))
	if err != nil {
		return nil, err
	}
	all := maps.Clone(form)
	for name, list := range values {
		all[name] = append(all[name], list...)
	}
	return all, nil
}

// count reads _count, and cuts it to what is allowed.
func (x *exchange) count(text string) (count int, cut []string, err error) {
	if text == "" {
		return x.s.opts.DefaultCount, nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, nil, scheduling.Refuse(scheduling.BadRequest, "_count", "parameter _count: is not a number from 0 up")
	}
	if int(n) > x.s.opts.MaxCount {
		return x.s.opts.MaxCount, []string{"_count"}, nil
	}
	return int(n), nil, nil
}

// answerSearch writes one page of records. The outcome comes last, where there
// is something to say: of the question, or of a source that is not well, whose
// records may be missing.
func (x *exchange) answerSearch(bundle *model.Bundle, records scheduling.Records, f fhir.Find, slots bool) error {
	for _, record := range records.Records {
		fhir.AddMatch(bundle, x.s.root(x.release), x.record(record))
	}
	unwell := x.unwell(f.Query.Sources, slots)
	if len(f.Unknown)+len(f.Cut)+len(unwell) > 0 {
		addOutcome(bundle, fhir.FindOutcome(f, scheduling.Found{Sources: unwell}))
	}
	return x.resource(fiber.StatusOK, bundle)
}

// addOutcome adds what is told besides the matches; it does not count.
func addOutcome(bundle *model.Bundle, outcome *model.OperationOutcome) {
	bundle.Entry = append(bundle.Entry, model.BundleEntry{Resource: outcome, Search: &model.BundleSearch{Mode: "outcome"}})
}

// unwell are those of the sources (none: of all) that are not well.
// Nor are the slots of one here that may not be kept.
func (x *exchange) unwell(only []scheduling.SourceID, slots bool) []scheduling.Freshness {
	var list []scheduling.Freshness
	for _, fresh := range x.s.deps.Finder.Sources() {
		asked := len(only) == 0 || slices.Contains(only, fresh.Source)
		if asked && (fresh.State != scheduling.StateOK || slots && fresh.Asked != "") {
			list = append(list, fresh)
		}
	}
	return list
}

// read answers with one record of the directory.
func (x *exchange) read(kind scheduling.Kind) error {
	id := x.param("id")
	if !scheduling.ValidID(id) {
		return scheduling.Refuse(scheduling.BadRequest, "id", "not an id: [A-Za-z0-9.-]{1,64}")
	}
	record, ok := x.s.deps.Finder.Read(kind, id)
	if !ok {
		var err error
		if record, ok, err = x.liveSlot(kind, id); err != nil {
			return err
		}
	}
	if !ok {
		return scheduling.Refuse(scheduling.UnknownID, "id", "there is no %s of this id", kind)
	}
	return x.resource(fiber.StatusOK, x.record(record))
}

// record is a record of the directory as a resource.
func (x *exchange) record(r scheduling.Record) model.Resource {
	o := fhir.Origin{Source: r.Source.ID, URI: fhir.SourceURI(r.Source.ID), Zone: r.Source.Zone}
	switch {
	case r.Practitioner != nil:
		return fhir.FromPractitioner(o, r.Practitioner)
	case r.Role != nil:
		return fhir.FromRole(x.release, o, r.Role)
	case r.Location != nil:
		return fhir.FromLocation(o, r.Location)
	case r.Organization != nil:
		return fhir.FromOrganization(o, r.Organization)
	case r.Service != nil:
		return fhir.FromService(x.release, o, r.Service)
	case r.Schedule != nil:
		return fhir.FromSchedule(x.release, o, r.Schedule)
	default:
		return fhir.FromSlot(x.release, o, *r.Slot, r.Setting.Zone)
	}
}
