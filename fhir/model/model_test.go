package model_test

import (
	"testing"

	"github.com/go-json-experiment/json"

	"slotgate/fhir/model"
)

func TestADecimalKeepsItsDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`1.50`: `1.50`, `-0.0`: `-0.0`, `1e3`: `1e3`, `"2.5"`: `2.5`} {
		var d model.Decimal
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := json.Marshal(d); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{`"abc"`, `true`, `{}`, `"1"x`, `"NaN"`, `"1 2"`, `""`} {
		var d model.Decimal
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s was taken as %q", text, d)
		}
	}
	if _, err := json.Marshal(model.Decimal("}")); err == nil {
		t.Error("a decimal that is no number was written")
	}
	if f, ok := model.NewDecimal(-71.25).Float(); !ok || f != -71.25 {
		t.Error(f, ok)
	}
	if _, ok := model.Decimal("").Float(); ok {
		t.Error("an absent decimal has a value")
	}
}

func TestEveryTypeThatCanBeMadeIsWrittenUnderItsName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Slot", "Schedule", "Appointment", "Bundle", "Parameters", "OperationOutcome", "Practitioner", "PractitionerRole",
		"Location", "Organization", "HealthcareService", "Patient", "Coverage", "Subscription", "CapabilityStatement", "OperationDefinition",
	} {
		res, into := model.Open(name)
		if res == nil || into == nil || res.ResourceType() != name || res.Common() == nil {
			t.Fatalf("%s: %v", name, res)
		}
		if err := json.Unmarshal([]byte(`{"id":"1","resourceType":"`+name+`"}`), into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if model.Ref(res) != name+"/1" {
			t.Errorf("%s is %s", name, model.Ref(res))
		}
		if got, err := json.Marshal(model.Plain(res)); err != nil || string(got) != `{"resourceType":"`+name+`","id":"1"}` {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if res, into := model.Open("Starship"); res != nil || into != nil {
		t.Error("a type without fields was opened")
	}
}

func TestTheTypeIsFoundWhereverItStands(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		`{"resourceType":"Slot"}`: "Slot",
		`{"a":{"resourceType":"Patient"},"b":[1],"resourceType":"Slot"}`: "Slot",
		`{"resourceType":7}`: "", `{}`: "", `[]`: "", `{"a":1}`: "", `{"resourceType":null}`: "",
	} {
		if got := model.TypeOf([]byte(object)); got != want {
			t.Errorf("%s: %q", object, got)
		}
	}
}
