package fhir

import (
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// AppointmentIn reads an Appointment as an EHR shows it. zone is that of times
// without an offset, nil for none; system is the identifier system that is
// ours. What is missing or cannot be read stays empty: it proves nothing, and
// whoever compares says so (law 1).
//
// ETag is made of the version in meta; a caller who has the header's puts that
// in its place.
func AppointmentIn(in *model.Appointment, zone *time.Location, system string) scheduling.Appointment {
	out := scheduling.Appointment{
		ID:      in.ID,
		Status:  scheduling.AppointmentStatus(in.Status),
		Slots:   refIDs(in.Slot, scheduling.KindSlot),
		Actors:  actorsOf(in.Participant),
		Patient: patientsOf(in.Participant),
	}
	out.Start, out.End = timesOf(in, zone)
	for _, id := range in.Identifier {
		if system != "" && id.System == system && id.Value != "" {
			out.Identifiers = append(out.Identifiers, id.Value)
		}
	}
	if in.Meta != nil {
		if in.Meta.VersionID != "" {
			out.ETag = `W/"` + in.Meta.VersionID + `"`
		}
		if at, err := scheduling.ParseInstant(in.Meta.LastUpdated, zone); err == nil {
			out.Updated = at
		}
	}
	return out
}

// timesOf reads start and end, together where both are there; an end that is
// missing follows from the duration.
func timesOf(in *model.Appointment, zone *time.Location) (start, end time.Time) {
	if from, to, err := scheduling.ParsePeriod(in.Start, in.End, zone); err == nil {
		return from, to
	}
	if at, err := scheduling.ParseInstant(in.Start, zone); err == nil {
		start = at
	}
	if at, err := scheduling.ParseInstant(in.End, zone); err == nil {
		end = at
	}
	const day = 24 * 60
	if minutes := in.MinutesDuration; in.End == "" && !start.IsZero() && minutes != nil && *minutes > 0 && *minutes <= day {
		end = start.Add(time.Duration(*minutes) * time.Minute)
	}
	return start, end
}

// patientsOf are the Patients among the participants, each once, also those
// that declined: who is named in an appointment is shown in it.
func patientsOf(participants []model.AppointmentParticipant) []string {
	var ids []string
	seen := map[string]bool{}
	for _, p := range participants {
		if id := refID(p.Actor, kindPatient); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
