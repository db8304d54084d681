package fhir_test

import (
	"fmt"
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// TestAMergedInactiveOrDeadChartIsClosed reads what an EHR shows, in both
// releases and formats.
func TestAMergedInactiveOrDeadChartIsClosed(t *testing.T) {
	t.Parallel()
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		for more, want := range map[string]bool{
			``:                              false,
			`,"active":true`:                false,
			`,"active":false`:               true,
			`,"deceasedBoolean":false`:      false,
			`,"deceasedBoolean":true`:       true,
			`,"deceasedDateTime":"2020"`:    true,
			`,"maritalStatus":{"text":"M"}`: false,
			`,"link":[{"other":{"reference":"Patient/2"},"type":"replaced-by"}]`:                                                      true,
			`,"link":[{"other":{"reference":"Patient/2"},"type":"refer"}]`:                                                            true,
			`,"link":[{"other":{"reference":"Patient/2"},"type":"replaces"},{"other":{"reference":"Patient/3"},"type":"seealso"}]`:    false,
			`,"link":[{"other":{"reference":"Patient/2"},"type":"seealso"},{"other":{"reference":"Patient/3"},"type":"replaced-by"}]`: true,
		} {
			res, err := fhir.Read(rel, fhir.JSON, fmt.Appendf(nil, `{"resourceType":"Patient","id":"1","name":[{"family":"Pike"}]%s}`, more))
			if err != nil {
				t.Fatal(more, err)
			}
			if got := fhir.NativePatient(res.(*model.Patient)); got.Closed != want || got.ID != "1" {
				t.Errorf("%s %s: %v", rel, more, got.Closed)
			}
			xml, err := fhir.Write(rel, fhir.XML, res)
			if err != nil {
				t.Fatal(more, err)
			}
			if res, err = fhir.Read(rel, fhir.XML, xml); err != nil {
				t.Fatal(more, err)
			}
			if got := fhir.NativePatient(res.(*model.Patient)); got.Closed != want {
				t.Errorf("%s %s, by XML: %v", rel, more, got.Closed)
			}
		}
	}
}
