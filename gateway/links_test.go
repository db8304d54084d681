package gateway

import (
	"strings"
	"testing"
)

func TestAFormatOfTheAddressStaysInTheLinks(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, path := range []string{"/fhir/r4/Appointment/$find?_count=1&_format=xml", "/fhir/stu3/Slot?_count=1&_format=xml"} {
		if body := w.get(path).body; strings.Count(body, "_format=xml") != 2 {
			t.Errorf("not in both self and next: %.1500s", body)
		}
	}
}
