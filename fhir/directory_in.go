package fhir

import (
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// ToSchedule turns a Schedule into the domain's.
func ToSchedule(in *model.Schedule) *scheduling.Schedule {
	out := &scheduling.Schedule{
		ID:              in.ID,
		Identifiers:     toIdentifiers(in.Identifier),
		Inactive:        inactive(in.Active),
		ServiceCategory: toConcepts(in.ServiceCategory),
		ServiceType:     toConcepts(in.ServiceType),
		Specialty:       toConcepts(in.Specialty),
		Comment:         comment(in.Comment),
	}
	for i := range in.Actor {
		if actor, ok := toActor(&in.Actor[i]); ok {
			out.Actors = append(out.Actors, actor)
		}
	}
	if in.PlanningHorizon != nil {
		out.HorizonStart, out.HorizonEnd = in.PlanningHorizon.Start, in.PlanningHorizon.End
	}
	return out
}

func inactive(active *bool) bool { return active != nil && !*active }

// ToPractitioner turns a Practitioner into the domain's. Of several names the
// official one is taken, else the usual one, else the first.
func ToPractitioner(in *model.Practitioner) *scheduling.Practitioner {
	out := &scheduling.Practitioner{
		ID: in.ID, Identifiers: toIdentifiers(in.Identifier), Inactive: inactive(in.Active), Gender: text(in.Gender),
	}
	if n := bestName(in.Name); n != nil {
		out.Name = scheduling.HumanName{
			Text: name(n.Text), Family: name(n.Family), Given: each(n.Given.Said(), name),
			Prefix: each(n.Prefix.Said(), name), Suffix: each(n.Suffix.Said(), name),
		}
	}
	return out
}

func bestName(names []model.HumanName) *model.HumanName {
	for _, use := range []string{"official", "usual"} {
		for i := range names {
			if names[i].Use == use {
				return &names[i]
			}
		}
	}
	if len(names) > 0 {
		return &names[0]
	}
	return nil
}

// ToRole turns a PractitionerRole into the domain's.
func ToRole(in *model.PractitionerRole) *scheduling.Role {
	return &scheduling.Role{
		ID: in.ID, Identifiers: toIdentifiers(in.Identifier), Inactive: inactive(in.Active),
		Practitioner: refID(in.Practitioner, scheduling.KindPractitioner),
		Organization: refID(in.Organization, scheduling.KindOrganization),
		Locations:    refIDs(in.Location, scheduling.KindLocation),
		Services:     refIDs(in.HealthcareService, scheduling.KindService),
		Code:         toConcepts(in.Code),
		Specialty:    toConcepts(in.Specialty),
		Telecom:      toTelecoms(in.Telecom),
	}
}

// ToLocation turns a Location into the domain's. A zone that is none, and a
// position that does not exist, are left out.
func ToLocation(in *model.Location) *scheduling.Location {
	out := &scheduling.Location{
		ID: in.ID, Identifiers: toIdentifiers(in.Identifier),
		Inactive: in.Status == "inactive" || in.Status == "suspended",
		Name:     name(in.Name), Description: comment(in.Description),
		Telecom: toTelecoms(in.Telecom), Address: toAddress(in.Address),
		Position: toPosition(in.Position), Zone: zoneName(in.Extension),
		Organization: refID(in.ManagingOrganization, scheduling.KindOrganization),
	}
	return out
}

func toPosition(in *model.LocationPosition) *scheduling.Position {
	if in == nil {
		return nil
	}
	lat, ok1 := in.Latitude.Float()
	lon, ok2 := in.Longitude.Float()
	p := scheduling.Position{Latitude: lat, Longitude: lon}
	if !ok1 || !ok2 || !p.Valid() {
		return nil
	}
	return &p
}

func zoneName(extensions []model.Extension) string {
	for _, ext := range extensions {
		if ext.URL != TimezoneExtension {
			continue
		}
		for _, name := range []string{ext.ValueCode, ext.ValueString} {
			if name == "" || name == "Local" {
				continue
			}
			if _, err := time.LoadLocation(name); err == nil {
				return name
			}
		}
	}
	return ""
}

// ToOrganization turns an Organization into the domain's.
func ToOrganization(in *model.Organization) *scheduling.Organization {
	out := &scheduling.Organization{
		ID: in.ID, Identifiers: toIdentifiers(in.Identifier), Inactive: inactive(in.Active),
		Name: name(in.Name), Telecom: toTelecoms(in.Telecom),
		PartOf: refID(in.PartOf, scheduling.KindOrganization),
	}
	for i := range in.Address {
		out.Address = append(out.Address, toAddress(&in.Address[i]))
	}
	return out
}

// ToService turns a HealthcareService into the domain's.
func ToService(in *model.HealthcareService) *scheduling.Service {
	return &scheduling.Service{
		ID: in.ID, Identifiers: toIdentifiers(in.Identifier), Inactive: inactive(in.Active), Name: name(in.Name),
		Organization: refID(in.ProvidedBy, scheduling.KindOrganization),
		Locations:    refIDs(in.Location, scheduling.KindLocation),
		Category:     toConcepts(in.Category),
		Type:         toConcepts(in.Type),
		Specialty:    toConcepts(in.Specialty),
	}
}

// AddTo puts a directory resource into d and tells whether it is one. The
// reason is scheduling.NoID for one that has no id, since nothing can refer to
// it.
func AddTo(d scheduling.Directory, res model.Resource) (added bool, reason scheduling.Reason) {
	id := res.Common().ID
	switch r := res.(type) {
	case *model.Schedule:
		return keep(d.Schedules, id, ToSchedule(r))
	case *model.Practitioner:
		return keep(d.Practitioners, id, ToPractitioner(r))
	case *model.PractitionerRole:
		return keep(d.Roles, id, ToRole(r))
	case *model.Location:
		return keep(d.Locations, id, ToLocation(r))
	case *model.Organization:
		return keep(d.Organizations, id, ToOrganization(r))
	case *model.HealthcareService:
		return keep(d.Services, id, ToService(r))
	}
	return false, ""
}

func keep[T any](records map[string]*T, id string, record *T) (bool, scheduling.Reason) {
	if id == "" {
		return false, scheduling.NoID
	}
	records[id] = record
	return true, ""
}
