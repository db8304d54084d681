package fhir

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func TestAPageReadsLikeItsResourcesReadOneByOneButForTheNarrative(t *testing.T) {
	t.Parallel()
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		resources := []string{
			`{"resourceType":"Slot","id":"a","status":"free","start":"x","end":"y","schedule":{"reference":"Schedule/1"},"comment":"q\"uo\\te\u00e9","serviceCategory":{"text":"one"},"appointmentType":{"coding":[{"system":"http://hl7.org/fhir/v2/0276","code":"ROUTINE"}]}}`,
			` { "status" : "busy" , "resourceType" : "Slot", "id":"b","specialty":[{"text":"s"}],"meta":{"versionId":"2"} } `,
			`{"resourceType":"Slot","id":"c","extension":[{"url":"u","valueCode":"v"}],"_status":{"id":"1"},"odd":[1,{"a":"]}"}]}`,
			`{"resourceType":"Slot","id":null,"overbooked":true,"identifier":[{"value":"1"}]}`,
			`{"resourceType":"Appointment","id":"d","status":"proposed","minutesDuration":15,"slot":[{"reference":"Slot/1"}],"participant":[{"actor":{"reference":"Practitioner/1"},"status":"needs-action"}],"requestedPeriod":[{"start":"a"}]}`,
			`{"resourceType":"Appointment","id":"e","contained":[{"resourceType":"Slot","id":"in"}]}`,
			`{"resourceType":"Slot"}`,
			`{"resourceType":"Slot","extension":[{"url":"u","valueCode":"v"}]}`,
			`{"resourceType":"Slot","_start":{"id":"1"}}`,
			`{"resourceType":"Slot","participant":[{"odd":1}]}`,
			`{"resourceType":"Appointment","schedule":{"reference":"Schedule/1"}}`,
			`{"resourceType":"Appointment","language":"en"}`,
			// The same member in both types, which must not be taken for each other's.
			`{"resourceType":"Slot","specialty":[{"text":"same"}]}`,
			`{"resourceType":"Appointment","specialty":[{"text":"same"}]}`,
			`{"resourceType":"Slot","specialty":[{"text":"same"}]}`,
			`{"resourceType":"Basic","id":"raw","code":{"text":"x"}}`,
		}
		if rel == scheduling.R4 {
			resources[0] = strings.Replace(resources[0], `{"text":"one"}`, `[{"text":"one"}]`, 1)
		}
		var entries []string
		for _, r := range resources {
			entries = append(entries, `{"resource":`+r+`,"fullUrl":"http://e/1" , "search" : {"mode":"match"}}`)
		}
		page, err := ReadBundle(rel, JSON, []byte(`{"entry":[`+strings.Join(entries, ",")+`],"resourceType":"Bundle","type":"searchset"}`))
		if err != nil || page.Broken.Total() != 0 || len(page.Entries) != len(resources) {
			t.Fatal(err, page)
		}
		for i, e := range page.Entries {
			want, err := Read(rel, JSON, []byte(resources[i]))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, e.Resource); diff != "" {
				t.Errorf("%s %s (-alone +page):\n%s", rel, resources[i], diff)
			}
			if e.FullURL != "http://e/1" || e.Search.Mode != "match" {
				t.Errorf("%+v", e)
			}
		}
	}
}

func TestSlotsOfAPageCarryNoNarrative(t *testing.T) {
	t.Parallel()
	page, err := ReadBundle(scheduling.R4, JSON, pageOf(3))
	if err != nil || len(page.Entries) != 3 || *page.Bundle.Total != 3 || page.Bundle.LinkURL("self") == "" {
		t.Fatal(err, page)
	}
	s := page.Entries[2].Resource.(*model.Slot)
	if s.Text != nil || s.ID != "s2" || s.Schedule.Reference != "Schedule/sch-2" || s.Meta.VersionID != "1" {
		t.Errorf("%+v", s)
	}
}

func TestABrokenEntryCostsThatEntryOnly(t *testing.T) {
	t.Parallel()
	const good = `{"fullUrl":"u","resource":{"resourceType":"Slot","id":"ok"}}`
	for name, entry := range map[string]string{
		"a resource of the wrong shape":      `{"resource":{"resourceType":"Slot","status":{"a":1}}}`,
		"a list for an id":                   `{"resource":{"resourceType":"Slot","id":["a"]}}`,
		"a schedule that is a string":        `{"resource":{"resourceType":"Slot","schedule":"Schedule/1"}}`,
		"a resource without a type":          `{"resource":{"id":"a"}}`,
		"a type that is no text":             `{"resource":{"resourceType":["Slot"]}}`,
		"a resource that is a string":        `{"resource":"Slot"}`,
		"a fullUrl that is a number":         `{"fullUrl":5,"resource":{"resourceType":"Slot","id":"a"}}`,
		"a search that is a string":          `{"search":"match","resource":{"resourceType":"Slot","id":"a"}}`,
		"an entry that is null":              `null`,
		"an entry that is a string":          `"entry"`,
		"an entry that is a list":            `[{"resource":{"resourceType":"Slot"}}]`,
		"half a surrogate pair":              `{"resource":{"resourceType":"Slot","id":"a","comment":"\ud800"}}`,
		"the other half, in a name":          `{"resource":{"resourceType":"Slot","id":"a","\udc00":1}}`,
		"bytes that are no UTF-8":            "{\"resource\":{\"resourceType\":\"Slot\",\"comment\":\"\xff\"}}",
		"a bare line break in a text":        "{\"resource\":{\"resourceType\":\"Slot\",\"comment\":\"a\nb\"}}",
		"an escape that does not exist":      `{"resource":{"resourceType":"Slot","comment":"\x41 \u12"}}`,
		"a name twice":                       `{"resource":{"resourceType":"Slot","id":"a","id":"b"}}`,
		"a broken text in another type":      `{"resource":{"resourceType":"Practitioner","id":"a","name":[{"family":"\ud800"}]}}`,
		"a broken resource without a reader": `{"resource":{"resourceType":"Basic","id":{"a":1}}}`,
	} {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			data := fmt.Sprintf(`{"resourceType":"Bundle","type":"searchset","entry":[%s,%s,%s]}`, good, entry, good)
			page, err := ReadBundle(rel, JSON, []byte(data))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if len(page.Entries) != 2 || page.Broken[scheduling.BadResource] != 1 {
				t.Errorf("%s: %d entries, %v", name, len(page.Entries), page.Broken)
			}
		}
	}
}

func TestBrokenSlotsAreNamedWhereTheirIDsCanBeSeen(t *testing.T) {
	t.Parallel()
	data := `{"resourceType":"Bundle","type":"searchset","entry":[
		{"resource":{"resourceType":"Slot","id":"a","comment":"\ud800"}},
		{"resource":{"id":"b","resourceType":"Slot","status":{}}},
		{"resource":{"resourceType":"Slot","id":["c"]}},
		{"resource":{"resourceType":"Slot","id":"not an id","status":{}}},
		{"resource":{"resourceType":"Practitioner","id":"d","name":5}},"e",{"resource":7}]}`
	page, err := ReadBundle(scheduling.R4, JSON, []byte(data))
	if err != nil || page.Broken.Total() != 7 {
		t.Fatal(err, page)
	}
	if diff := cmp.Diff([]string{"a", "b"}, page.BrokenSlots); diff != "" {
		t.Error(diff)
	}
}

func TestABundleOfWhichNotOnlyEntriesAreBrokenIsNotRead(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"a broken text beside the entries": `{"resourceType":"Bundle","id":"\ud800","entry":[]}`,
		"the entries twice":                `{"resourceType":"Bundle","entry":[],"entry":[]}`,
		"the total twice":                  `{"resourceType":"Bundle","total":1,"total":2,"entry":[]}`,
		"half a page":                      `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Slot","comment":"\ud800`,
		"a broken text, and no end":        `{"resourceType":"Bundle","entry":[{"x":"\ud800"}]`,
		"no Bundle":                        `{"resourceType":"Slot","comment":"\ud800"}`,
		"a broken outcome":                 `{"resourceType":"OperationOutcome","id":"\ud800"}`,
		"Parameters without one":           `{"resourceType":"Parameters","parameter":[{"name":"x","valueString":"\ud800"},5]}`,
	} {
		if page, err := ReadBundle(scheduling.R4, JSON, []byte(data)); err == nil {
			t.Errorf("%s: %+v", name, page)
		}
	}
}

func TestABrokenEntryWithinParametersCostsThatEntryOnly(t *testing.T) {
	t.Parallel()
	page, err := ReadBundle(scheduling.R4, JSON, []byte("\xef\xbb\xbf"+` {"resourceType":"Parameters","parameter":[5,{"name":"other","valueString":"x"},
{"resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Slot","comment":"\ud800"}},{"resource":{"resourceType":"Slot","id":"b"}}]},"name":"return"}]}`))
	if err != nil || len(page.Entries) != 1 || page.Broken.Total() != 1 || page.Entries[0].Resource.Common().ID != "b" {
		t.Fatal(err, page)
	}
}

func TestOutcomesOfAPageAreSetApart(t *testing.T) {
	t.Parallel()
	const warning = `{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"incomplete"}]}`
	page, err := ReadBundle(scheduling.R4, JSON, []byte(`{"resourceType":"Bundle","type":"searchset","total":0,"entry":[{"resource":`+warning+`,"search":{"mode":"outcome"}}]}`))
	if err != nil || len(page.Entries) != 0 || len(page.Outcomes) != 1 || page.Failed() {
		t.Fatal(err, page)
	}
	fatal := strings.Replace(warning, `"warning"`, `"fatal"`, 1)
	page, err = ReadBundle(scheduling.STU3, JSON, []byte(fatal))
	if err != nil || len(page.Outcomes) != 1 || !page.Failed() || page.Next() != "" {
		t.Fatal(err, page)
	}
}

func TestABundleWithinParametersIsOpened(t *testing.T) {
	t.Parallel()
	page, err := ReadBundle(scheduling.R4, JSON, []byte(`{"resourceType":"Parameters","parameter":[{"name":"other","valueString":"x"},
{"name":"return","resource":{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"?page=2"}],"entry":[{"resource":{"resourceType":"Appointment","status":"proposed"}}]}}]}`))
	if err != nil || len(page.Entries) != 1 || page.Next() != "?page=2" {
		t.Fatal(err, page)
	}
	_, err = ReadBundle(scheduling.R4, JSON, []byte(`{"resourceType":"Parameters","parameter":[{"name":"return","resource":{"resourceType":"Slot"}}]}`))
	if scheduling.CodeOf(err) != scheduling.BadRequest {
		t.Error(err)
	}
}

func TestAPageThatIsNoPageIsRefused(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"resourceType":"Slot"}`, `{"resourceType":"Bundle","total":{"a":1}}`, `{"resourceType":"Bundle","entry":{"resource":null}}`} {
		if _, err := ReadBundle(scheduling.R4, JSON, []byte(body)); scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestACursorWalksWhateverIsWellFormed(t *testing.T) {
	t.Parallel()
	cur := &cursor{b: []byte(`{ "a\"]" : "\\" , "b":[1,[2,"]"],{"c":"}"}] ,"d":-1.5e3,"e":{},"f":[],"g":null}`)}
	var got []string
	for cur.next() {
		name := string(cur.name())
		got = append(got, name+"="+string(cur.value()))
	}
	want := []string{`a\"]="\\"`, `b=[1,[2,"]"],{"c":"}"}]`, `d=-1.5e3`, `e={}`, `f=[]`, `g=null`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if cur.i != len(cur.b) {
		t.Errorf("stopped at %d of %d", cur.i, len(cur.b))
	}
}

// FuzzPage: a resource reads on a page just as it reads alone.
func FuzzPage(f *testing.F) {
	f.Add(`{"resourceType":"Slot","id":"a","status":"free","specialty":[{"text":"s"}],"text":{"div":"x"}}`)
	f.Add(`{"id":"a","resourceType":"Appointment","participant":[{"actor":{"display":"x"}}],"odd":{"a":"\"]}"}}`)
	f.Add(`{"resourceType":"Slot","id":"\u0061\\","meta":null,"schedule":5}`)
	f.Fuzz(func(t *testing.T, resource string) {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			want, wantErr := Read(rel, JSON, []byte(resource))
			if _, outcome := want.(*model.OperationOutcome); outcome {
				continue
			}
			page, err := ReadBundle(rel, JSON, []byte(`{"resourceType":"Bundle","entry":[{"resource":`+resource+`},{"resource":`+resource+`}]}`))
			if wantErr != nil {
				if err == nil && len(page.Entries) > 0 && page.Entries[0].Resource != nil {
					t.Fatalf("%s: read on a page, not alone: %v", resource, wantErr)
				}
				continue
			}
			if err != nil || len(page.Entries) != 2 {
				t.Fatalf("%s: read alone, not on a page: %v", resource, err)
			}
			switch r := want.(type) {
			case *model.Slot:
				dropNarrative(&r.Base, page.Entries)
			case *model.Appointment:
				dropNarrative(&r.Base, page.Entries)
			}
			for _, e := range page.Entries {
				if diff := cmp.Diff(want, e.Resource); diff != "" {
					t.Fatalf("%s (-alone +page):\n%s", resource, diff)
				}
			}
		}
	})
}

// dropNarrative: a page may leave the narrative out, and keeps it where the
// resource was read whole.
func dropNarrative(want *model.Base, entries []model.BundleEntry) {
	want.Text = nil
	for _, e := range entries {
		e.Resource.Common().Text = nil
	}
}
