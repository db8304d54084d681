package fhir

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// GivenCoverage is a Coverage that came with a booking: one of ours by its id,
// or a resource.
type GivenCoverage struct {
	ID       string
	resource *model.Coverage
}

// Resource tells that the Coverage itself came.
func (g GivenCoverage) Resource() bool { return g.resource != nil }

// Digest stands for the resources that came, whatever they were written in: the
// same ones have the same. nil: none came. It must not be kept as it is (law 10).
func (b *Booked) Digest() []byte {
	if len(b.People)+len(b.sent) == 0 {
		return nil
	}
	h := sha256.New()
	for _, person := range b.People {
		_, _ = fmt.Fprintf(h, "%q", person.Resource)
	}
	for _, coverage := range b.sent {
		_, _ = fmt.Fprintf(h, "%q", coverage.Resource)
	}
	return h.Sum(nil)
}

// takePerson reads a patient-resource.
func (r *bookReader) takePerson(p *model.Parameter) error {
	patient, ok := p.Resource.(*model.Patient)
	if !ok {
		return bad(p.Name, "must hold a Patient resource")
	}
	if len(r.patients) == r.opts.MaxValues {
		return tooMany()
	}
	r.patients = append(r.patients, patient)
	return nil
}

// takeCoverage reads a coverage: the resource, or a reference to one of ours.
func (r *bookReader) takeCoverage(p *model.Parameter) error {
	if !r.opts.Coverage {
		r.out.NotApplied = note(r.out.NotApplied, p.Name)
		return nil
	}
	if len(r.coverages) == r.opts.MaxValues {
		return tooMany()
	}
	if p.Resource != nil {
		coverage, ok := p.Resource.(*model.Coverage)
		if !ok {
			return bad(p.Name, "must hold a Coverage resource, or a reference to one")
		}
		r.coverages = append(r.coverages, GivenCoverage{resource: coverage})
		return nil
	}
	text, err := once(p)
	if err != nil {
		return err
	}
	id := localTo(r.opts.Bases, text)
	if !scheduling.ValidID(id) {
		kind, inner := RefParts(id)
		if kind != "Coverage" || strings.Contains(id, "://") {
			return scheduling.Refuse(scheduling.UnknownID, p.Name, "parameter %s: this is no coverage of ours", p.Name)
		}
		id = inner
	}
	if !slices.ContainsFunc(r.coverages, func(g GivenCoverage) bool { return g.ID == id }) {
		r.coverages = append(r.coverages, GivenCoverage{ID: id})
	}
	return nil
}

// people judges the resources that came with a booking, all of them before
// anything is kept.
func (r *bookReader) people() error {
	for _, patient := range r.patients {
		person, err := RegistrationOf(r.opts.Release, patient)
		if err != nil {
			return err
		}
		r.out.People = append(r.out.People, person)
		name := ""
		if ref := model.Ref(patient); ref != "" && !slices.Contains(r.out.peopleRefs, ref) {
			name = ref
		}
		r.out.peopleRefs = append(r.out.peopleRefs, name)
	}
	r.out.Coverages = r.coverages
	if len(r.out.Patients)+len(r.out.People) == 0 {
		return nil // for the desk to refuse
	}
	stand := standIns(len(r.out.People))
	list, err := r.out.Cover(r.opts, stand)
	if err != nil {
		return err
	}
	r.out.sent = list
	r.out.Named, err = namedBeside(list, stand)
	return err
}

// Cover gives the Coverages that came as resources, once the People have these
// ids, in their order. One that does not say whom it covers is the only
// patient's.
//
// Errors: those of CoverageOf; not-acceptable for one of somebody who is no
// patient of the appointment.
func (b *Booked) Cover(opts BookOptions, people []string) ([]scheduling.Coverage, error) {
	patients := slices.Concat(b.Patients, people)
	within := CoverageContext{Bases: opts.Bases, Patients: map[string]string{}}
	if slices.Sort(patients); len(slices.Compact(patients)) == 1 && scheduling.OwnPatientID(patients[0]) {
		within.Patient = patients[0]
	}
	for i, name := range b.peopleRefs {
		if name != "" {
			within.Patients[name] = people[i]
		}
	}
	var list []scheduling.Coverage
	for _, given := range b.Coverages {
		if given.resource == nil {
			continue
		}
		c, err := CoverageOf(opts.Release, given.resource, within)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(patients, c.Patient) {
			return nil, scheduling.Refuse(scheduling.NotAcceptable, "coverage", "the coverage is for another patient than the appointment")
		}
		list = append(list, c)
	}
	return list, nil
}
