package upstream

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// What a source is asked in the name of a user goes with the user's own token,
// to the source's own origin, through the same stack as everything else. The
// token lies in the context of the call from here to the wire, so that nothing
// on the way can put our own login in its place: whatever belongs to the call
// is asked with it, or not at all.

// userKey is where the token lies in a context.
type userKey struct{}

// userOf is the token that a call goes with, in place of our login.
func userOf(ctx context.Context) (scheduling.UserToken, bool) {
	t, ok := ctx.Value(userKey{}).(scheduling.UserToken)
	return t, ok
}

// headerUser is by which a caller hands us a user's token.
const headerUser = "X-Source-Authorization"

var errNobody = errors.New("upstream: asked in nobody's name")

// as gives the context for asking in somebody's name. What the source can do is
// learnt before, by our own login.
func (c *Client) as(ctx context.Context, who scheduling.As) (context.Context, error) {
	user, ok := who.User()
	switch {
	case ok:
		c.learn(ctx, laneRead)
		return context.WithValue(ctx, userKey{}, user), nil
	case who.Ours():
		return ctx, nil
	default:
		return ctx, scheduling.Fault(scheduling.Internal, errNobody, "something went wrong on our side")
	}
}

// judgeUser: that a user's token is refused is the user's business. It is no
// fault of our login, and says nothing of the source's health.
func judgeUser(ctx context.Context, source scheduling.SourceID, err error) error {
	if _, user := userOf(ctx); !user || scheduling.CodeOf(err) != scheduling.SourceLogin {
		return err
	}
	return refuseUser(source, faultOf(err))
}

func refuseUser(source scheduling.SourceID, f *fault) *scheduling.Error {
	e := scheduling.Refuse(scheduling.Forbidden, headerUser, "the source does not allow this with the user's token")
	if f.status == http.StatusUnauthorized {
		e = scheduling.Refuse(scheduling.Unauthorized, headerUser, "the source does not accept the user's token; it may have expired")
	}
	e.Source, e.Err = source, &fault{status: f.status}
	return e
}

// ChecksTokens tells whether the source looks at tokens at all: it is asked for
// the Patient, who was read before, with a token that is none. A source that
// answers that tells nothing about anybody else's token either.
//
// Errors: not-supported: it answers, whoever asks; those of a read.
func (c *Client) ChecksTokens(ctx context.Context, native string) error {
	none, _ := scheduling.NewUserToken("none-" + rand.Text())
	_, err := c.UserPatient(ctx, scheduling.AsUser(none), native)
	switch {
	case err == nil:
		return c.readFault(scheduling.NotSupported, nil, "the source does not check users' tokens, so that they prove nothing there")
	case refusedAs(err, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound):
		return nil
	default:
		return err
	}
}

// UserPatient reads a Patient by the source's own id.
//
// Errors: unauthorized, forbidden: the token's; unknown-id; those of a read.
func (c *Client) UserPatient(ctx context.Context, who scheduling.As, native string) (scheduling.Registration, error) {
	ctx, err := c.as(ctx, who)
	if err != nil {
		return scheduling.Registration{}, err
	}
	_, res, err := c.document(ctx, kindPatient, native, laneRead, false)
	if err != nil {
		return scheduling.Registration{}, c.userFault(ctx, err)
	}
	patient, ok := res.(*model.Patient)
	if !ok {
		return scheduling.Registration{}, c.readFault(scheduling.SourceNonsense, errUnknownReply, "the source's answer cannot be read")
	}
	return fhir.PatientElsewhere(c.source.Release, patient)
}

// UserPatients searches Patients, by POST: what is asked for stands in no
// address. It gives one page of those who are what was asked for; more tells
// that there are others.
//
// Errors: as UserPatient.
func (c *Client) UserPatients(ctx context.Context, who scheduling.As, s scheduling.PatientSearch, limit int) (list []scheduling.Registration, more bool, err error) {
	ctx, err = c.as(ctx, who)
	if err != nil {
		return nil, false, err
	}
	page, err := c.page(ctx, &call{
		op: "search-patient", lane: laneRead, method: http.MethodPost, url: resolve(c.base, "Patient/_search", nil),
		body: []byte(userForm(s, limit).Encode()), kind: "application/x-www-form-urlencoded", fresh: true, limit: c.opts.Booking.ReadTimeout.Std(),
	})
	if err != nil {
		return nil, false, c.userFault(ctx, c.judgeSearch(err))
	}
	if page.Failed() {
		return nil, false, c.readFault(scheduling.SourceNonsense, nil, "the source could not search everything")
	}
	for i := range page.Entries {
		p, ok := page.Entries[i].Resource.(*model.Patient)
		if !ok || !scheduling.ValidID(p.ID) {
			continue
		}
		if r, err := fhir.PatientElsewhere(c.source.Release, p); err == nil && s.Matches(r) {
			list = append(list, r)
		}
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, page.Next() != "", nil
}

// userForm is a search as the source is sent it.
func userForm(s scheduling.PatientSearch, limit int) url.Values {
	form := url.Values{"_count": {strconv.Itoa(limit)}}
	escaped := strings.NewReplacer(`\`, `\\`, `|`, `\|`, `,`, `\,`, `$`, `\$`)
	if len(s.Identifiers) > 0 {
		form.Set("identifier", anyTokens(escaped, s.Identifiers))
	}
	add := func(name string, values ...string) {
		for _, value := range values {
			if value != "" {
				form.Add(name, escaped.Replace(value))
			}
		}
	}
	add("family", s.Family)
	add("given", s.Given...)
	add("gender", s.Gender)
	add("birthdate", s.BirthDate)
	return form
}

// anyTokens is a search for any of the identifiers; one without a system means
// any system.
func anyTokens(escaped *strings.Replacer, ids []scheduling.PersonIdentifier) string {
	tokens := make([]string, len(ids))
	for i, id := range ids {
		tokens[i] = escaped.Replace(id.Value)
		if id.System != "" {
			tokens[i] = escaped.Replace(id.System) + "|" + tokens[i]
		}
	}
	return strings.Join(tokens, ",")
}

// UserAppointments are the Patient's appointments that begin in the period; a
// zero time leaves its side open.
//
// Errors: as UserPatient; not-supported where they cannot be searched.
func (c *Client) UserAppointments(ctx context.Context, who scheduling.As, patient string, from, to time.Time) ([]scheduling.ElsewhereAppointment, error) {
	ctx, err := c.as(ctx, who)
	if err != nil {
		return nil, err
	}
	if _, byPatient := c.searchWays(c.learnt()); !byPatient || !scheduling.ValidID(patient) {
		return nil, c.cannot()
	}
	query := url.Values{"patient": {"Patient/" + patient}}
	if !from.IsZero() {
		query.Add("date", "ge"+c.searchTime(from, -1))
	}
	if !to.IsZero() {
		query.Add("date", "lt"+c.searchTime(to, 1))
	}
	var out []scheduling.ElsewhereAppointment
	err = appointmentSearch{client: c, lane: laneRead}.pages(ctx, kindAppointment, query, func(res model.Resource) {
		in, ok := res.(*model.Appointment)
		if !ok || !scheduling.ValidID(in.ID) {
			return
		}
		if a := c.elsewhere(in, ""); a.Of(patient) && begins(a.Appointment, from, to) {
			out = append(out, a)
		}
	})
	return out, c.userFault(ctx, err)
}

// UserAppointment reads one, from no cache.
//
// Errors: as UserPatient.
func (c *Client) UserAppointment(ctx context.Context, who scheduling.As, native string) (scheduling.ElsewhereAppointment, error) {
	ctx, err := c.as(ctx, who)
	if err != nil {
		return scheduling.ElsewhereAppointment{}, err
	}
	d, res, err := c.document(ctx, kindAppointment, native, laneRead, false)
	if err != nil {
		return scheduling.ElsewhereAppointment{}, c.userFault(ctx, err)
	}
	in, _ := res.(*model.Appointment)
	return c.elsewhere(in, d.etag), nil
}

// UserCancel cancels one, as Cancel does.
//
// Errors: as Cancel's; unauthorized, forbidden: the token's, and nothing was
// changed.
func (c *Client) UserCancel(ctx context.Context, who scheduling.As, call scheduling.CancelCall) error {
	ctx, err := c.as(ctx, who)
	if err != nil {
		return err
	}
	return c.userFault(ctx, c.Cancel(ctx, call))
}

// userFault tells a refusal of the user's token for what it is, in whatever
// shape it came.
func (c *Client) userFault(ctx context.Context, err error) error {
	_, user := userOf(ctx)
	switch code := scheduling.CodeOf(err); {
	case err == nil, !user, code == scheduling.InDoubt:
		return err
	case code == scheduling.SourceLogin, refusedAs(err, http.StatusUnauthorized, http.StatusForbidden):
		return refuseUser(c.source.ID, faultOf(err))
	default:
		return err
	}
}

// elsewhere reads an Appointment as a user may see it.
func (c *Client) elsewhere(in *model.Appointment, etag string) scheduling.ElsewhereAppointment {
	out := fhir.AppointmentElsewhere(in, c.source.Zone, IdentifierSystem)
	zone := c.zoneAt(out.Actors)
	if from, to := c.timesAt(in, out.Actors); !from.IsZero() {
		out.Start, out.End = from, to
	}
	if zone != nil {
		out.Zone = zone.String()
	}
	if etag != "" {
		out.ETag = etag
	}
	return out
}

// zoneAt is the zone of the place among the actors, else the source's.
func (c *Client) zoneAt(actors []scheduling.Actor) *time.Location {
	dir := c.known.directory()
	for _, actor := range actors {
		place := dir.Locations[actor.ID]
		if actor.Kind != scheduling.KindLocation || place == nil || place.Zone == "" {
			continue
		}
		if z, err := time.LoadLocation(place.Zone); err == nil {
			return z
		}
	}
	return c.source.Zone
}
