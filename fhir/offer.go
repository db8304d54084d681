package fhir

import (
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Origin is where a record of ours came from, as its meta tells.
type Origin struct {
	Source scheduling.SourceID
	URI    string    // of the source; "" is not told
	Synced time.Time // when it was last known to be right; zero is not told
	// Zone is the source's: of its places that do not tell their own. It may be nil.
	Zone *time.Location
}

// SourceURI is the URI by which a source is named in meta.source: an own name,
// since a caller has no business with the EHR's address.
func SourceURI(source scheduling.SourceID) string { return "urn:slotgate:source:" + string(source) }

// Meta is the metadata that tells the origin. In STU3 the source is written as
// an extension.
func (o Origin) Meta() *model.Meta {
	m := &model.Meta{Source: o.URI}
	if !o.Synced.IsZero() {
		m.Extension = []model.Extension{{URL: LastSyncExtension, ValueDateTime: utc(o.Synced)}}
	}
	return m
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// local writes an instant with the offset of its place.
func local(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.RFC3339) }

// reference is a reference to our copy of a source's record.
func reference(source scheduling.SourceID, kind scheduling.Kind, id, display string) *model.Reference {
	ref := &model.Reference{Display: display}
	if id != "" {
		ref.Reference = string(kind) + "/" + scheduling.ResourceID(source, kind, id)
	}
	return ref
}

// OfferAppointment is the proposed Appointment of an offer. requested is the
// period that was asked for. A PractitionerRole takes part in R4 only.
func OfferAppointment(rel scheduling.Release, o scheduling.Offer, origin Origin, requested *model.Period) *model.Appointment {
	first, s := o.Slots[0], o.Setting
	minutes := int(o.End().Sub(o.Start()) / time.Minute)
	a := &model.Appointment{
		Base:            model.Base{ID: o.ID, Meta: origin.Meta(), Extension: fromPortal(rel, first.Portal)},
		Status:          "proposed",
		ServiceCategory: fromConcepts(rel, o.ServiceCategory()),
		ServiceType:     fromConcepts(rel, o.ServiceType()),
		Specialty:       fromConcepts(rel, o.Specialty()),
		AppointmentType: fromConceptPointer(rel, first.AppointmentType),
		Start:           local(o.Start(), s.Zone),
		End:             local(o.End(), s.Zone),
		Slot:            slotRefs(s.Source, o.Slots),
		Comment:         offerComment(&o),
		Participant:     participants(rel, s),
	}
	if minutes > 0 {
		a.MinutesDuration = &minutes // a positiveInt: 0 cannot be said
	}
	if requested != nil {
		a.RequestedPeriod = []model.Period{*requested}
	}
	return a
}

// offerComment is the slot's comment, and for whom and when the clinic's rule
// makes the offer: there is no element for that in an Appointment.
func offerComment(o *scheduling.Offer) string {
	said, own := o.Rule.Said(), o.Slots[0].Comment
	if said != "" && own != "" {
		return own + " " + said
	}
	return own + said
}

// slotRefs refers to the slots that the source itself has.
func slotRefs(source scheduling.SourceID, slots []scheduling.Slot) []model.Reference {
	var out []model.Reference
	for _, slot := range slots {
		if !slot.Virtual {
			out = append(out, *reference(source, scheduling.KindSlot, slot.ID, ""))
		}
	}
	return out
}

// participants are those whom the offer's setting names: practitioners, their
// role (R4), places, and who was given by name only. A service stands in where
// nobody else does, since an Appointment needs a participant.
func participants(rel scheduling.Release, s *scheduling.Setting) []model.AppointmentParticipant {
	var out []model.AppointmentParticipant
	add := func(ref *model.Reference) {
		out = append(out, model.AppointmentParticipant{Actor: ref, Required: "required", Status: "needs-action"})
	}
	for _, p := range s.Practitioners {
		add(reference(s.Source, scheduling.KindPractitioner, p.ID, p.Name.Display()))
	}
	if s.Role != nil && rel == scheduling.R4 {
		add(reference(s.Source, scheduling.KindRole, s.Role.ID, roleDisplay(s)))
	}
	for _, l := range s.Locations {
		add(reference(s.Source, scheduling.KindLocation, l.ID, l.Name))
	}
	for _, u := range s.Unlinked {
		add(&model.Reference{Display: u.Display})
	}
	if len(out) == 0 && s.Service != nil {
		add(reference(s.Source, scheduling.KindService, s.Service.ID, s.Service.Name))
	}
	return out
}

// roleDisplay names a role by whose it is and for whom.
func roleDisplay(s *scheduling.Setting) string {
	if len(s.Practitioners) == 0 {
		return ""
	}
	name := s.Practitioners[0].Name.Display()
	if s.Organization != nil && s.Organization.Name != "" {
		return name + ", " + s.Organization.Name
	}
	return name
}
