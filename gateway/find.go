package gateway

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// headerComplete tells whether an answer lacks nothing that was asked for.
const headerComplete = "X-Slotgate-Complete"

// findByGet answers GET Appointment/$find.
func (x *exchange) findByGet() error { return x.find(nil) }

// findByPost answers POST Appointment/$find: a Parameters resource, whose
// _count may stand in the address.
func (x *exchange) findByPost() error {
	params, err := x.parameters()
	if err != nil {
		return err
	}
	return x.find(params)
}

// parameters reads the body of an operation. Errors: 415 for a media type that
// we do not speak, 400 for a broken body, 422 for another resource.
func (x *exchange) parameters() (*model.Parameters, error) {
	format, ok := fhir.FormatOf(x.header(fiber.HeaderContentType))
	if !ok {
		return nil, refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	// What is read keeps parts of the text: the text must be ours.
	res, err := fhir.Read(x.release, format, append([]byte(nil), x.body()...))
	if err != nil {
		return nil, err
	}
	params, ok := res.(*model.Parameters)
	if !ok {
		return nil, scheduling.Refuse(scheduling.NotAcceptable, "", "the body must be a Parameters resource")
	}
	return params, nil
}

// find answers with the open slots that match.
func (x *exchange) find(body *model.Parameters) error {
	asked, err := x.readFind(body)
	if err != nil {
		return err
	}
	found, err := x.answerTo(&asked)
	if err != nil {
		return err
	}
	complete := found.Complete()
	if !complete {
		x.s.metrics.incomplete.Inc()
	}
	x.c.Set(headerComplete, strconv.FormatBool(complete))
	if asked.Strict && !complete {
		return refuseIncomplete(found.Sources)
	}
	return x.answerFind(asked, found)
}

// asked is a find that may be answered.
type asked struct {
	fhir.Find
	params url.Values // what was applied: identifies the query

	next scheduling.Cursor // where the next page begins; zero: behind the last offer
	left []staleness       // what could not be confirmed within _max-age

	parts []scheduling.SourceID // of which some days of the period are looked at only
}

// readFind reads the parameters and judges those that depend on who asks and on
// what is served.
func (x *exchange) readFind(body *model.Parameters) (asked, error) {
	query, err := x.query()
	if err != nil {
		return asked{}, err
	}
	f, err := fhir.ParseFind(query, body, x.s.findOptions())
	if err != nil {
		return asked{}, err
	}
	if x.strict() && len(f.Unknown) > 0 {
		return asked{}, refuseUnknown(f.Unknown)
	}
	if f.Query.MaxAge > 0 && x.principal().Anonymous() {
		f.Query.MaxAge = 0
		f.NotApplied = append(f.NotApplied, "_max-age")
	}
	f.Cut = append(f.Cut, x.s.beyond(f.Query)...)
	x.judgeFor(&f)
	a := asked{Find: f, params: findParams(f.Query, f.Strict)}
	if f.Patient != "" {
		a.params.Set("patient-reference", "Patient/"+f.Patient)
	}
	if f.Cursor != "" {
		a.Query.After, err = x.s.cursors.read(findPlace(a.params), f.Cursor)
	}
	return a, err
}

// findPlace names the query that a cursor belongs to.
func findPlace(params url.Values) string { return "Appointment/$find?" + params.Encode() }

func (s *Server) findOptions() fhir.FindOptions {
	opts := fhir.FindOptions{DefaultCount: s.opts.DefaultCount, MaxCount: s.opts.MaxCount, MaxValues: s.opts.MaxParams}
	for _, rel := range releases() {
		opts.Bases = append(opts.Bases, s.root(rel))
	}
	return opts
}

// refuseUnknown names the parameters that nobody here knows. The names are
// those that ParseFind found fit to be shown.
func refuseUnknown(names []string) error {
	return scheduling.Refuse(scheduling.BadRequest, names[0], "unknown parameters: %q", names)
}

// refuseIncomplete is what strict=true asks for in place of half an answer.
func refuseIncomplete(sources []scheduling.Freshness) error {
	e := &scheduling.Error{
		Code: scheduling.SourceDown, Who: scheduling.AtEHR,
		Message: "the answer would lack offers of some sources, and strict=true asks for all",
	}
	for _, f := range sources {
		if !f.Complete {
			e.Source = f.Source
			break
		}
	}
	return e
}

// beyond names the ends of the period that reach behind what is prefetched of
// one of the sources asked.
func (s *Server) beyond(q scheduling.Query) []string {
	var cut []string
	for _, src := range s.live.Load().sources {
		if src.Horizon <= 0 || len(q.Sources) > 0 && !slices.Contains(q.Sources, src.ID) {
			continue
		}
		zone := src.Zone
		if zone == nil {
			zone = time.UTC
		}
		end := scheduling.DayOf(s.deps.Now(), zone) + scheduling.Day(src.Horizon)
		if q.Start.Set && !before(q.Start, end, zone) && !slices.Contains(cut, "start") {
			cut = append(cut, "start")
		}
		if q.End.Set && !before(q.End, end, zone) && !slices.Contains(cut, "end") {
			cut = append(cut, "end")
		}
	}
	return cut
}

// before tells whether the bound lies before the day begins, or at its first
// instant.
func before(b scheduling.Bound, day scheduling.Day, zone *time.Location) bool {
	if b.IsDay {
		return b.Day < day
	}
	return !b.At.After(day.Start(zone))
}
