package fhir_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// tree is JSON as a tree, with numbers as they are written.
func tree(t testing.TB, data []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, data)
	}
	return v
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// roundTrip reads data, writes it in JSON and in XML, reads that again, and
// wants the same tree each time.
func roundTrip(t *testing.T, rel scheduling.Release, data []byte) {
	t.Helper()
	want := tree(t, data)
	res, err := fhir.Read(rel, fhir.JSON, data)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := fhir.Write(rel, fhir.JSON, res)
	if err != nil {
		t.Fatal(scheduling.AsError(err).Err)
	}
	if diff := cmp.Diff(want, tree(t, asJSON)); diff != "" {
		t.Fatalf("JSON to JSON (-want +got):\n%s", diff)
	}
	if !bytes.HasPrefix(asJSON, []byte(`{"resourceType":`)) {
		t.Errorf("the type is not first: %.60s", asJSON)
	}
	asXML, dropped, err := fhir.WriteCounting(rel, fhir.XML, res)
	if err != nil || dropped != 0 {
		t.Fatalf("to XML: %v, dropped %d", err, dropped)
	}
	back, dropped, err := fhir.ReadCounting(rel, fhir.XML, asXML)
	if err != nil || dropped != 0 {
		t.Fatalf("from XML: %v, dropped %d\n%s", err, dropped, asXML)
	}
	again, err := fhir.Write(rel, fhir.JSON, back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, tree(t, again)); diff != "" {
		t.Fatalf("JSON to XML to JSON (-want +got):\n%s", diff)
	}
}

func TestEveryExampleOfTheGuideSurvivesARoundTripInJSONAndXML(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "argonaut/examples"), "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			roundTrip(t, scheduling.STU3, readFile(t, file))
		})
	}
}

func TestTheGuidesOperationsAndStatementsSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"OperationDefinition-*.json", "CapabilityStatement-*.json"} {
		files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "argonaut/definitions"), pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				data := readFile(t, file)
				res, err := fhir.Read(scheduling.STU3, fhir.JSON, data)
				if err != nil {
					t.Fatal(err)
				}
				if res.Common().ID == "" {
					t.Error("no id was read")
				}
				if _, known := res.(*model.Raw); known {
					t.Error("read without its fields")
				}
			})
		}
	}
}

func TestTheConnectathonsBundlesAreReadWhole(t *testing.T) {
	t.Parallel()
	folder := testenv.Shared(t, "argonaut/connectathon")
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	dir := scheduling.NewDirectory()
	slots, free := 0, 0
	converter := fhir.NewSlots(zone)
	files, _ := filepath.Glob(filepath.Join(folder, "*_bundle.xml"))
	for _, file := range files {
		page, err := fhir.ReadBundle(scheduling.STU3, fhir.XML, readFile(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if page.Broken.Total() != 0 || page.Dropped != 0 {
			t.Errorf("%s: broken %v, dropped %d", file, page.Broken, page.Dropped)
		}
		for _, e := range page.Entries {
			slot, ok := e.Resource.(*model.Slot)
			if !ok {
				if added, reason := fhir.AddTo(dir, e.Resource); !added {
					t.Errorf("%s is not kept: %s", model.Ref(e.Resource), reason)
				}
				continue
			}
			got, reason := converter.Slot(slot)
			if reason != "" {
				t.Fatalf("%s: %s", slot.ID, reason)
			}
			slots++
			if got.Status == scheduling.SlotFree {
				free++
			}
			if slot.ID == "2017-08-28T080000-arg-s-1" {
				if want := time.Date(2017, 8, 28, 15, 0, 0, 0, time.UTC); !got.Start.Equal(want) || got.Minutes() != 15 {
					t.Errorf("08:00 in Los Angeles is %v, %d minutes", got.Start, got.Minutes())
				}
				if got.Schedule != "2017-08-28T080000-arg-s-1" || got.Specialty[0].Codings[0].Code != "394582007" {
					t.Errorf("%+v", got)
				}
			}
		}
	}
	if slots != 3240 || free != 1852 || dir.Len() != 9*5 {
		t.Errorf("%d slots, %d free, %d records", slots, free, dir.Len())
	}
	role := dir.Roles["arg-s-1"]
	if role == nil || role.Practitioner != "arg-s-1" || role.Locations[0] != "arg-s-1" ||
		role.Specialty[0].Codings[0].System != "http://snomed.info/sct" {
		t.Errorf("role %+v", role)
	}
	if p := dir.Practitioners["arg-s-1"]; p.Identifiers[0].System != scheduling.NPISystem || p.Name.Display() != "Dr Philip Boyce" {
		t.Errorf("practitioner %+v", p)
	}
}

func TestAnExampleThatEndsAMonthAfterItStartsIsReadButCannotBeOffered(t *testing.T) {
	t.Parallel()
	data := readFile(t, testenv.Shared(t, "argonaut/examples/Bundle-prefetch-derm-appts.json"))
	page, err := fhir.ReadBundle(scheduling.STU3, fhir.JSON, data)
	if err != nil || page.Broken.Total() > 0 {
		t.Fatal(err, page)
	}
	reasons := scheduling.Tally{}
	for _, e := range page.Entries {
		if appt, ok := e.Resource.(*model.Appointment); ok {
			_, actors, reason := fhir.NewSlots(nil).Proposed(appt)
			reasons.Add(reason, 1)
			if len(actors) == 0 {
				t.Errorf("%s: nobody takes part", appt.ID)
			}
		}
	}
	if reasons[scheduling.TooLong] != 1 || reasons.Total() < 2 || reasons[""] != reasons.Total()-1 {
		t.Errorf("%v", reasons)
	}
}

// replaceAll puts names in the places that a text keeps for them.
func replaceAll(text string, names map[string]string) string {
	for name, value := range names {
		text = strings.ReplaceAll(text, `"`+name+`"`, `"`+value+`"`)
	}
	return text
}
