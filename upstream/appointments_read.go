package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// document is a resource as the source wrote it: what is changed of it keeps
// everything that we do not know of.
type document struct {
	kind    scheduling.Kind
	id      string
	etag    string
	shown   time.Time // when, by the source's clock; zero where not told
	members map[string]json.RawMessage
}

// with gives the resource with some members replaced; nil takes one away.
func (d *document) with(changes map[string]any) (model.Resource, error) {
	members := make(map[string]any, len(d.members)+len(changes))
	for name, value := range d.members {
		members[name] = value
	}
	for name, value := range changes {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
	data, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	return &model.Raw{Type: string(d.kind), Base: model.Base{ID: d.id}, JSON: data}, nil
}

// member reads one member; what is not there, or is something else, leaves to
// as it is.
func (d *document) member(name string, to any) {
	if raw, ok := d.members[name]; ok {
		_ = json.Unmarshal(raw, to)
	}
}

// document reads one resource from no cache, as it is and as we understand it.
func (c *Client) document(ctx context.Context, kind scheduling.Kind, id string, l lane, probe bool) (*document, model.Resource, error) {
	if !scheduling.ValidID(id) {
		return nil, nil, c.readFault(scheduling.UnknownID, nil, "the source has no such record")
	}
	d := &document{kind: kind, id: id}
	var res model.Resource
	a, err := c.send(ctx, &call{
		op: "read-" + string(kind), lane: l, method: http.MethodGet, url: resolve(c.base, string(kind)+"/"+id, nil),
		fresh: true, limit: c.opts.Booking.ReadTimeout.Std(), probe: probe,
		read: func(f fhir.Format, body []byte) (err error) {
			res, err = d.read(c.source.Release, f, body)
			return err
		},
	})
	if err != nil {
		return nil, nil, c.judgeRead(err)
	}
	d.etag = etagOf(a.header, res.Common().Meta)
	d.shown, _ = http.ParseTime(a.header.Get("Date"))
	return d, res, nil
}

func (d *document) read(release scheduling.Release, f fhir.Format, body []byte) (model.Resource, error) {
	res, err := fhir.Read(release, f, body)
	if err != nil {
		return nil, err //nolint:wrapcheck // judged by the stack
	}
	if res.ResourceType() != string(d.kind) || res.Common().ID != d.id {
		return nil, errUnknownReply
	}
	if f == fhir.XML {
		if body, err = fhir.Write(release, fhir.JSON, res); err != nil {
			return nil, err //nolint:wrapcheck // judged by the stack
		}
	}
	if err = json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &d.members); err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	return res, nil
}

// etagOf is the version as If-Match wants it.
func etagOf(header http.Header, meta *model.Meta) string {
	switch etag := header.Get("ETag"); {
	case etag != "":
		return etag
	case meta != nil && meta.VersionID != "":
		return `W/"` + meta.VersionID + `"`
	default:
		return ""
	}
}

// judgeRead turns an error of the stack into one of those that a read may end
// with: only unknown-id says anything about the record.
func (c *Client) judgeRead(err error) error {
	from := asError(err)
	code := scheduling.CodeOf(err)
	switch {
	case refusedAs(err, http.StatusNotFound, http.StatusGone) && faultOf(err).page:
		code = scheduling.SourceNonsense
	case refusedAs(err, http.StatusNotFound, http.StatusGone):
		code = scheduling.UnknownID
	case refusedAs(err, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		code = scheduling.NotSupported
	case code == scheduling.Internal: // the caller went away
		code = scheduling.SourceSlow
	case code == scheduling.SourceRefused:
		code = scheduling.SourceNonsense
	default:
		return err
	}
	e := c.readFault(code, faultOf(err), "the record could not be read at the source")
	if from != nil {
		e.RetryAfter = from.RetryAfter
	}
	return e
}

func (c *Client) readFault(code scheduling.Code, cause error, message string) *scheduling.Error {
	return scheduling.Blame(code, c.source.ID, cause, message)
}

// unsent is what a failed read means for the write that it was to prepare:
// nothing was sent.
func (c *Client) unsent(err error) error {
	switch scheduling.CodeOf(err) {
	case scheduling.SourceLogin, scheduling.Throttled, scheduling.SourceDown, scheduling.NotSupported, scheduling.UnknownID:
		return err
	default:
		e := scheduling.Blame(scheduling.SourceDown, c.source.ID, faultOf(err), "the source could not be asked; nothing was sent")
		if from := asError(err); from != nil {
			e.RetryAfter = from.RetryAfter
		}
		return e
	}
}

// appointmentOf reads an Appointment tolerantly: what is missing or broken is
// empty, and is not proved (law 1).
func (c *Client) appointmentOf(in *model.Appointment, header http.Header) scheduling.Appointment {
	out := scheduling.Appointment{
		ID: in.ID, Status: scheduling.AppointmentStatus(in.Status), ETag: etagOf(header, in.Meta),
		Identifiers: oursAmong(in.Identifier),
	}
	if out.Status == "" && in.CancelationReason != nil {
		out.Status = scheduling.ApptCancelled // a server that drops the status of what was cancelled
	}
	for i := range in.Slot {
		if kind, id := fhir.RefParts(in.Slot[i].Reference); kind == scheduling.KindSlot {
			out.Slots = append(out.Slots, id)
		}
	}
	for _, p := range in.Participant {
		if p.Actor == nil {
			continue
		}
		switch kind, id := fhir.RefParts(p.Actor.Reference); kind {
		case "":
			if p.Actor.Display != "" {
				out.Actors = append(out.Actors, scheduling.Actor{Display: p.Actor.Display})
			}
		case "Patient":
			out.Patient = append(out.Patient, id)
		default:
			out.Actors = append(out.Actors, scheduling.Actor{Kind: kind, ID: id, Display: p.Actor.Display})
		}
	}
	if in.Meta != nil {
		out.Updated, _ = scheduling.ParseInstant(in.Meta.LastUpdated, c.source.Zone)
	}
	out.Created = c.createdAt(in.Created)
	out.Start, out.End = c.timesAt(in, out.Actors)
	return out
}

// createdAt is when an appointment was made, where that is told to the second.
func (c *Client) createdAt(text string) time.Time {
	if !strings.Contains(text, "T") {
		return time.Time{} // a day, or nothing
	}
	at, _ := scheduling.ParseInstant(text, c.source.Zone)
	return at
}

// timesAt are the instants of an appointment. Without an offset they are of the
// place's zone, else of the source's; what cannot be understood stays zero.
func (c *Client) timesAt(in *model.Appointment, actors []scheduling.Actor) (from, to time.Time) {
	zone := c.source.Zone
	dir := c.known.directory()
	for _, actor := range actors {
		if place := dir.Locations[actor.ID]; actor.Kind == scheduling.KindLocation && place != nil && place.Zone != "" {
			if z, err := time.LoadLocation(place.Zone); err == nil {
				zone = z
				break
			}
		}
	}
	from, to, err := scheduling.ParsePeriod(in.Start, in.End, zone)
	if err != nil {
		from, _ = scheduling.ParseInstant(in.Start, zone)
		to, _ = scheduling.ParseInstant(in.End, zone)
	}
	return from, to
}

// oursAmong are the values of our identifier system.
func oursAmong(list []model.Identifier) []string { return valuesOf(IdentifierSystem, list) }

func valuesOf(system string, list []model.Identifier) []string {
	var out []string
	for _, one := range list {
		if one.System == system && one.Value != "" && !slices.Contains(out, one.Value) {
			out = append(out, one.Value)
		}
	}
	return out
}

// marksAmong are the marks of ours on a slot; held: they are of a hold. Beside
// one of a booking that of a hold means nothing.
func marksAmong(list []model.Identifier) (marks []string, held bool) {
	if marks = oursAmong(list); len(marks) > 0 {
		return marks, false
	}
	marks = valuesOf(HoldSystem, list)
	return marks, len(marks) > 0
}
