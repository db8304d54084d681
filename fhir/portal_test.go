package fhir

import (
	"strings"
	"testing"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func TestAPageOfTheClinicIsPassedOnOnlyIfABrowserMayGoThere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://book.example/slots?id=7":  "https://book.example/slots?id=7",
		" http://book.example ":            "http://book.example",
		"javascript:alert(1)":              "",
		"data:text/html,hello":             "",
		"//book.example/slots":             "",
		"/slots/7":                         "",
		"https:book.example":               "",
		"https://ada:secret@book.example/": "",
		"https://book.example/\u0000":      "",
		"https://book.example/\nX: y":      "",
		"ftp://book.example/slots":         "",
		"":                                 "",
		"https://book.example/" + strings.Repeat("a", maxLink): "",
	} {
		got := ""
		if p := portalOf([]model.Extension{{URL: DeepLinkExtension, ValueURL: text}}); p != nil {
			got = p.URL
		}
		if got != want {
			t.Errorf("%q is passed on as %q, not %q", text, got, want)
		}
	}
}

func TestWhereASlotIsBookedIsReadFromAnyValueAndWrittenInEachRelease(t *testing.T) {
	t.Parallel()
	in := &model.Slot{Base: model.Base{ID: "7", Extension: []model.Extension{
		{URL: DeepLinkExtension, ValueURI: "https://book.example/7"},
		{URL: PhoneExtension, ValueString: "555-1000"},
		{URL: "http://example.org/other", ValueString: "x"},
	}}, Status: "free", Start: "2026-12-01T08:00:00Z", End: "2026-12-01T08:15:00Z", Schedule: &model.Reference{Reference: "Schedule/1"}}
	slot, reason := NewSlots(nil).Slot(in)
	if reason != "" || slot.Portal == nil || *slot.Portal != (scheduling.Portal{URL: "https://book.example/7", Phone: "555-1000"}) {
		t.Fatalf("%q %+v", reason, slot.Portal)
	}
	for rel, value := range map[scheduling.Release]string{scheduling.R4: `"valueUrl"`, scheduling.STU3: `"valueUri"`} {
		out := FromSlot(rel, Origin{Source: "links"}, slot, slot.Start.Location())
		data, err := Write(rel, JSON, out)
		if err != nil || !strings.Contains(string(data), value+`:"https://book.example/7"`) || !strings.Contains(string(data), `"valueString":"555-1000"`) {
			t.Errorf("%s: %v %s", rel, err, data)
		}
	}
	if portalOf([]model.Extension{{URL: "http://example.org/other", ValueString: "x"}}) != nil {
		t.Error("other extensions are no portal")
	}
}
