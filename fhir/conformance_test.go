package fhir_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func served(rel scheduling.Release) fhir.Served {
	return fhir.Served{
		Release: rel, Base: "https://slots.example/fhir", Software: "slotgate", Version: "1", Date: "2026-11-23",
		Security: "An API key as bearer token.", Formats: []string{"application/fhir+json", "application/fhir+xml"},
		Resources: []fhir.ServedType{
			{Type: "Practitioner", Interactions: []string{"read", "search-type"}, Search: []fhir.ServedSearch{{Name: "name", Type: "string"}}},
		},
		Operations: []fhir.Operation{fhir.FindOperation()},
	}
}

func TestACapabilityStatementIsAsItsVersionWantsIt(t *testing.T) {
	t.Parallel()
	for rel, want := range map[scheduling.Release]string{
		scheduling.STU3: `{"mode":"server","security":{"description":"An API key as bearer token."},
"resource":[{"type":"Practitioner","interaction":[{"code":"read"},{"code":"search-type"}],"searchParam":[{"name":"name","type":"string"}]}],
"operation":[{"name":"find","definition":{"reference":"https://slots.example/fhir/OperationDefinition/appointment-find"}}]}`,
		scheduling.R4: `{"mode":"server","security":{"description":"An API key as bearer token."},
"resource":[{"type":"Practitioner","interaction":[{"code":"read"},{"code":"search-type"}],"searchParam":[{"name":"name","type":"string"}]},
{"type":"Appointment","operation":[{"name":"find","definition":"https://slots.example/fhir/OperationDefinition/appointment-find"}]}]}`,
	} {
		statement := fhir.Capability(served(rel))
		data, err := fhir.Write(rel, fhir.JSON, statement)
		if err != nil {
			t.Fatal(err)
		}
		got := tree(t, data).(map[string]any)
		if diff := cmp.Diff(tree(t, []byte(want)), got["rest"].([]any)[0]); diff != "" {
			t.Errorf("%s:\n%s", rel, diff)
		}
		_, accepts := got["acceptUnknown"]
		if got["fhirVersion"] != fhir.FHIRVersion(rel) || accepts != (rel == scheduling.STU3) {
			t.Errorf("%s: %v", rel, got)
		}
		if _, patch := got["patchFormat"]; patch {
			t.Error("a patch format is told, and there is no PATCH")
		}
		roundTrip(t, rel, data)
	}
}

func TestTheOperationDefinitionOfFindIsValidInBothVersions(t *testing.T) {
	t.Parallel()
	for rel, reference := range map[scheduling.Release]string{scheduling.STU3: "uri", scheduling.R4: "Reference"} {
		def := fhir.OperationDefinition(rel, "https://slots.example/fhir", "2026-11-23", fhir.FindOperation())
		data, err := fhir.Write(rel, fhir.JSON, def)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, rel, data)
		got := tree(t, data).(map[string]any)
		if _, idempotent := got["idempotent"]; idempotent != (rel == scheduling.STU3) {
			t.Errorf("%s: idempotent %v", rel, idempotent)
		}
		if def.Code != "find" || def.URL != "https://slots.example/fhir/OperationDefinition/appointment-find" {
			t.Errorf("%+v", def)
		}
		for _, p := range def.Parameter {
			if p.Name == "practitioner" && p.Type != reference {
				t.Errorf("%s: practitioner is a %s", rel, p.Type)
			}
		}
	}
}

func TestEveryParameterOfTheDefinitionIsOneThatFindKnows(t *testing.T) {
	t.Parallel()
	values := map[string]string{"start": "2026-12-01", "end": "2026-12-02", "near": "1|2", "strict": "true", "_count": "1", "_max-age": "5"}
	for _, p := range fhir.FindOperation().Params {
		if p.Out {
			continue
		}
		value := values[p.Name]
		if value == "" {
			value = "x"
		}
		got, err := findURL(t, p.Name+"="+strings.ReplaceAll(value, "|", "%7C"))
		if err != nil || len(got.Unknown) > 0 {
			t.Errorf("%s: %v %v", p.Name, err, got.Unknown)
		}
	}
}

func TestEveryErrorCodeMakesAValidOutcomeWithoutItsCause(t *testing.T) {
	t.Parallel()
	codes := strings.Fields("slot-taken hold-expired hold-limit unknown-id used-id bad-request not-acceptable needs-clinic missing-data not-supported in-doubt unresolved source-down source-slow source-refused source-login source-nonsense throttled shedding unauthorized forbidden internal")
	for _, code := range codes {
		e := &scheduling.Error{Code: scheduling.Code(code), Who: scheduling.AtEHR, Message: "what we say", Param: "start", Source: "napa", Err: errors.New(marker)}
		out := fhir.Outcome(e)
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			for _, f := range []fhir.Format{fhir.JSON, fhir.XML} {
				data, err := fhir.Write(rel, f, out)
				if err != nil {
					t.Fatalf("%s: %v", code, scheduling.AsError(err).Err)
				}
				if strings.Contains(string(data), marker) || !strings.Contains(string(data), "what we say") {
					t.Errorf("%s: %s", code, data)
				}
				if told := strings.Contains(string(data), "urn:slotgate:error"); told == (code == "internal") {
					t.Errorf("%s: the code is told: %v", code, told)
				}
				if !strings.Contains(string(data), "urn:slotgate:who") || !strings.Contains(string(data), "http.start") {
					t.Errorf("%s: %s", code, data)
				}
			}
		}
	}
}

func TestTheOutcomeOfFindTellsEachSourceAndWhatWasNotDone(t *testing.T) {
	t.Parallel()
	synced := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	found := scheduling.Found{Sources: []scheduling.Freshness{
		{Source: "a", Name: "A", State: scheduling.StateOK, Complete: true, Status: scheduling.Status{LastSync: synced}},
		{Source: "b", State: scheduling.StateDown},
		{Source: "c", Name: "C", State: scheduling.StateOK, Complete: true, Status: scheduling.Status{LastSync: synced, Unusable: scheduling.Tally{scheduling.UnknownSchedule: 1852}}},
		{Source: "d", State: scheduling.StateOK, Complete: true, Status: scheduling.Status{LastSync: synced, Unusable: scheduling.Tally{scheduling.Unmapped: 2}}},
		{Source: "e", State: scheduling.StateOK, Complete: true, Status: scheduling.Status{LastSync: synced, Emptied: true}},
	}}
	out := fhir.FindOutcome(fhir.Find{Unknown: []string{"colour"}, NotApplied: []string{"reason"}, Cut: []string{"_count"}}, found)
	var got []string
	for _, i := range out.Issue {
		got = append(got, i.Severity+" "+i.Code+" "+i.Details.Text)
	}
	want := []string{
		"warning not-supported parameter colour is not known and was not applied",
		"warning incomplete parameter reason was not applied: offers are not judged by it here",
		"warning too-costly parameter _count was brought down to what is allowed",
		"information informational A: ok, as of 2026-11-30T08:00:00Z",
		"warning transient b: down, never loaded, offers may be missing",
		"warning processing C: ok, as of 2026-11-30T08:00:00Z, 1852 records cannot be used (unknown-schedule: 1852)",
		"information informational d: ok, as of 2026-11-30T08:00:00Z, 2 records cannot be used (unmapped-code: 2)",
		"warning processing e: ok, as of 2026-11-30T08:00:00Z, emptied: the latest answer took away more than half",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if out.Failed() {
		t.Error("nothing failed")
	}
	if ext := out.Issue[3].Extension; len(ext) != 1 || ext[0].ValueDateTime != "2026-11-30T08:00:00Z" {
		t.Errorf("%+v", ext)
	}
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		for _, o := range []*model.OperationOutcome{out, fhir.FindOutcome(fhir.Find{}, scheduling.Found{})} {
			if err := fhir.Check(rel, o); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWhatIsNotValidIsNotWritten(t *testing.T) {
	t.Parallel()
	one := 1
	slot := func(change func(*model.Slot)) model.Resource {
		s := &model.Slot{Schedule: &model.Reference{Reference: "Schedule/1"}, Status: "free", Start: "2026-12-01T08:00:00Z", End: "2026-12-01T08:15:00Z"}
		change(s)
		return s
	}
	for fault, res := range map[string]model.Resource{
		"Slot.id is not an id":                         slot(func(s *model.Slot) { s.ID = "a/b" }),
		"Slot.schedule is missing":                     slot(func(s *model.Slot) { s.Schedule = &model.Reference{} }),
		"Slot.status is missing":                       slot(func(s *model.Slot) { s.Status = "" }),
		"Slot.status is not a code of this version":    slot(func(s *model.Slot) { s.Status = "open" }),
		"Slot.start is not an instant":                 slot(func(s *model.Slot) { s.Start = "2026-12-01T08:00:00" }),
		"Slot.end is missing":                          slot(func(s *model.Slot) { s.End = "" }),
		"Slot.meta.lastUpdated is not an instant":      slot(func(s *model.Slot) { s.Meta = &model.Meta{LastUpdated: "now"} }),
		"Slot.extension.url is missing":                slot(func(s *model.Slot) { s.Extension = []model.Extension{{ValueCode: "x"}} }),
		"Slot.contained.Slot.status is missing":        slot(func(s *model.Slot) { s.Contained = []model.Resource{slot(func(s *model.Slot) { s.Status = "" })} }),
		"Appointment.participant is missing":           &model.Appointment{Status: "proposed"},
		"Appointment.start and end go together":        &model.Appointment{Status: "proposed", Start: "2026-12-01T08:00:00Z"},
		"Appointment.participant.actor is missing":     &model.Appointment{Status: "booked", Participant: []model.AppointmentParticipant{{Status: "accepted"}}},
		"Schedule.actor is missing":                    &model.Schedule{},
		"Bundle.type is missing":                       &model.Bundle{},
		"Bundle.total is for searches and histories":   &model.Bundle{Type: "collection", Total: &one},
		"Bundle.entry.resource is missing":             &model.Bundle{Type: "collection", Entry: []model.BundleEntry{{FullURL: "x"}}},
		"Bundle.link.url is missing":                   &model.Bundle{Type: "searchset", Link: []model.BundleLink{{Relation: "self"}}},
		"Bundle.entry.search is for searches only":     &model.Bundle{Type: "collection", Entry: []model.BundleEntry{{Resource: slot(func(*model.Slot) {}), Search: &model.BundleSearch{Mode: "match"}}}},
		"Parameters.parameter.name is missing":         &model.Parameters{Parameter: []model.Parameter{{ValueString: "x"}}},
		"OperationOutcome.issue is missing":            &model.OperationOutcome{},
		"OperationOutcome.issue.severity is not":       &model.OperationOutcome{Issue: []model.OutcomeIssue{{Severity: "bad", Code: "invalid"}}},
		"CapabilityStatement.kind is missing":          &model.CapabilityStatement{},
		"OperationDefinition.system is missing":        &model.OperationDefinition{},
		"Subscription.channel is missing":              &model.Subscription{},
		"Location.status is not a code":                &model.Location{Status: "open"},
		"Patient.gender is not a code of this version": &model.Patient{Gender: "f"},
		"resource is missing":                          nil,
	} {
		err := fhir.Check(scheduling.R4, res)
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("want %q, got %v", fault, err)
		}
		if _, err := fhir.Write(scheduling.R4, fhir.JSON, res); scheduling.CodeOf(err) != scheduling.Internal {
			t.Errorf("%s: written all the same: %v", fault, err)
		}
	}
	if err := fhir.Check(scheduling.STU3, &model.Coverage{}); err != nil {
		t.Errorf("STU3 requires nothing of a Coverage: %v", err)
	}
	if err := fhir.Check(scheduling.R4, &model.Coverage{}); err == nil {
		t.Error("R4 requires status, beneficiary and payor of a Coverage")
	}
}
