package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// statement reads the CapabilityStatement of a base.
func (w *world) statement(rel scheduling.Release) *model.CapabilityStatement {
	w.t.Helper()
	c, ok := w.resource(w.get("/fhir/"+string(rel)+"/metadata"), rel).(*model.CapabilityStatement)
	if !ok {
		w.t.Fatal("not a CapabilityStatement")
	}
	return c
}

// TestTheCapabilityStatementTellsWhatIsServed asks for everything that it
// names, and then counts what Fiber serves besides.
func TestTheCapabilityStatementTellsWhatIsServed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, rel := range releases() {
		root := "/fhir/" + string(rel)
		c := w.statement(rel)
		if c.FHIRVersion != map[scheduling.Release]string{"stu3": "3.0.1", "r4": "4.0.1"}[rel] || c.Software.Version != "test" {
			t.Errorf("%s: version %s, software %+v", rel, c.FHIRVersion, c.Software)
		}
		told := map[string]bool{root + "/metadata": true, root + "/.well-known/smart-configuration": true}
		for _, res := range c.Rest[0].Resource {
			for _, i := range res.Interaction {
				switch i.Code {
				case "read":
					told[root+"/"+res.Type+"/:id"] = true
				case "search-type":
					told[root+"/"+res.Type], told[root+"/"+res.Type+"/_search"] = true, true
				}
			}
			for _, p := range res.SearchParam {
				if r := w.get(root + "/" + res.Type + "?" + p.Name + "=Schedule/x"); strings.Contains(r.body, "is not known") {
					t.Errorf("%s: %s is not searched by %s", rel, res.Type, p.Name)
				}
			}
			for _, op := range res.Operation {
				told[root+"/"+res.Type+"/$"+op.Name] = true
				w.definitionAt(rel, string(op.Definition))
			}
		}
		for _, op := range c.Rest[0].Operation {
			told[root+"/Appointment/$"+op.Name] = true
			w.definitionAt(rel, string(op.Definition))
		}
		for _, route := range w.server.app.GetRoutes(true) {
			path := strings.Replace(route.Path, "%24", "$", 1)
			if strings.HasPrefix(path, root+"/") && !told[path] {
				t.Errorf("%s: %s %s is served and not told", rel, route.Method, path)
			}
		}
		if !told[root+"/Appointment/$find"] {
			t.Errorf("%s: $find is not told", rel)
		}
	}
}

// definitionAt follows an operation to its definition.
func (w *world) definitionAt(rel scheduling.Release, address string) {
	w.t.Helper()
	d, ok := w.resource(w.get(path(w.t, address)), rel).(*model.OperationDefinition)
	if !ok || d.URL != address || d.Code != "find" || !*d.Type || *d.Instance {
		w.t.Errorf("%s: %+v", address, d)
	}
	if !strings.HasPrefix(address, w.base) {
		w.t.Errorf("definition at %q", address)
	}
}

func TestOperationDefinitionsAreListed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for query, want := range map[string]int{"": 1, "?code=find": 1, "?_id=appointment-find": 1, "?code=book": 0, "?colour=1": 1} {
		b := w.bundle(w.get("/fhir/r4/OperationDefinition"+query), scheduling.R4)
		if *b.Total != want {
			t.Errorf("%q: total %d, want %d", query, *b.Total, want)
		}
	}
	if r := w.get("/fhir/r4/OperationDefinition/none"); r.status != http.StatusNotFound {
		t.Errorf("status %d", r.status)
	}
}

func TestOurPublicKeysAreServedWhereThereAreAny(t *testing.T) {
	t.Parallel()
	const set = `{"keys":[{"kid":"a"}]}`
	w := start(t, func(_ *Options, d *Deps) { d.KeySet = []byte(set) })
	if r := w.get("/.well-known/jwks.json"); r.body != set || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s", r.header.Get("Content-Type"), r.body)
	}
	if r := start(t, nil).get("/.well-known/jwks.json"); r.status != http.StatusNotFound || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("without one: %d %s", r.status, r.header.Get("Cache-Control"))
	}
}

func TestTheDirectoryIsReadAndSearched(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	doc := scheduling.ResourceID("napa", scheduling.KindPractitioner, "dr-1")
	sched := scheduling.ResourceID("napa", scheduling.KindSchedule, "sched-1")
	for _, tc := range []struct {
		name, query string
		total       int
	}{
		{"everyone", "Practitioner", 3},
		{"by name", "Practitioner?name=napason", 2},
		{"by one of two names", "Practitioner?name=napason1,yorkson1", 2},
		{"by identifier", "Practitioner?identifier=" + scheduling.NPISystem + "%7CYork-npi-1", 1},
		{"by id", "Practitioner?_id=" + doc, 1},
		{"of a source", "Practitioner?source=york", 1},
		{"places by address", "Location?address=york+city", 1},
		{"places of a practice", "Location?organization=Organization/" + scheduling.ResourceID("napa", scheduling.KindOrganization, "org"), 2},
		{"practices", "Organization?name=napa", 1},
		{"roles by specialty", "PractitionerRole?specialty=" + dermatology, 2},
		{"roles by practitioner", "PractitionerRole?practitioner=" + doc, 1},
		{"no services", "HealthcareService", 0},
		{"schedules by practitioner", "Schedule?practitioner=Practitioner/" + doc, 1},
		{"slots of a schedule", "Slot?schedule=Schedule/" + sched, 24},
		{"slots of a schedule by our own address", "Slot?schedule=" + w.base + "/fhir/stu3/Schedule/" + sched, 24},
		{"slots of a schedule from a day on", "Slot?schedule=" + sched + "&start=ge2026-11-26", 8},
		{"slots of one day", "Slot?schedule=" + sched + "&start=2026-11-25", 8},
		{"slots between two instants", "Slot?source=napa&start=ge2026-11-24T17:00:00Z&start=lt2026-11-24T18:00:00Z", 4},
		{"free slots", "Slot?status=free", 72},
		{"free slots, with the system", "Slot?status=http://hl7.org/fhir/slotstatus%7Cfree", 72},
		{"busy slots are not kept", "Slot?status=busy", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, rel := range releases() {
				b := w.bundle(w.get("/fhir/"+string(rel)+"/"+tc.query), rel)
				if *b.Total != tc.total || len(b.Entry) != min(tc.total, 20) {
					t.Errorf("%s: total %d of %d entries, want %d", rel, *b.Total, len(b.Entry), tc.total)
				}
				for _, e := range b.Entry {
					r := w.get(path(t, e.FullURL))
					if got := w.resource(r, rel); r.status != http.StatusOK || model.Ref(got) != model.Ref(e.Resource) {
						t.Errorf("%s: status %d", e.FullURL, r.status)
					}
				}
				kind, query, _ := strings.Cut(tc.query, "?")
				posted := w.bundle(w.ask(http.MethodPost, "/fhir/"+string(rel)+"/"+kind+"/_search", query,
					"Content-Type: application/x-www-form-urlencoded"), rel)
				if *posted.Total != tc.total || posted.LinkURL("self") != b.LinkURL("self") {
					t.Errorf("%s: by POST total %d, self %q", rel, *posted.Total, posted.LinkURL("self"))
				}
			}
		})
	}
}

func TestADirectorySearchIsPaged(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var ids []string
	for next := w.base + "/fhir/r4/Slot?source=napa&_count=10"; next != ""; {
		b := w.bundle(w.get(path(t, next)), scheduling.R4)
		for _, e := range b.Entry {
			ids = append(ids, e.Resource.Common().ID)
		}
		if next = b.LinkURL("next"); len(ids) > 100 {
			t.Fatal("the pages have no end")
		}
	}
	if len(ids) != 48 || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != 48 {
		t.Errorf("%d ids", len(ids))
	}
	b := w.bundle(w.get("/fhir/r4/Practitioner?colour=blue&_count=9999&shape%20of=x"), scheduling.R4)
	last := b.Entry[len(b.Entry)-1]
	o, ok := last.Resource.(*model.OperationOutcome)
	if !ok || last.Search.Mode != "outcome" || !strings.Contains(told(o), "colour is not known") || !strings.Contains(told(o), "_count was brought down") || !strings.Contains(told(o), "(unreadable name)") {
		t.Errorf("the last entry: %+v", last)
	}
}

func TestADirectoryTellsOfASourceThatIsDown(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.replica.Apply("york", scheduling.Change{Status: &scheduling.Status{Source: "york", Failures: 3, ErrorCode: scheduling.SourceDown, ErrorAt: noon}})
	b := w.bundle(w.get("/fhir/stu3/Location"), scheduling.STU3)
	o, ok := b.Entry[len(b.Entry)-1].Resource.(*model.OperationOutcome)
	if !ok || !strings.Contains(told(o), "York Street Clinic: down") || strings.Contains(told(o), "Napa") {
		t.Errorf("the last entry: %+v", b.Entry[len(b.Entry)-1])
	}
	if b := w.bundle(w.get("/fhir/stu3/Location?source=napa"), scheduling.STU3); len(b.Entry) != 2 {
		t.Errorf("of the other source: %d entries", len(b.Entry))
	}
}
