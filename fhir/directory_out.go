package fhir

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// The From functions write our copy of a source's record, under our ids. The
// source's own id is kept as an identifier of system SourceURI(source).

func (o Origin) base(kind scheduling.Kind, id string) model.Base {
	return model.Base{ID: scheduling.ResourceID(o.Source, kind, id), Meta: o.Meta()}
}

func (o Origin) identifiers(id string, list []scheduling.Identifier) []model.Identifier {
	var out []model.Identifier
	for _, i := range list {
		use := known(i.Use, "", "usual", "official", "temp", "secondary")
		out = append(out, model.Identifier{Use: use, System: i.System, Value: i.Value})
	}
	return append(out, model.Identifier{Use: "secondary", System: SourceURI(o.Source), Value: text(id)})
}

func (o Origin) refs(kind scheduling.Kind, ids []string) []model.Reference {
	var out []model.Reference
	for _, id := range ids {
		out = append(out, *reference(o.Source, kind, id, ""))
	}
	return out
}

func (o Origin) ref(kind scheduling.Kind, id string) *model.Reference {
	if id == "" {
		return nil
	}
	return reference(o.Source, kind, id, "")
}

// systemOut is the address that the version has for a system; see System.
func systemOut(rel scheduling.Release, system string) string {
	if table, ok := strings.CutPrefix(system, "http://terminology.hl7.org/CodeSystem/v2-"); ok && rel == scheduling.STU3 {
		return "http://hl7.org/fhir/v2/" + table
	}
	return system
}

func fromConcept(rel scheduling.Release, c scheduling.Concept) model.CodeableConcept {
	out := model.CodeableConcept{Text: c.Text}
	for _, coding := range c.Codings {
		if coding == (scheduling.Coding{}) {
			continue // an empty object is not FHIR
		}
		out.Coding = append(out.Coding, model.Coding{
			System: systemOut(rel, coding.System), Code: coding.Code, Display: coding.Display,
		})
	}
	return out
}

func fromConceptPointer(rel scheduling.Release, c *scheduling.Concept) *model.CodeableConcept {
	if c == nil {
		return nil
	}
	if out := fromConcepts(rel, []scheduling.Concept{*c}); len(out) == 1 {
		return &out[0]
	}
	return nil
}

func fromConcepts(rel scheduling.Release, list []scheduling.Concept) []model.CodeableConcept {
	var out []model.CodeableConcept
	for _, c := range list {
		if one := fromConcept(rel, c); one.Text != "" || len(one.Coding) > 0 {
			out = append(out, one)
		}
	}
	return out
}

func fromTelecoms(list []scheduling.Telecom) []model.ContactPoint {
	var out []model.ContactPoint
	for _, t := range list {
		out = append(out, model.ContactPoint{
			System: known(t.System, "other", "phone", "fax", "email", "pager", "url", "sms", "other"),
			Value:  t.Value,
			Use:    known(t.Use, "", "home", "work", "temp", "old", "mobile"),
		})
	}
	return out
}

// known gives the code where it is one of FHIR's, else the other value: what a
// source got wrong is not told on.
func known(code, other string, codes ...string) string {
	if slices.Contains(codes, code) {
		return code
	}
	return other
}

func fromAddress(a scheduling.Address) *model.Address {
	out := &model.Address{
		Text: a.Text, Line: a.Line, City: a.City, District: a.District,
		State: a.State, PostalCode: a.PostalCode, Country: a.Country,
	}
	if a.Text+a.City+a.District+a.State+a.PostalCode+a.Country == "" && len(a.Line) == 0 {
		return nil
	}
	return out
}

func active(inactive bool) *bool {
	yes := !inactive
	return &yes
}

// FromSlot writes a slot; zone is its place's. A slot that the source itself
// does not have is not for the directory.
func FromSlot(rel scheduling.Release, o Origin, s scheduling.Slot, zone *time.Location) *model.Slot {
	base := o.base(scheduling.KindSlot, s.ID)
	base.Extension = append(base.Extension, fromPortal(rel, s.Portal)...)
	return &model.Slot{
		Base:            base,
		Identifier:      o.identifiers(s.ID, nil),
		ServiceCategory: fromConcepts(rel, s.ServiceCategory),
		ServiceType:     fromConcepts(rel, s.ServiceType),
		Specialty:       fromConcepts(rel, s.Specialty),
		AppointmentType: fromConceptPointer(rel, s.AppointmentType),
		Schedule:        reference(o.Source, scheduling.KindSchedule, s.Schedule, ""),
		Status:          string(s.Status),
		Start:           local(s.Start, zone),
		End:             local(s.End, zone),
		Comment:         s.Comment,
	}
}

// FromSchedule writes a schedule.
func FromSchedule(rel scheduling.Release, o Origin, s *scheduling.Schedule) *model.Schedule {
	out := &model.Schedule{
		Base:            o.base(scheduling.KindSchedule, s.ID),
		Identifier:      o.identifiers(s.ID, s.Identifiers),
		Active:          active(s.Inactive),
		ServiceCategory: fromConcepts(rel, s.ServiceCategory),
		ServiceType:     fromConcepts(rel, s.ServiceType),
		Specialty:       fromConcepts(rel, s.Specialty),
		Comment:         s.Comment,
	}
	for _, a := range s.Actors {
		out.Actor = append(out.Actor, *reference(o.Source, a.Kind, a.ID, a.Display))
	}
	out.PlanningHorizon = horizon(s.HorizonStart, s.HorizonEnd)
	return out
}

// dateTimeForm is FHIR's dateTime (https://hl7.org/fhir/R4/datatypes.html#dateTime).
var dateTimeForm = regexp.MustCompile(`^\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?$`)

// horizon is a planning horizon that is one; eight of nine of the connectathon
// end before they start.
func horizon(start, end string) *model.Period {
	for _, text := range []*string{&start, &end} {
		if !dateTimeForm.MatchString(*text) {
			*text = ""
		}
	}
	if start+end == "" || (end != "" && end < start) {
		return nil
	}
	return &model.Period{Start: start, End: end}
}

// FromPractitioner writes a practitioner.
func FromPractitioner(o Origin, p *scheduling.Practitioner) *model.Practitioner {
	out := &model.Practitioner{
		Base:       o.base(scheduling.KindPractitioner, p.ID),
		Identifier: o.identifiers(p.ID, p.Identifiers),
		Active:     active(p.Inactive),
		Gender:     known(p.Gender, "", "male", "female", "other", "unknown"),
	}
	n := p.Name
	if n.Display() != "" {
		out.Name = []model.HumanName{{
			Text: n.Display(), Family: n.Family, Given: n.Given, Prefix: n.Prefix, Suffix: n.Suffix,
		}}
	}
	return out
}

// zone is the name of a place's zone: the one by which its days are cut.
func (o Origin) zone(own string) string {
	if own != "" || o.Zone == nil || o.Zone == time.Local {
		return own
	}
	return o.Zone.String()
}

// FromLocation writes a place, with its zone as an extension: its own, else the
// source's.
func FromLocation(o Origin, l *scheduling.Location) *model.Location {
	out := &model.Location{
		Base:                 o.base(scheduling.KindLocation, l.ID),
		Identifier:           o.identifiers(l.ID, l.Identifiers),
		Status:               "active",
		Name:                 l.Name,
		Description:          l.Description,
		Telecom:              fromTelecoms(l.Telecom),
		Address:              fromAddress(l.Address),
		ManagingOrganization: o.ref(scheduling.KindOrganization, l.Organization),
	}
	if l.Inactive {
		out.Status = "inactive"
	}
	if zone := o.zone(l.Zone); zone != "" {
		out.Extension = []model.Extension{{URL: TimezoneExtension, ValueCode: zone}}
	}
	if l.Position != nil {
		out.Position = &model.LocationPosition{
			Longitude: model.NewDecimal(l.Position.Longitude), Latitude: model.NewDecimal(l.Position.Latitude),
		}
	}
	return out
}

// FromOrganization writes an organization.
func FromOrganization(o Origin, org *scheduling.Organization) *model.Organization {
	out := &model.Organization{
		Base:       o.base(scheduling.KindOrganization, org.ID),
		Identifier: o.identifiers(org.ID, org.Identifiers),
		Active:     active(org.Inactive),
		Name:       org.Name,
		Telecom:    fromTelecoms(org.Telecom),
		PartOf:     o.ref(scheduling.KindOrganization, org.PartOf),
	}
	for _, a := range org.Address {
		if address := fromAddress(a); address != nil {
			out.Address = append(out.Address, *address)
		}
	}
	return out
}

// FromRole writes a practitioner's role.
func FromRole(rel scheduling.Release, o Origin, r *scheduling.Role) *model.PractitionerRole {
	return &model.PractitionerRole{
		Base:              o.base(scheduling.KindRole, r.ID),
		Identifier:        o.identifiers(r.ID, r.Identifiers),
		Active:            active(r.Inactive),
		Practitioner:      o.ref(scheduling.KindPractitioner, r.Practitioner),
		Organization:      o.ref(scheduling.KindOrganization, r.Organization),
		Code:              fromConcepts(rel, r.Code),
		Specialty:         fromConcepts(rel, r.Specialty),
		Location:          o.refs(scheduling.KindLocation, r.Locations),
		HealthcareService: o.refs(scheduling.KindService, r.Services),
		Telecom:           fromTelecoms(r.Telecom),
	}
}

// FromService writes a service.
func FromService(rel scheduling.Release, o Origin, s *scheduling.Service) *model.HealthcareService {
	return &model.HealthcareService{
		Base:       o.base(scheduling.KindService, s.ID),
		Identifier: o.identifiers(s.ID, s.Identifiers),
		Active:     active(s.Inactive),
		Name:       s.Name,
		ProvidedBy: o.ref(scheduling.KindOrganization, s.Organization),
		Category:   fromConcepts(rel, s.Category),
		Type:       fromConcepts(rel, s.Type),
		Specialty:  fromConcepts(rel, s.Specialty),
		Location:   o.refs(scheduling.KindLocation, s.Locations),
	}
}
