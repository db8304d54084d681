package fhir

import (
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"

	"slotgate/scheduling"
)

// pageOf is a page of n slots as an Argonaut server writes it, about 1 kB each.
func pageOf(n int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"searchset","total":%d,"link":[{"relation":"self","url":"https://ehr.example/fhir/Slot"}],"entry":[`, n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"fullUrl":"https://ehr.example/fhir/Slot/s%[1]d","resource":{"resourceType":"Slot","id":"s%[1]d",
"meta":{"versionId":"1","lastUpdated":"2026-11-20T08:00:00Z","profile":["http://fhir.org/guides/argonaut-scheduling/StructureDefinition/prefetch-slot"]},
"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><strong>Time Slot:</strong> <b>Status:</b> free</div>"},
"serviceType":[{"coding":[{"system":"http://fhir.org/guides/argonaut-scheduling/CodeSystem/visit-type","code":"office-visit","display":"OFFICE VISIT"}],"text":"OFFICE VISIT"}],
"specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394582007","display":"Dermatology"}]}],
"appointmentType":{"coding":[{"system":"http://hl7.org/fhir/v2/0276","code":"ROUTINE"}]},
"schedule":{"reference":"Schedule/sch-%[2]d"},"status":"free","start":"2026-12-01T%02[3]d:00:00-08:00","end":"2026-12-01T%02[3]d:15:00-08:00"},
"search":{"mode":"match"}}`, i, i%20, i%24)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// stdSlot is the least that a reader with encoding/json would take.
type stdSlot struct {
	ResourceType string
	ID           string `json:"id"`
	ServiceType  []stdConcept
	Specialty    []stdConcept
	Schedule     struct{ Reference string }
	Status       string
	Start, End   string
}

type stdConcept struct {
	Coding []struct{ System, Code, Display string }
	Text   string
}

type stdBundle struct {
	Total int
	Link  []struct{ Relation, URL string }
	Entry []struct{ Resource stdSlot }
}

func BenchmarkPageOf1000Slots(b *testing.B) {
	data := pageOf(1000)
	b.Run("fhir", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			p, err := ReadBundle(scheduling.STU3, JSON, data)
			if err != nil || len(p.Entries) != 1000 || p.Broken.Total() != 0 {
				b.Fatal(err, len(p.Entries), p.Broken)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var p stdBundle
			if err := stdjson.Unmarshal(data, &p); err != nil || len(p.Entry) != 1000 {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFileOf1000Slots reads a published file: a slot a line, each with the
// page where it is booked.
func BenchmarkFileOf1000Slots(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, `{"resourceType":"Slot","id":"s%[1]d","extension":[{"url":%[3]q,"valueUrl":"https://ehr.example/book?slot=s%[1]d"},{"url":%[4]q,"valueString":"1-800-555-0100"}],`+
			`"serviceType":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/service-type","code":"57","display":"Immunization"}]}],`+
			`"schedule":{"reference":"Schedule/sch-%[2]d"},"status":"free","start":"2026-12-01T%02[5]d:00:00-08:00","end":"2026-12-01T%02[5]d:15:00-08:00"}`+"\n",
			i, i%20, DeepLinkExtension, PhoneExtension, i%24)
	}
	data := []byte(text.String())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if page := ReadLines(scheduling.R4, data); len(page.Entries) != 1000 {
			b.Fatal(len(page.Entries))
		}
	}
}
