package booking

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"slotgate/scheduling"
)

// Insurance sends the coverage of a booking's patients: the Registrar does.
type Insurance interface {
	// Covering is how coverage is sent to a source; none where it takes none.
	Covering(source scheduling.SourceID) scheduling.Covering
	// CoverageFor gives what is to go with a booking there: the named ones, or
	// without any all that are kept for the patients.
	//
	// Errors: unknown-id for one that is none of the principal's; not-acceptable
	// for another patient's; shedding.
	CoverageFor(ctx context.Context, principal string, source scheduling.SourceID, patients, named []string) ([]Covered, error)
	// SendCoverage has the source take one that it has not, once, by however many
	// at a time.
	//
	// Errors: in-doubt where it is not known yet what the source did; unknown-id
	// where the coverage, or whom it names, was forgotten; else what ends a call.
	SendCoverage(ctx context.Context, principal string, source scheduling.SourceID, id string) error
	// CoverageGivenUp lists one for the operator that is sent no more.
	CoverageGivenUp(ctx context.Context, principal string, source scheduling.SourceID, id string) error
}

// Covered is a coverage as a source knows it.
type Covered struct {
	ID      string
	Patient string // our id
	Has     bool   // the source has this version
	Dead    bool   // it is not in force: withdrawn, or past
	Unsent  bool   // it is dead, and the source, which never had it, is not told
}

var _ Insurance = (*Registrar)(nil)

// CoverResult is what became of a coverage at one source.
type CoverResult struct {
	Source scheduling.SourceID
	// NotSent: the source takes none from us.
	NotSent bool
	// Err is nil where the source has it, else as SendCoverage ends.
	Err error
}

// insurer is a source as it takes coverage.
func (r *Registrar) insurer(source scheduling.SourceID) (Insurer, scheduling.Covering) {
	none := scheduling.Covering{Way: scheduling.CoverNone}
	if r.Insurers == nil || r.Coverages == nil {
		return nil, none
	}
	at, ok := r.Insurers(source)
	if !ok {
		return nil, none
	}
	return at, at.Covering()
}

// Covering is how coverage is sent to a source.
func (r *Registrar) Covering(source scheduling.SourceID) scheduling.Covering {
	_, how := r.insurer(source)
	return how
}

// CoverageFor gives what is to go with a booking.
func (r *Registrar) CoverageFor(ctx context.Context, principal string, source scheduling.SourceID, patients, named []string) ([]Covered, error) {
	if r.Coverages == nil {
		if len(named) > 0 {
			return nil, scheduling.Refuse(scheduling.NotSupported, "coverage", "coverage is not taken here")
		}
		return nil, nil
	}
	kept, err := r.coverages(ctx, principal, patients, named)
	if err != nil {
		return nil, err
	}
	list := make([]Covered, 0, len(kept))
	for _, c := range kept {
		links, err := r.Coverages.CoverageLinks(ctx, principal, c.ID)
		if err != nil {
			return nil, err
		}
		link := links[source]
		gone := dead(c, r.now())
		unknown := gone && link.Native == "" && link.State == scheduling.LinkNone
		if unknown && len(named) == 0 {
			continue
		}
		list = append(list, Covered{ID: c.ID, Patient: c.Patient, Has: !unknown && has(link, c), Dead: gone, Unsent: unknown})
	}
	return list, nil
}

// has tells whether the source has this version.
func has(l scheduling.CoverageLink, c scheduling.Coverage) bool {
	return l.State == scheduling.LinkKnown && l.Version == c.Version
}

func (r *Registrar) coverages(ctx context.Context, principal string, patients, named []string) (list []scheduling.Coverage, err error) {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(named))) {
		c, err := r.coverage(ctx, principal, id)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(patients, c.Patient) {
			return nil, scheduling.Refuse(scheduling.NotAcceptable, "coverage", "the coverage is for another patient than the appointment")
		}
		list = append(list, c)
	}
	if len(named) > 0 {
		return list, nil
	}
	for _, patient := range slices.Compact(slices.Sorted(slices.Values(patients))) {
		if !scheduling.OwnPatientID(patient) {
			continue
		}
		theirs, err := r.Coverages.CoveragesOf(ctx, principal, patient)
		if err != nil {
			return nil, err
		}
		list = append(list, theirs...)
	}
	return list, nil
}

func (r *Registrar) coverage(ctx context.Context, principal, id string) (scheduling.Coverage, error) {
	if r.Coverages == nil || !scheduling.OwnCoverageID(id) {
		return scheduling.Coverage{}, unknownCoverage()
	}
	c, err := r.Coverages.Coverage(ctx, principal, id)
	if is(err, scheduling.UnknownID) {
		err = unknownCoverage()
	}
	return c, err
}

func unknownCoverage() error {
	return scheduling.Refuse(scheduling.UnknownID, "coverage", "no coverage of yours has this id")
}

// Cover sends a coverage to every source where its patient has an appointment to
// come: what a caller gives, or changes, after the booking. The results are in
// order of source; none: it waits for a booking.
//
// Errors: unknown-id; shedding. What a source answered is in its result.
func (r *Registrar) Cover(ctx context.Context, principal, id string) ([]CoverResult, error) {
	c, err := r.coverage(ctx, principal, id)
	if err != nil {
		return nil, err
	}
	links, err := r.People.Links(ctx, principal, c.Patient)
	if err != nil {
		return nil, err
	}
	var sources []string
	for source := range links {
		sources = append(sources, string(source))
	}
	slices.Sort(sources)
	had, err := r.Coverages.CoverageLinks(ctx, principal, id)
	if err != nil {
		return nil, err
	}
	var results []CoverResult
	for _, name := range sources {
		source := scheduling.SourceID(name)
		open, err := r.toCome(ctx, principal, source, c.Patient)
		if err != nil {
			return nil, err
		}
		switch l := had[source]; {
		case len(open) == 0:
		case dead(c, r.now()) && l.Native == "" && l.State == scheduling.LinkNone:
			results = append(results, CoverResult{Source: source, NotSent: true})
		default:
			results = append(results, r.coverAt(ctx, principal, source, id, open[0]))
		}
	}
	return results, nil
}

// toCome are the appointments that the patient has there, or may have: what is
// booked first.
func (r *Registrar) toCome(ctx context.Context, principal string, source scheduling.SourceID, patient string) ([]scheduling.Entry, error) {
	entries, err := r.Named.ByPatient(ctx, source, principal, patient)
	if err != nil {
		return nil, err
	}
	var booked, other []scheduling.Entry
	for _, e := range entries {
		switch past := len(e.Offer.Slots) > 0 && !e.Offer.End().After(r.now()); {
		case past:
		case e.State == scheduling.EntryBooked:
			booked = append(booked, e)
		case e.State == scheduling.EntryBooking || e.State == scheduling.EntryDoubt:
			other = append(other, e)
		}
	}
	return append(booked, other...), nil
}

// patientsIn are the patients of ours whom a coverage names: by references to
// Patient/id, wherever they stand.
func patientsIn(c scheduling.Coverage) ([]string, error) {
	var resource any
	if err := json.Unmarshal(c.Resource, &resource); err != nil {
		return nil, scheduling.Fault(scheduling.Internal, nil, "a coverage that was kept cannot be read")
	}
	ids := referred(resource)
	if c.Patient != "" {
		ids = append(ids, c.Patient)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func referred(value any) (ids []string) {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			ids = append(ids, referred(one)...)
		}
	case map[string]any:
		for name, one := range v {
			text, _ := one.(string)
			if id, ok := strings.CutPrefix(text, "Patient/"); ok && name == "reference" && scheduling.OwnPatientID(id) {
				ids = append(ids, id)
			}
			ids = append(ids, referred(one)...)
		}
	}
	return ids
}
