package fhir

import (
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Extension addresses that scheduling reads and writes.
const (
	// TimezoneExtension holds a Location's IANA zone (valueCode).
	TimezoneExtension = "http://hl7.org/fhir/StructureDefinition/timezone"
	// LastSyncExtension holds when a copy was last known to be right
	// (valueDateTime), on meta.
	LastSyncExtension = "http://hl7.org/fhir/StructureDefinition/lastSourceSync"
)

// RefParts gives type and id of a reference to one resource: relative
// (Slot/1), absolute (https://ehr/fhir/Slot/1), either with a version
// (/_history/2). Both are "" for anything else: contained ones (#x), URNs,
// conditional ones.
func RefParts(reference string) (kind scheduling.Kind, id string) {
	reference, _, _ = strings.Cut(reference, "/_history/")
	if strings.ContainsAny(reference, "?#") {
		return "", ""
	}
	head, id, ok := cutLast(reference)
	if !ok || !scheduling.ValidID(id) {
		return "", ""
	}
	_, name, ok := cutLast(head)
	if !ok {
		name = head
	}
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return "", ""
	}
	return scheduling.Kind(name), id
}

func cutLast(s string) (before, after string, ok bool) {
	at := strings.LastIndexByte(s, '/')
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// refID is the id that a reference to a resource of this kind names, or "".
func refID(ref *model.Reference, want scheduling.Kind) string {
	if ref == nil {
		return ""
	}
	kind, id := RefParts(ref.Reference)
	if kind != want {
		return ""
	}
	return id
}

func refIDs(refs []model.Reference, want scheduling.Kind) []string {
	var ids []string
	for i := range refs {
		if id := refID(&refs[i], want); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// System gives the address of a code or identifier system as it is used
// inside: R4's for the tables of HL7 v2, and the right one for what real
// servers misspell (both occur in the data of the Argonaut connectathon).
func System(system string) string {
	switch system {
	case "http://hl7.org.fhir/sid/us-npi", "http://hl7.org/fhir/sid/us-npi/", "https://hl7.org/fhir/sid/us-npi":
		return scheduling.NPISystem
	case "http://snomed.info.sct", "http://snomed.info/sct/", "https://snomed.info/sct":
		return "http://snomed.info/sct"
	}
	if table, ok := strings.CutPrefix(system, "http://hl7.org/fhir/v2/"); ok {
		return "http://terminology.hl7.org/CodeSystem/v2-" + table
	}
	return system
}

func toConcept(c *model.CodeableConcept) scheduling.Concept {
	out := scheduling.Concept{Text: name(c.Text)}
	for _, coding := range c.Coding {
		out.Codings = append(out.Codings, scheduling.Coding{
			System: System(text(coding.System)), Code: text(coding.Code), Display: name(coding.Display),
		})
	}
	return out
}

func toConcepts(list []model.CodeableConcept) []scheduling.Concept {
	var out []scheduling.Concept
	for i := range list {
		if len(list[i].Coding) > 0 || list[i].Text != "" {
			out = append(out, toConcept(&list[i]))
		}
	}
	return out
}

func toIdentifiers(list []model.Identifier) []scheduling.Identifier {
	var out []scheduling.Identifier
	for _, i := range list {
		if value := text(i.Value); value != "" {
			out = append(out, scheduling.Identifier{Use: text(i.Use), System: System(text(i.System)), Value: value})
		}
	}
	return out
}

func toTelecoms(list []model.ContactPoint) []scheduling.Telecom {
	var out []scheduling.Telecom
	for _, t := range list {
		if value := name(t.Value); value != "" {
			out = append(out, scheduling.Telecom{System: text(t.System), Value: value, Use: text(t.Use)})
		}
	}
	return out
}

func toAddress(a *model.Address) scheduling.Address {
	if a == nil {
		return scheduling.Address{}
	}
	return scheduling.Address{
		Text: name(a.Text), Line: each(a.Line.Said(), name), City: name(a.City), District: name(a.District),
		State: name(a.State), PostalCode: name(a.PostalCode), Country: name(a.Country),
	}
}

// Slots turns Slots of one source into the domain's. The concepts of a page's
// slots are few and shared, and stay so. It is for one goroutine.
type Slots struct {
	zone     *time.Location
	concepts map[*model.CodeableConcept][]scheduling.Concept
}

// NewSlots makes one; zone is that of times without an offset, nil for none.
func NewSlots(zone *time.Location) *Slots {
	return &Slots{zone: zone, concepts: map[*model.CodeableConcept][]scheduling.Concept{}}
}

func (d *Slots) list(in []model.CodeableConcept) []scheduling.Concept {
	if len(in) == 0 {
		return nil
	}
	out, ok := d.concepts[&in[0]]
	if !ok {
		out = toConcepts(in)
		d.concepts[&in[0]] = out
	}
	return out
}

func (d *Slots) one(in *model.CodeableConcept) *scheduling.Concept {
	if in == nil {
		return nil
	}
	out, ok := d.concepts[in]
	if !ok {
		out = []scheduling.Concept{toConcept(in)}
		d.concepts[in] = out
	}
	return &out[0]
}

// Slot turns a Slot into the domain's. The reason is "" when it can be used;
// else it tells why not, and the slot is as far as it was read. A status other
// than free is no fault. The schedule is the id in the reference; whoever knows
// better (a source whose references are wrong) sets it afterwards, also where
// the reason is scheduling.NoSchedule.
func (d *Slots) Slot(in *model.Slot) (scheduling.Slot, scheduling.Reason) {
	out := scheduling.Slot{
		ID:              in.ID,
		Status:          scheduling.SlotStatus(in.Status),
		ServiceCategory: d.list(in.ServiceCategory),
		ServiceType:     d.list(in.ServiceType),
		Specialty:       d.list(in.Specialty),
		AppointmentType: d.one(in.AppointmentType),
		Comment:         comment(in.Comment),
		Portal:          portalOf(in.Extension),
	}
	out.Schedule = refID(in.Schedule, scheduling.KindSchedule)
	var reason scheduling.Reason
	if out.Start, out.End, reason = d.times(in.Start, in.End); reason != "" {
		return out, reason
	}
	switch {
	case !knownStatus(out.Status):
		return out, scheduling.UnknownStatus
	case out.Usable() != "":
		return out, out.Usable()
	case out.Schedule == "":
		return out, scheduling.NoSchedule
	}
	return out, ""
}

func knownStatus(s scheduling.SlotStatus) bool {
	switch s {
	case scheduling.SlotFree, scheduling.SlotBusy, scheduling.SlotUnavailable,
		scheduling.SlotTentative, scheduling.SlotError:
		return true
	}
	return false
}

func (d *Slots) times(start, end string) (from, to time.Time, reason scheduling.Reason) {
	if start == "" || end == "" {
		return from, to, scheduling.NoTime
	}
	from, to, err := scheduling.ParsePeriod(start, end, d.zone)
	if err != nil {
		return from, to, scheduling.ReasonFor(err)
	}
	return from, to, ""
}

// Proposed turns an Appointment that a source proposes ($find) into a slot: its
// own Slot when it names just one, else a virtual one whose id is left to the
// caller, as is the schedule. The actors are its participants but patients.
func (d *Slots) Proposed(in *model.Appointment) (scheduling.Slot, []scheduling.Actor, scheduling.Reason) {
	out := scheduling.Slot{
		Appointment:     in.ID,
		Status:          scheduling.SlotFree,
		ServiceCategory: d.list(in.ServiceCategory),
		ServiceType:     d.list(in.ServiceType),
		Specialty:       d.list(in.Specialty),
		AppointmentType: d.one(in.AppointmentType),
		Comment:         comment(in.Comment),
		Virtual:         true,
	}
	if ids := refIDs(in.Slot, scheduling.KindSlot); len(ids) == 1 && len(in.Slot) == 1 {
		out.ID, out.Virtual = ids[0], false
	}
	actors := actorsOf(in.Participant)
	if in.Status != "proposed" {
		return out, actors, scheduling.UnknownStatus
	}
	var reason scheduling.Reason
	if out.Start, out.End, reason = d.times(in.Start, in.End); reason != "" {
		return out, actors, reason
	}
	judged := out
	judged.ID = "virtual" // the caller will name it
	if reason = judged.Usable(); reason != "" {
		return out, actors, reason
	}
	if len(actors) == 0 {
		return out, nil, scheduling.NoActor
	}
	return out, actors, ""
}

func actorsOf(participants []model.AppointmentParticipant) []scheduling.Actor {
	var out []scheduling.Actor
	for _, p := range participants {
		if p.Actor == nil {
			continue
		}
		if actor, ok := toActor(p.Actor); ok {
			out = append(out, actor)
		}
	}
	return out
}

// toActor reads an actor; it is false for one that takes no part in who sees
// whom where: patients, devices, and references that say nothing.
func toActor(ref *model.Reference) (scheduling.Actor, bool) {
	kind, id := RefParts(ref.Reference)
	switch kind {
	case scheduling.KindPractitioner, scheduling.KindRole, scheduling.KindLocation, scheduling.KindService:
		return scheduling.Actor{Kind: kind, ID: id, Display: name(ref.Display)}, true
	case "":
		shown := name(ref.Display)
		return scheduling.Actor{Display: shown}, shown != ""
	}
	return scheduling.Actor{}, false
}
