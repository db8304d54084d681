package ehrsim

import (
	"strconv"
	"strings"
	"time"
)

// flavour is what differs in the writing between versions and vendors.
type flavour struct {
	fhir    FHIR
	dialect Dialect
	made    time.Time // when the data came to be
	zone    *time.Location

	times     Times // "": by dialect
	hideSlots bool  // appointments name no slot
}

// release is the fhirVersion of the CapabilityStatement.
func (f flavour) release() string {
	if f.fhir == STU3 {
		return "3.0.1"
	}
	return "4.0.1"
}

// system is the URL of one of HL7's own code systems, which moved with R4.
func (f flavour) system(name string) string {
	if f.fhir == STU3 {
		return "http://hl7.org/fhir/" + name
	}
	return "http://terminology.hl7.org/CodeSystem/" + name
}

// v2 is the URL of a table of HL7 version 2.
func (f flavour) v2(table string) string {
	if f.fhir == STU3 {
		return "http://hl7.org/fhir/v2/" + table
	}
	return "http://terminology.hl7.org/CodeSystem/v2-" + table
}

func (f flavour) meta() object { return f.metaOf(1, f.made) }

func (f flavour) metaOf(version int, updated time.Time) object {
	return obj("versionId", strconv.Itoa(version), "lastUpdated", f.instant(updated, f.zone))
}

// instant writes a time as this kind of server does: Argonaut ones with the
// place's offset, plain ones (Oracle's, HAPI's) as UTC with a Z.
func (f flavour) instant(t time.Time, zone *time.Location) string {
	switch {
	case zone == nil || f.times == "":
	case f.times == UTCTimes:
		return t.UTC().Format("2006-01-02T15:04:05Z")
	case f.times == LocalTimes:
		return t.In(zone).Format("2006-01-02T15:04:05")
	default:
		return t.In(zone).Format("2006-01-02T15:04:05-07:00")
	}
	if f.dialect == Slots || zone == nil {
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if zone == time.UTC {
		return t.UTC().Format("2006-01-02T15:04:05Z")
	}
	return t.In(zone).Format("2006-01-02T15:04:05-07:00")
}

// contentType is the media type of an answer.
func (f flavour) contentType(xml bool) string {
	if xml {
		return "application/fhir+xml;charset=utf-8"
	}
	return "application/fhir+json;charset=utf-8"
}

// slot writes a slot; a loaded one as it came, with what changed since.
func (f flavour) slot(s *slot) object {
	if s.raw != nil {
		return f.loadedSlot(s)
	}
	return obj(
		"resourceType", "Slot", "id", s.id, "meta", f.metaOf(s.version, s.updated),
		"serviceType", s.cal.visits[s.visit],
		"specialty", s.cal.specialty,
		"appointmentType", s.cal.routine,
		"schedule", obj("reference", s.schedule),
		"status", s.status,
		"start", f.instant(s.start, s.cal.zone),
		"end", f.instant(s.end, s.cal.zone),
	)
}

func (f flavour) loadedSlot(s *slot) object {
	o := s.raw.with("meta", f.loadedMeta(s), "id")
	if s.version == 1 {
		return o
	}
	o = o.with("status", s.status, "schedule")
	o = o.with("start", f.like(s.raw.str("start"), s.start), "status")
	return o.with("end", f.like(s.raw.str("end"), s.end), "start")
}

func (f flavour) loadedMeta(s *slot) object {
	return withMeta(s.raw, f.metaOf(s.version, s.updated))
}

// withMeta joins a server's own version and time to the meta that was loaded.
func withMeta(o, own object) object {
	meta := own
	for _, m := range o.obj("meta") {
		if m.name != "versionId" && m.name != "lastUpdated" {
			meta = append(meta, m)
		}
	}
	return meta
}

// like writes an instant in the form of another: without a zone if that has none.
func (f flavour) like(form string, t time.Time) string {
	switch {
	case form != "" && !hasZone(form):
		return t.In(f.zone).Format("2006-01-02T15:04:05")
	case strings.HasSuffix(form, "Z"):
		return t.UTC().Format(time.RFC3339)
	}
	return t.In(f.zone).Format("2006-01-02T15:04:05-07:00")
}
