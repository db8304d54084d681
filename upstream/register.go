package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Register is how a person gets a Patient at one source.
type Register struct {
	// Register is post (the server knows its people by itself), if-none-exist,
	// search-then-post, match (Patient/$match, then post), none, or auto: post for
	// argonaut, match for epic, none for links, else if-none-exist. Default: auto.
	Register string `yaml:"register"`
	// Match is what a source is asked by register: match before anybody is made:
	// all (also for those who are merely alike) or certain (where the source knows
	// no other question). Default: all.
	Match string `yaml:"match"`
}

// SetDefaults fills in what was not given.
func (r *Register) SetDefaults() {
	setDefault(&r.Register, auto)
	setDefault(&r.Match, matchAll)
}

// Validate tells everything that is wrong. Each message begins with the key.
func (r *Register) Validate() error {
	return errors.Join(
		need("register", oneOf(r.Register, "", auto) || scheduling.RegisterWay(r.Register).Valid(),
			"is %q; write auto, post, if-none-exist, search-then-post, match or none", r.Register),
		need("match", oneOf(r.Match, "", matchAll, matchCertain), "is %q; write all or certain", r.Match),
	)
}

// way is the one that is taken.
func (r *Register) way(dialect string) scheduling.RegisterWay {
	switch {
	case r.Register != "" && r.Register != auto:
		return scheduling.RegisterWay(r.Register)
	case dialect == Argonaut:
		return scheduling.RegisterPost
	case dialect == Epic:
		return scheduling.RegisterMatch
	case dialect == Links:
		return scheduling.RegisterNone
	default:
		return scheduling.RegisterIfNoneExist
	}
}

// Registering is how persons are registered here.
func (c *Client) Registering() scheduling.Registering {
	way := c.opts.Register.way(c.opts.Dialect)
	if c.opts.Readonly {
		way = scheduling.RegisterNone
	}
	b := &c.opts.Booking
	return scheduling.Registering{
		Way: way, CallTimeout: b.CallTimeout.Std(), ReadTimeout: b.ReadTimeout.Std(), Settle: b.Settle.Std(), Lag: b.Lag.Std(),
	}
}

const kindPatient scheduling.Kind = "Patient"

// CreatePatient asks the source for a Patient of the person: a new one, or the
// one that it knows. It is sent once.
//
// Errors: see booking.EHR; missing-data names the elements in Param;
// needs-clinic: the source knows several, or cannot tell.
func (c *Client) CreatePatient(ctx context.Context, call scheduling.RegisterCall) (scheduling.NativePatient, error) {
	patient, err := fhir.PatientToRegister(call.Person, call.Identifier)
	if err != nil {
		return scheduling.NativePatient{}, err
	}
	o := order{kind: scheduling.CallRegister, lane: laneBook, method: http.MethodPost, path: string(kindPatient), resource: patient}
	if call.Conditional {
		o.ifNoneExist = url.Values{"identifier": {tokensOf(call.Identifiers())}}.Encode()
	}
	within, cancel := c.withinCall(ctx)
	defer cancel()
	return c.sendPatient(within, o)
}

// tokensOf is a search for any of the identifiers.
func tokensOf(ids []scheduling.PersonIdentifier) string {
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`, `,`, `\,`, `$`, `\$`)
	tokens := make([]string, len(ids))
	for i, id := range ids {
		tokens[i] = escape.Replace(id.System) + "|" + escape.Replace(id.Value)
	}
	return strings.Join(tokens, ",")
}

// patientReply is what a registration was answered.
type patientReply struct{ shown[*model.Patient] }

func (c *Client) sendPatient(ctx context.Context, o order) (scheduling.NativePatient, error) {
	send, err := c.writeCall(o)
	if err != nil {
		return scheduling.NativePatient{}, err
	}
	got := &patientReply{}
	send.read = func(f fhir.Format, body []byte) error { return got.read(c.source.Release, f, body) }
	a, err := c.send(ctx, send)
	if a != nil {
		got.heads(c, a)
	}
	switch {
	case err == nil:
		return c.nativeOf(got, a)
	case a == nil:
		return scheduling.NativePatient{}, c.judgeUnanswered(send.sent, err)
	default:
		return scheduling.NativePatient{}, c.judgeUnregistered(got, a, err)
	}
}

// nativeOf reads an answer of status 2xx.
func (c *Client) nativeOf(r *patientReply, a *answer) (scheduling.NativePatient, error) {
	var native scheduling.NativePatient
	switch {
	case len(r.found) == 0 && r.failed():
		return native, c.refuseRegistration(shapeOutcome, r)
	case len(r.found) > 1:
		return native, c.needsClinic(nil)
	case len(r.found) == 1:
		native = fhir.NativePatient(r.found[0])
	default:
		native.Bare = true
	}
	if native.ID == "" {
		if kind, id := fhir.RefParts(pathOf(a.header.Get("Location"))); kind == kindPatient {
			native.ID = id
		}
	}
	native.Made = a.status == http.StatusCreated
	if !scheduling.ValidID(native.ID) {
		// It was done, and nobody knows what: it is looked for.
		return scheduling.NativePatient{}, c.doubt(&fault{status: a.status})
	}
	return native, nil
}

func pathOf(location string) string {
	u, err := url.Parse(strings.TrimSpace(location))
	if err != nil {
		return ""
	}
	return u.Path
}

// judgeUnregistered judges an answer that is not 2xx, or that cannot be read.
func (c *Client) judgeUnregistered(r *patientReply, a *answer, err error) error {
	judged := c.judgeRefused(scheduling.CallRegister, &r.reply, a, err)
	if scheduling.CodeOf(judged) == scheduling.InDoubt {
		return answeredIn(judged, a)
	}
	e := c.refuseRegistration(shapeStatus, r)
	if from := asError(judged); from != nil {
		e.RetryAfter = from.RetryAfter
	}
	return e
}

// answeredIn tells a doubt whose call is over from one that may run still: what
// a server says of itself, and not what a proxy says of a server.
func answeredIn(doubt error, a *answer) error {
	told := asError(doubt)
	if told == nil || a.status != http.StatusInternalServerError && a.status != http.StatusServiceUnavailable {
		return doubt
	}
	over := *told
	over.Err = errors.Join(told.Err, scheduling.ErrAnswered)
	return &over
}

// refuseRegistration says what a refusal means. Whatever it says of others who
// are alike is for the clinic.
func (c *Client) refuseRegistration(how shape, r *patientReply) *scheduling.Error {
	said := r.said()
	alike := func(one told) bool { return oneOf(one.code, "multiple-matches", "duplicate", "conflict") }
	if r.status == http.StatusConflict || r.status == http.StatusPreconditionFailed || slices.ContainsFunc(said, alike) {
		return c.needsClinic(&fault{status: r.status})
	}
	switch code := meaning(c.opts.Dialect, scheduling.CallRegister, how, r.status, said); code {
	case scheduling.NeedsClinic:
		return c.needsClinic(&fault{status: r.status})
	case scheduling.MissingData:
		e := c.refuse(code, &r.reply)
		if elements := r.elements(); len(elements) > 0 {
			e.Param = strings.Join(elements, ", ")
			e.Message = "the source wants to be told " + e.Param
		}
		return e
	default:
		return c.refuse(code, &r.reply)
	}
}

func (c *Client) needsClinic(cause error) *scheduling.Error {
	return scheduling.Blame(scheduling.NeedsClinic, c.source.ID, cause, refusalText(scheduling.NeedsClinic))
}

// elementPath is how servers name an element: Patient.birthDate, in XPath
// /f:Patient/f:birthDate, or by a longer path.
var elementPath = regexp.MustCompile(`^/?(?:f:)?Patient[./](?:f:)?([A-Za-z]+)`)

// patientElements are those that a source may ask for; nothing else of its
// texts reaches a caller.
const patientElements = ` identifier active name telecom gender birthDate address maritalStatus contact communication generalPractitioner managingOrganization extension `

// elements are those that the source names as missing.
func (r *patientReply) elements() []string {
	var list []string
	for _, outcome := range r.outcomes {
		for i := range outcome.Issue {
			issue := &outcome.Issue[i]
			for _, path := range slices.Concat(issue.Expression, issue.Location) {
				m := elementPath.FindStringSubmatch(path)
				if m == nil || !strings.Contains(patientElements, " "+m[1]+" ") {
					continue
				}
				if name := "Patient." + m[1]; !slices.Contains(list, name) {
					list = append(list, name)
				}
			}
		}
	}
	return list
}

// FindPatients looks for Patients by POST, so that what is asked for stands in
// no address. Those whom a server gives although they were not asked for are
// left out.
//
// Errors: as a read's; needs-clinic where there are more than anybody looks at.
func (c *Client) FindPatients(ctx context.Context, q scheduling.PatientQuery) ([]scheduling.NativePatient, error) {
	within, cancel := context.WithTimeout(ctx, c.opts.Booking.ReadTimeout.Std())
	defer cancel()
	page, err := c.page(within, &call{
		op: "search-patient", lane: laneBook, probe: true, method: http.MethodPost, url: resolve(c.base, "Patient/_search", nil),
		body: []byte(patientForm(q).Encode()), kind: "application/x-www-form-urlencoded", fresh: true, limit: c.opts.Booking.ReadTimeout.Std(),
	})
	switch {
	case err != nil:
		return nil, c.judgeSearch(err)
	case page.Failed() || page.Broken.Total() > 0:
		return nil, c.readFault(scheduling.SourceNonsense, nil, "the source's list of patients is not whole")
	case page.Next() != "":
		return nil, c.needsClinic(nil)
	}
	return c.hitsOn(page, q.MayBe)
}

// hitsOn are those on a page who may be meant. One that cannot be named, or that
// is counted and not shown, must not be taken for nobody.
func (c *Client) hitsOn(page *fhir.Page, mayBe func(scheduling.NativePatient) bool) ([]scheduling.NativePatient, error) {
	var out []scheduling.NativePatient
	seen := 0
	for i := range page.Entries {
		p, ok := page.Entries[i].Resource.(*model.Patient)
		if !ok {
			continue
		}
		seen++
		native := fhir.NativePatient(p)
		native.Grade = gradeOf(page.Entries[i].Search)
		twin := func(one scheduling.NativePatient) bool { return one.ID == native.ID }
		switch {
		case !mayBe(native):
		case !scheduling.ValidID(native.ID):
			return nil, c.readFault(scheduling.SourceNonsense, nil, "the source names a patient by an id that is none")
		case !slices.ContainsFunc(out, twin):
			out = append(out, native)
		}
	}
	if total := page.Bundle.Total; total != nil && *total > seen {
		return nil, c.needsClinic(nil)
	}
	return out, nil
}

func patientForm(q scheduling.PatientQuery) url.Values {
	form := url.Values{"_count": {"50"}}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, strings.NewReplacer(`\`, `\\`, `|`, `\|`, `,`, `\,`, `$`, `\$`).Replace(value))
		}
	}
	if len(q.Identifiers) > 0 {
		form.Set("identifier", tokensOf(q.Identifiers))
		return form
	}
	set("family", q.Name.Family)
	if len(q.Name.Given) > 0 {
		set("given", q.Name.Given[0])
	}
	set("birthdate", q.BirthDate)
	return form
}
