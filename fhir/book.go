package fhir

import (
	"slices"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// BookOptions bound what one $hold or $book may say, and tell whose addresses
// are understood.
type BookOptions struct {
	// Bases are our own base URLs: a reference below one of them is ours.
	Bases []string
	// Sources are those whose records may be named by their absolute address.
	Sources []scheduling.Source
	// Source is the one whose own ids are understood beside ours; "" for none.
	Source scheduling.SourceID
	// Release is the one that resources within are of.
	Release scheduling.Release
	// Coverage: it is taken; otherwise it is told as not applied.
	Coverage bool
	// MaxValues is how many parameters, participants or slots there may be.
	MaxValues int
}

// BookAct is what a $book asks for.
type BookAct string

// The acts of $book. All but the first are IHE's: there the status in
// appointment-resource decides.
const (
	ActBook   BookAct = "book"
	ActMove   BookAct = "move"
	ActCancel BookAct = "cancel"
)

// Held is what a $hold asks for: which offer, and for whom.
type Held struct {
	// ID is the offer's, "" where it is named by its slots.
	ID string
	// Slots are our ids of the slots in the resource that was sent, Start and
	// End its times (UTC); zero where it has none.
	Slots      []string
	Start, End time.Time
	// ByResource: there was a resource and no id beside it.
	ByResource bool
	// Patients are Patient ids without their type, each once.
	Patients []string
	// Unknown are the parameters that nobody here knows, NotApplied those that
	// are understood and have no effect here.
	Unknown, NotApplied []string
}

// Booked is what a $book asks for.
type Booked struct {
	Held
	Act     BookAct
	Comment string
	// Replaces is the id of the appointment whose place this one takes.
	Replaces string
	// Reason is the code of a cancel's reason, "" where none was given.
	Reason string
	// People are to be registered, and are patients of the appointment beside
	// Patients.
	People []scheduling.Registration
	// Named are the Patients of ours whom a Coverage that came as a resource names.
	Named []string
	// Coverages go with it: see Cover.
	Coverages []GivenCoverage

	peopleRefs []string              // the references that lead to People; "" for none
	sent       []scheduling.Coverage // the coverages that came as resources, for stand-ins
}

// ParseHold reads what $hold was asked: id is the one in the path ("" for
// none), body a Parameters, an Appointment, or nil.
//
// Errors: bad-request for what cannot be read and for ids that disagree,
// not-acceptable and missing-data for what can be read and not be done,
// unknown-id for an appointment of another server. They never repeat a value.
func ParseHold(id string, body model.Resource, opts BookOptions) (Held, error) {
	r := &bookReader{opts: opts}
	if err := r.read(id, body); err != nil {
		return Held{}, err
	}
	if r.resource != nil && !slices.Contains(bookable(), r.resource.Status) {
		return Held{}, refuseStatus()
	}
	for _, name := range []string{"comment", "cancelled-appt-id"} {
		if r.given[name] {
			r.out.NotApplied = note(r.out.NotApplied, name)
		}
	}
	if r.unnamed || len(r.patients) > 0 {
		r.out.NotApplied = note(r.out.NotApplied, "patient-resource")
	}
	if len(r.coverages) > 0 {
		r.out.NotApplied = note(r.out.NotApplied, "coverage")
	}
	err := r.finish()
	return r.out.Held, err
}

// ParseBook reads what $book was asked, as ParseHold does. One that names no
// patient is left to the desk to refuse, since a cancel needs none.
func ParseBook(id string, body model.Resource, opts BookOptions) (Booked, error) {
	r := &bookReader{opts: opts}
	if err := r.read(id, body); err != nil {
		return Booked{}, err
	}
	if err := r.act(); err != nil {
		return Booked{}, err
	}
	if err := r.finish(); err != nil {
		return r.out, err
	}
	return r.out, r.whom()
}

// whom takes the patients and coverages that came with a booking; a cancel has
// no use for them.
func (r *bookReader) whom() error {
	switch {
	case r.out.Act == ActCancel:
		if len(r.patients) > 0 {
			r.out.NotApplied = note(r.out.NotApplied, "patient-resource")
		}
		if len(r.coverages) > 0 {
			r.out.NotApplied = note(r.out.NotApplied, "coverage")
		}
		return nil
	case r.unnamed && len(r.patients) == 0:
		return scheduling.Refuse(scheduling.NotAcceptable, "patient-resource",
			"a patient within the Appointment is not registered by the way: send a patient-resource, or name the patient by patient-id or by a participant's reference")
	}
	return r.people()
}

// bookable are the statuses of a resource that asks for a hold or a booking.
// Argonaut's clients send what $find gave, or what they wish it to become.
func bookable() []string { return []string{"", "proposed", "pending", "booked"} }

func refuseStatus() error {
	return scheduling.Refuse(scheduling.NotAcceptable, "status", "an appointment of this status cannot be asked for")
}

// act decides what is asked for. In IHE's appointment-resource booked moves and
// cancelled cancels; elsewhere a resource always asks for a booking.
func (r *bookReader) act() error {
	r.out.Act = ActBook
	if r.resource == nil {
		return nil
	}
	status := r.resource.Status
	switch {
	case r.ihe && status == "cancelled":
		r.out.Act = ActCancel
		r.out.Reason = reasonOf(r.resource)
		r.out.ByResource = false // nothing is made
	case r.ihe && status == "booked":
		return r.move()
	case !slices.Contains(bookable(), status):
		return refuseStatus()
	}
	return nil
}

// move takes the id for the appointment that goes elsewhere, and the slots for
// where it goes.
func (r *bookReader) move() error {
	r.out.Act = ActMove
	if r.out.Replaces == "" {
		r.out.Replaces = r.out.ID
	}
	if r.out.Replaces == "" || len(r.out.Slots) == 0 {
		return scheduling.Refuse(scheduling.MissingData, "appointment-resource",
			"a move needs the id of the appointment and a reference to the slot that it goes to")
	}
	r.out.ID, r.out.ByResource = "", true
	return nil
}

// finish judges what can be judged once everything was read.
func (r *bookReader) finish() error {
	if r.out.ID == "" && len(r.out.Slots) == 0 {
		return scheduling.Refuse(scheduling.MissingData, "appt-id",
			"no appointment is named: neither by id nor by a reference to its slot")
	}
	if named := r.opts.Source; named != "" && r.target() != scheduling.SourceTag(named) {
		return scheduling.Refuse(scheduling.NotAcceptable, "source", "the appointment is of another source than the one that is named")
	}
	for _, source := range r.patientSources {
		if source != "" && r.target() != scheduling.SourceTag(source) {
			return scheduling.Refuse(scheduling.NotAcceptable, "patient-id", "the patient is one of another source than the appointment")
		}
	}
	return nil
}

// target is the part of the ids that tells the source.
func (r *bookReader) target() string {
	id := r.out.ID
	if id == "" {
		id = r.out.Slots[0]
	}
	return id[:min(len(id), len(scheduling.SourceTag("")))]
}
