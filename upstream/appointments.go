package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Read gives the appointment as it is now, from no cache.
//
// Errors: see booking.EHR; unknown-id: the source says that there is none.
func (c *Client) Read(ctx context.Context, native string, purpose scheduling.Purpose) (scheduling.Appointment, error) {
	l, probe := laneFor(purpose)
	_, now, err := c.readDocument(ctx, native, l, probe)
	if err == nil && purpose == scheduling.ForSettle {
		c.finish(ctx, now, now.Identifiers)
	}
	return now, err
}

// SlotStates gives the state of each slot in the order asked, from no cache; one
// that is gone has status "".
//
// Errors: see booking.EHR.
func (c *Client) SlotStates(ctx context.Context, slots []string, purpose scheduling.Purpose) ([]scheduling.SlotState, error) {
	l, probe := laneFor(purpose)
	if !c.readsSlots(c.learn(ctx, l)) {
		return nil, c.cannot()
	}
	out := make([]scheduling.SlotState, len(slots))
	for i, id := range slots {
		out[i].ID = id
		s, err := c.readSlot(ctx, id, l, probe)
		switch {
		case scheduling.CodeOf(err) == scheduling.UnknownID:
			continue
		case err != nil:
			return nil, err
		}
		out[i].Status, out[i].ETag = s.slot.Status, s.etag
		if s.held {
			out[i].Mark = s.marks[0]
		}
	}
	return out, nil
}

// Find gives every appointment that matches, of any status. One that was booked
// by the id of a proposed appointment does not carry our identifier: where the
// identifier finds nothing, patients and day are asked as well.
//
// Errors: see booking.EHR.
func (c *Client) Find(ctx context.Context, call scheduling.FindCall) ([]scheduling.Appointment, error) {
	found, err := c.find(ctx, call)
	if call.Identifier == "" || call.Purpose != scheduling.ForBook && call.Purpose != scheduling.ForSettle {
		return found, err
	}
	for _, a := range found {
		c.finish(ctx, a, []string{call.Identifier})
	}
	return found, err
}

func (c *Client) find(ctx context.Context, call scheduling.FindCall) ([]scheduling.Appointment, error) {
	l, probe := laneFor(call.Purpose)
	byIdentifier, byPatient := c.searchWays(c.learn(ctx, l))
	look := appointmentSearch{client: c, lane: l, probe: probe}
	asked := false
	if call.Identifier != "" && byIdentifier {
		asked = true
		found, err := look.all(ctx, url.Values{"identifier": {IdentifierSystem + "|" + call.Identifier}})
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(a scheduling.Appointment) bool { return !a.HasIdentifier(call.Identifier) })
		if len(found) > 0 {
			return found, nil
		}
	}
	if len(call.Patients) > 0 && byPatient {
		return look.ofPatients(ctx, call)
	}
	if !asked {
		return nil, c.cannot()
	}
	return nil, nil
}

// appointmentSearch looks for appointments in one lane.
type appointmentSearch struct {
	client *Client
	lane   lane
	probe  bool

	// For standing: one that is known not to stand any more, and whether others
	// than those under our marks are looked for however much that costs.
	ended     string
	everybody bool
}

// ofPatients finds the appointments of each patient that begin in the period.
func (s appointmentSearch) ofPatients(ctx context.Context, call scheduling.FindCall) ([]scheduling.Appointment, error) {
	var out []scheduling.Appointment
	for _, patient := range call.Patients {
		query := url.Values{"patient": {"Patient/" + patient}}
		if !call.From.IsZero() {
			query.Add("date", "ge"+s.client.searchTime(call.From, -1))
		}
		if !call.To.IsZero() {
			query.Add("date", "lt"+s.client.searchTime(call.To, 1))
		}
		found, err := s.all(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			if isOf(a, patient) && begins(a, call.From, call.To) && !slices.ContainsFunc(out, func(b scheduling.Appointment) bool { return a.ID == b.ID }) {
				out = append(out, a)
			}
		}
	}
	return out, nil
}

// searchTime is a bound of a search: where the server does not understand
// instants, a day, wider than asked.
func (c *Client) searchTime(t time.Time, wider int) string {
	if c.opts.Quirks.DateOnly {
		return t.UTC().AddDate(0, 0, wider).Format(time.DateOnly)
	}
	return instant(t)
}

// isOf: a server that ignores a parameter answers with everybody's. One that does
// not show participants is believed.
func isOf(a scheduling.Appointment, patient string) bool {
	return len(a.Patient) == 0 && len(a.Actors) == 0 || slices.Contains(a.Patient, patient)
}

// begins: an appointment whose time is not known is kept.
func begins(a scheduling.Appointment, from, to time.Time) bool {
	return a.Start.IsZero() || (from.IsZero() || !a.Start.Before(from)) && (to.IsZero() || a.Start.Before(to))
}

// all reads every page of a search. An answer that is cut is an error: what was
// not read may be what is looked for.
func (s appointmentSearch) all(ctx context.Context, query url.Values) ([]scheduling.Appointment, error) {
	var out []scheduling.Appointment
	err := s.pages(ctx, kindAppointment, query, func(res model.Resource) {
		if in, ok := res.(*model.Appointment); ok {
			out = append(out, s.client.appointmentOf(in, nil))
		}
	})
	return out, err
}

func (s appointmentSearch) pages(ctx context.Context, kind scheduling.Kind, query url.Values, each func(model.Resource)) error {
	c := s.client
	if c.opts.Quirks.PageSize > 0 {
		query.Set("_count", strconv.Itoa(c.opts.Quirks.PageSize))
	}
	q := question{
		op: "search-" + string(kind), kind: kind, paged: true, method: http.MethodGet, url: resolve(c.base, string(kind), query),
		lane: s.lane, probe: s.probe, timeout: c.opts.Booking.ReadTimeout.Std(),
	}
	broken := 0
	cut, err := c.pages(ctx, q, func(page *fhir.Page) string {
		for i := range page.Entries {
			if res := page.Entries[i].Resource; res != nil {
				each(res)
			}
		}
		broken += page.Broken.Total()
		if page.Failed() {
			return "the source could not search everything"
		}
		return ""
	})
	switch {
	case err != nil:
		return c.judgeSearch(err)
	case cut != "" || broken > 0:
		return c.readFault(scheduling.SourceNonsense, nil, "the source's list of appointments is not whole")
	default:
		return nil
	}
}

// judgeSearch: a search that the source does not know says nothing of the
// appointments, least of all that there is none.
func (c *Client) judgeSearch(err error) error {
	if !faultOf(err).page && refusedAs(err, http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusMethodNotAllowed,
		http.StatusUnprocessableEntity, http.StatusNotImplemented) {
		return c.readFault(scheduling.NotSupported, faultOf(err), "the source does not search that")
	}
	return c.judgeRead(err)
}

// Ours gives every appointment from now on that carries our identifier system,
// and each slot that is held under our mark, as a pending one without an id; so
// is one that was claimed for a booking, if no appointment stands on it.
//
// Errors: see booking.EHR; not-supported where our identifier cannot be searched:
// then there may be others than those that are given with it.
func (c *Client) Ours(ctx context.Context) ([]scheduling.Appointment, error) {
	t := c.learn(ctx, laneRead)
	look := appointmentSearch{client: c, lane: laneRead, probe: true}
	out, unsearched := look.identified(ctx, t)
	if unsearched != nil && scheduling.CodeOf(unsearched) != scheduling.NotSupported {
		return nil, unsearched
	}
	if c.keepsSlots() {
		held, err := look.heldSlots(ctx)
		if err != nil {
			return nil, err
		}
		if out, err = look.sort(ctx, t, held, out); err != nil {
			return nil, err
		}
	}
	return out, unsearched
}

// identified gives every appointment from now on that carries our identifier
// system. A source that does not tell of the parameter is asked as well, and
// believed if all that it gives is ours: one that ignored it would give others.
func (s appointmentSearch) identified(ctx context.Context, t *traits) ([]scheduling.Appointment, error) {
	c := s.client
	told, _ := c.searchWays(t)
	if !c.identifies() {
		return nil, c.cannot() // none bears it, whoever made them
	}
	if !told && (c.opts.Quirks.Search != auto || !can(t.appt, "search-type", true)) {
		return nil, c.cannot()
	}
	found, err := s.all(ctx, url.Values{"identifier": {IdentifierSystem + "|"}, "date": {"ge" + c.searchTime(c.now(), -1)}})
	notOurs := func(a scheduling.Appointment) bool { return len(a.Identifiers) == 0 }
	switch code := scheduling.CodeOf(err); {
	case told && err != nil, code != "" && code != scheduling.SourceNonsense:
		return nil, err
	case code != "" || !told && slices.ContainsFunc(found, notOurs):
		return nil, c.cannot() // not whole, or not what was asked for
	}
	return slices.DeleteFunc(found, notOurs), nil
}

// markedSlot is a busy-tentative slot under our mark, as a pending appointment.
type markedSlot struct {
	scheduling.Appointment
	held bool // the mark is that of a hold
}

// heldSlots are the busy-tentative slots that carry our mark.
func (s appointmentSearch) heldSlots(ctx context.Context) ([]markedSlot, error) {
	c := s.client
	query := url.Values{"status": {string(scheduling.SlotTentative)}, "start": {"ge" + c.searchTime(c.now(), -1)}}
	c.opts.Quirks.set(query)
	var out []markedSlot
	err := s.pages(ctx, scheduling.KindSlot, query, func(res model.Resource) {
		in, ok := res.(*model.Slot)
		if !ok {
			return
		}
		marks, held := marksAmong(in.Identifier)
		if in.Status != string(scheduling.SlotTentative) || len(marks) == 0 {
			return
		}
		slot, _ := fhir.NewSlots(c.source.Zone).Slot(in)
		out = append(out, markedSlot{held: held, Appointment: scheduling.Appointment{
			Status: scheduling.ApptPending, Slots: []string{in.ID}, Identifiers: marks, ETag: etagOf(nil, in.Meta),
			Start: slot.Start, End: slot.End,
		}})
	})
	return out, err
}
