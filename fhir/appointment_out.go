package fhir

import (
	"strconv"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// NoticeSystem is the code system of the tags that tell what is special about
// an appointment, where there is no outcome beside it to do so.
const NoticeSystem = "urn:slotgate:notice"

// Standing is an appointment or a hold as the desk shows it to its owner.
type Standing struct {
	Entry  scheduling.Entry // with Private
	Status scheduling.AppointmentStatus
	// Start and End as the EHR shows them now; zero: as the offer has them.
	Start, End time.Time
	InDoubt    bool
	// Notices are told as tags.
	Notices []Notice
}

// Notice is something to be told of an appointment: a code of NoticeSystem, and
// a text.
type Notice struct{ Code, Text string }

// StandingAppointment writes it. Times carry the place's offset; patients are
// named as the caller named them; a PractitionerRole takes part in R4 only.
func StandingAppointment(rel scheduling.Release, s Standing) *model.Appointment {
	o, zone := s.Entry.Offer, s.Entry.Offer.Location()
	start, end := s.Start, s.End
	if start.IsZero() || end.IsZero() {
		start, end = o.Start(), o.End()
	}
	first := o.Slots[0]
	a := &model.Appointment{
		Base:            model.Base{ID: s.Entry.ID, Meta: s.meta(zone)},
		Status:          string(s.Status),
		ServiceCategory: fromConcepts(rel, orConcepts(first.ServiceCategory, o.ServiceCategory)),
		ServiceType:     fromConcepts(rel, orConcepts(first.ServiceType, o.ServiceType)),
		Specialty:       fromConcepts(rel, orConcepts(first.Specialty, o.Specialty)),
		AppointmentType: fromConceptPointer(rel, o.AppointmentType),
		Start:           local(start, zone),
		End:             local(end, zone),
		Comment:         s.Entry.Private.Comment,
		Participant:     s.participants(rel),
	}
	if minutes := int(end.Sub(start) / time.Minute); minutes > 0 {
		a.MinutesDuration = &minutes
	}
	// The clinic moved it: those are not its slots any more.
	if start.Equal(o.Start()) {
		a.Slot = slotRefs(s.Entry.Source, o.Slots)
	}
	if !s.Entry.Created.IsZero() {
		a.Created = local(s.Entry.Created, zone)
	}
	if s.Entry.State == scheduling.EntryCancelled {
		a.CancelationReason = fromReason(rel, s.Entry.Reason)
	}
	return a
}

func orConcepts(own, setting []scheduling.Concept) []scheduling.Concept {
	if len(own) > 0 {
		return own
	}
	return setting
}

// meta has the version that ETag tells, and what is special.
func (s Standing) meta(zone *time.Location) *model.Meta {
	m := Origin{Source: s.Entry.Source, URI: SourceURI(s.Entry.Source), Synced: s.Entry.SeenAt}.Meta()
	if s.Entry.Version > 0 { // an offer that nobody has held has none
		m.VersionID = strconv.FormatUint(s.Entry.Version, 10)
	}
	if !s.Entry.Updated.IsZero() {
		m.LastUpdated = local(s.Entry.Updated, zone)
	}
	if s.InDoubt {
		m.Tag = append(m.Tag, model.Coding{System: ErrorSystem, Code: string(scheduling.InDoubt)})
	}
	for _, n := range s.Notices {
		m.Tag = append(m.Tag, model.Coding{System: NoticeSystem, Code: n.Code, Display: n.Text})
	}
	return m
}

// participants are those of the offer, then the patients.
func (s Standing) participants(rel scheduling.Release) []model.AppointmentParticipant {
	var out []model.AppointmentParticipant
	status := s.participation()
	add := func(ref *model.Reference) {
		out = append(out, model.AppointmentParticipant{Actor: ref, Required: "required", Status: status})
	}
	for _, kind := range []scheduling.Kind{scheduling.KindPractitioner, scheduling.KindRole, scheduling.KindLocation, ""} {
		if kind == scheduling.KindRole && rel == scheduling.STU3 {
			continue
		}
		for _, actor := range s.Entry.Offer.Actors {
			if actor.Kind == kind && (actor.ID != "" || actor.Display != "") {
				add(reference(s.Entry.Source, actor.Kind, actor.ID, actor.Display))
			}
		}
	}
	if len(out) == 0 {
		add(s.stand())
	}
	for _, patient := range s.Entry.Private.Patients {
		add(&model.Reference{Reference: string(kindPatient) + "/" + patient.Asked})
	}
	return out
}

// stand is who takes part where neither person nor place is known: the service,
// or else the clinic itself.
func (s Standing) stand() *model.Reference {
	if actor, ok := s.Entry.Offer.Actor(scheduling.KindService); ok && actor.ID != "" {
		return reference(s.Entry.Source, actor.Kind, actor.ID, actor.Display)
	}
	return &model.Reference{Display: string(s.Entry.Source)}
}

// participation is the status of everyone who takes part.
func (s Standing) participation() string {
	switch s.Status {
	case scheduling.ApptPending, scheduling.ApptWaitlist:
		return "tentative"
	case scheduling.ApptCancelled, scheduling.ApptError:
		return "declined"
	case scheduling.ApptProposed:
		if s.Entry.Principal != "" {
			return "tentative" // it was the caller's, and was given back
		}
		return "needs-action"
	default:
		return "accepted"
	}
}
