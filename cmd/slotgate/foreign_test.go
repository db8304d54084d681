package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"slotgate/config/testenv"
)

// clientReport is what .ci/npm/client.mjs tells.
type clientReport struct {
	Metadata struct {
		FHIRVersion string
		Types       []string
		Operations  []string
	}
	FindGet, FindPost clientPage
	Pages             struct {
		Pages, Entries, Unique int
		Totals                 []int
	}
	Search  map[string]clientPage
	Read    map[string]string
	Refused struct {
		Status       int
		ResourceType string
		Codes        []string
	}
}

type clientPage struct {
	Total, Entries, Outcomes int
	IDs, Starts, Relations   []string
}

// A client that nobody here wrote (npm fhir-kit-client) uses the gateway as a
// booking site would.
func TestAForeignClientFindsPagesAndReads(t *testing.T) {
	_, gateway, _ := startDemo(t)
	eventually(t, func() error {
		header := getJSON(t, gateway+"/fhir/r4/Appointment/$find?_count=0&source=harbor", new(any))
		if header.Get("X-Slotgate-Complete") != "true" {
			return errors.New("harbor is not loaded")
		}
		return nil
	})
	for release, version := range map[string]string{"r4": "4.0.1", "stu3": "3.0.1"} {
		t.Run(release, func(t *testing.T) {
			out := testenv.RunNode(t, "client.mjs", gateway+"/fhir/"+release, `{
				"find": {"source": "harbor", "specialty": "394584008", "_count": "50"},
				"search": {"Practitioner": {"name": "a"}, "Location": {}, "Slot": {"_count": "5"}}
			}`)
			var report clientReport
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if report.Metadata.FHIRVersion != version || !slices.Contains(report.Metadata.Operations, "find") {
				t.Errorf("metadata: %+v", report.Metadata)
			}
			if report.FindGet.Total == 0 || report.FindGet.Total != report.FindPost.Total || report.FindGet.Outcomes != 1 {
				t.Errorf("find: GET %+v, POST %+v", report.FindGet, report.FindPost)
			}
			// Slots may begin meanwhile, and be no offers any more.
			if p := report.Pages; p.Unique != p.Entries || p.Entries > p.Totals[0] || p.Entries < p.Totals[0]-5 {
				t.Errorf("pages: %+v", p)
			}
			for kind, page := range report.Search {
				if page.Total == 0 || report.Read[kind] != page.IDs[0] {
					t.Errorf("%s: %+v, read %q", kind, page, report.Read[kind])
				}
			}
			if r := report.Refused; r.Status != 400 || r.ResourceType != "OperationOutcome" || !slices.Contains(r.Codes, "bad-request") {
				t.Errorf("refused: %+v", r)
			}
		})
	}
}

// A FHIR server that nobody here wrote (npm @medplum/fhir-router) as a source:
// plain R4, no next links, zones told by the place.
func TestAForeignServerIsASource(t *testing.T) {
	base := testenv.StartNode(t, "medplum.mjs")
	const slots = 2300 // more than two pages
	load(t, base, foreignPractice(slots))
	config := write(t, t.TempDir(), "slotgate.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
redis: {embedded: true}
anonymous: [find, directory]
sources:
  - {id: foreign, base: %q, dialect: slots, fhir: r4, prefetch: {cron: "@every 1s"}}
`, base))
	p := start(t, "serve", "--config", config)
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	eventually(t, func() error {
		if row := sourcesOf(t, admin)["foreign"]; row.Slots != slots {
			return fmt.Errorf("%+v, want %d open slots: %.3000s", row, slots, p.err.String())
		}
		return nil
	})
	answer := find(t, gateway, "specialty=394582007&_count=1&location-string=Denver")
	if answer.Total != slots || len(answer.Entry) != 2 {
		t.Fatalf("total %d, %d entries", answer.Total, len(answer.Entry))
	}
	at, err := time.Parse(time.RFC3339, answer.Entry[0].Resource.Start)
	if err != nil {
		t.Fatal(err)
	}
	denver, err := time.LoadLocation("America/Denver")
	if err != nil {
		t.Fatal(err)
	}
	if at.In(denver).Format(time.RFC3339) != answer.Entry[0].Resource.Start {
		t.Errorf("%s does not carry the place's offset", answer.Entry[0].Resource.Start)
	}
}

func foreignPractice(slots int) []any {
	type object = map[string]any
	ref := func(to string) object { return object{"reference": to} }
	list := []any{
		object{
			"resourceType": "Location", "id": "l", "name": "Downtown", "status": "active",
			"address":   object{"city": "Denver", "state": "CO"},
			"extension": []any{object{"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "America/Denver"}},
		},
		object{"resourceType": "Practitioner", "id": "p", "name": []any{object{"family": "Boyce", "given": []any{"Philip"}}}},
		object{
			"resourceType": "Schedule", "id": "s", "actor": []any{ref("Practitioner/p"), ref("Location/l")},
			"specialty": []any{object{"coding": []any{object{"system": "http://snomed.info/sct", "code": "394582007"}}}},
		},
	}
	first := time.Now().UTC().Truncate(time.Minute).Add(time.Hour)
	for i := range slots {
		at := first.Add(time.Duration(i) * 10 * time.Minute)
		list = append(list, object{
			"resourceType": "Slot", "id": fmt.Sprintf("slot-%d", i), "status": "free", "schedule": ref("Schedule/s"),
			"start": at.Format(time.RFC3339), "end": at.Add(10 * time.Minute).Format(time.RFC3339),
		})
	}
	return list
}

func load(t *testing.T, base string, resources []any) {
	t.Helper()
	body, err := json.Marshal(resources)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/load", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("load: %s", res.Status)
	}
}
