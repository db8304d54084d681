package fhir

import (
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// bookReader gathers what a path and a body say.
type bookReader struct {
	opts BookOptions
	out  Booked
	// resource is the Appointment that was sent; ihe: as appointment-resource.
	resource *model.Appointment
	ihe      bool
	// unnamed: a participant is a patient in a way that names nobody who is
	// known.
	unnamed bool
	// patients and coverages are those that came with it.
	patients  []*model.Patient
	coverages []GivenCoverage
	given     map[string]bool
	// patientSources are the sources whose addresses patients were named by;
	// "" for ids.
	patientSources []scheduling.SourceID
}

func (r *bookReader) read(path string, body model.Resource) error {
	r.given = map[string]bool{}
	if path != "" {
		if !scheduling.ValidID(path) {
			return scheduling.Refuse(scheduling.BadRequest, "id", "not an id: [A-Za-z0-9.-]{1,64}")
		}
		r.out.ID = path
	}
	switch body := body.(type) {
	case nil:
	case *model.Appointment:
		r.resource = body
	case *model.Parameters:
		if err := r.parameters(body); err != nil {
			return err
		}
	default:
		return scheduling.Refuse(scheduling.NotAcceptable, "", "the body must be a Parameters or an Appointment resource")
	}
	if r.resource == nil {
		return nil
	}
	return r.appointment()
}

func (r *bookReader) parameters(body *model.Parameters) error {
	if len(body.Parameter) > r.opts.MaxValues {
		return tooMany()
	}
	for i := range body.Parameter {
		if body.Parameter[i].Name != "source" {
			continue
		}
		if err := r.source(&body.Parameter[i]); err != nil {
			return err
		}
	}
	for i := range body.Parameter {
		if err := r.parameter(&body.Parameter[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *bookReader) parameter(p *model.Parameter) error {
	switch p.Name {
	case "appt-id", "appointment-reference":
		id, err := r.appointmentID(p)
		if err != nil {
			return err
		}
		return r.sameID(id, p.Name)
	case "source":
		return nil // it was read before all others
	case "appt-resource", "appointment-resource":
		return r.takeResource(p)
	case "cancelled-appt-id":
		return r.replaced(p)
	case "patient-id", "patient-reference":
		text, err := once(p)
		if err != nil {
			return err
		}
		return r.patient(text, p.Name)
	case "comment":
		return r.comment(p)
	case "patient-resource":
		return r.takePerson(p)
	case "coverage":
		return r.takeCoverage(p)
	}
	r.out.Unknown = note(r.out.Unknown, shown(p.Name))
	return nil
}

// source takes the source whose own ids are meant.
func (r *bookReader) source(p *model.Parameter) error {
	text, err := once(p)
	if err != nil {
		return err
	}
	named := scheduling.SourceID(text)
	switch {
	case !slices.ContainsFunc(r.opts.Sources, func(s scheduling.Source) bool { return s.ID == named }):
		return scheduling.Refuse(scheduling.UnknownID, p.Name, "parameter source: no source of this id is served here")
	case r.opts.Source != "" && r.opts.Source != named:
		return bad(p.Name, "disagrees with the source that is given elsewhere")
	}
	r.opts.Source = named
	return nil
}

// native tells whether an id is the named source's own.
func (r *bookReader) native(id string) bool {
	named := r.opts.Source
	return named != "" && !(looksOurs(id) && strings.HasPrefix(id, scheduling.SourceTag(named)))
}

// once is the one text of a parameter.
func once(p *model.Parameter) (string, error) {
	text := strings.TrimSpace(valuesOf(p)[0].text)
	switch {
	case text == "":
		return "", bad(p.Name, "has no value")
	case len(text) > maxText:
		return "", bad(p.Name, "a value is too long")
	}
	return text, nil
}

// appointmentID reads the id of an appointment of ours. The guide's own text
// calls the type Resource.
func (r *bookReader) appointmentID(p *model.Parameter) (string, error) {
	text, err := once(p)
	if err != nil {
		return "", err
	}
	local := localTo(r.opts.Bases, text)
	if scheduling.ValidID(local) {
		return local, nil
	}
	kind, id := RefParts(local)
	switch {
	case id == "" || kind != "Appointment" && kind != "Resource":
		return "", bad(p.Name, "is not the id of an Appointment")
	case strings.Contains(local, "://"):
		return "", scheduling.Refuse(scheduling.UnknownID, p.Name, "parameter %s: this is an appointment of another server", p.Name)
	}
	return id, nil
}

// sameID takes an id, and refuses a second, different one.
func (r *bookReader) sameID(id, param string) error {
	if r.out.ID != "" && r.out.ID != id {
		return bad(param, "disagrees with the id that is given elsewhere")
	}
	r.out.ID = id
	return nil
}

func (r *bookReader) replaced(p *model.Parameter) error {
	id, err := r.appointmentID(p)
	if err != nil {
		return err
	}
	if r.given[p.Name] && r.out.Replaces != id {
		return bad(p.Name, "is given twice")
	}
	r.given[p.Name], r.out.Replaces = true, id
	return nil
}

func (r *bookReader) takeResource(p *model.Parameter) error {
	a, ok := p.Resource.(*model.Appointment)
	if !ok {
		return bad(p.Name, "must hold an Appointment resource")
	}
	if r.resource != nil {
		return bad(p.Name, "a second Appointment resource is given")
	}
	r.resource, r.ihe = a, p.Name == "appointment-resource"
	return nil
}

func (r *bookReader) comment(p *model.Parameter) error {
	text := valuesOf(p)[0].text
	if r.given[p.Name] && text != r.out.Comment {
		return bad(p.Name, "is given twice")
	}
	r.given[p.Name] = true
	return r.setComment(text)
}

// setComment takes what FHIR allows in a string: no control characters but
// tab and line ends.
func (r *bookReader) setComment(text string) error {
	for _, c := range text {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return bad("comment", "holds control characters")
		}
	}
	r.out.Comment = text
	return nil
}

// localTo takes one of our own bases away from an absolute address.
func localTo(bases []string, text string) string {
	for _, base := range bases {
		if rest, ok := strings.CutPrefix(text, strings.TrimSuffix(base, "/")+"/"); ok {
			return rest
		}
	}
	return text
}
