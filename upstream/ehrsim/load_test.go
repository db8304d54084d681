package ehrsim

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// connectathon is the real data, moved to begin after the clock's day.
func connectathon(t *testing.T, today time.Time) *Dataset {
	t.Helper()
	d, err := Load(shared(t, "data/argonaut/connectathon"), LoadOptions{FHIR: STU3, Zone: "America/Los_Angeles", ShiftTo: today})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheConnectathonIsServedWithItsDirt(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 10, 28, 15, 0, 0, 0, time.UTC) // the loaded fortnight crosses the change to winter time
	d := connectathon(t, today)
	for typ, want := range map[string]int{"Slot": 3240, "Schedule": 9, "Practitioner": 9, "PractitionerRole": 9, "Location": 9, "Organization": 9} {
		if got := d.Count(typ); got != want {
			t.Errorf("%d %s, want %d", got, typ, want)
		}
	}
	w := start(t, Options{FHIR: STU3, Zone: "America/Los_Angeles", Data: d, Now: frozen(today)})
	b := w.ok("/Slot/$prefetch?start=2026-10-29T00:00:00-07:00&end=2026-11-30T00:00:00-08:00")
	got := resources(b, "match")
	if len(got) != 1852 || total(b) != 1852 {
		t.Fatalf("%d free slots, total %d", len(got), total(b))
	}
	for _, r := range got {
		id, at := digString(r, "id"), digString(r, "start")
		if hasZone(at) || !strings.HasPrefix(id[11:], strings.ReplaceAll(at[11:], ":", "")) {
			t.Fatalf("%s starts at %s", id, at)
		}
		if ref := digString(r, "schedule", "reference"); ref != "Schedule/"+id {
			t.Fatalf("%s names %s", id, ref)
		}
		if digString(r, "specialty", 0, "coding", 0, "system") != "" {
			t.Fatalf("%s was given a system", id)
		}
	}
	if first := digString(got[0], "start"); first != "2026-11-02T08:00:00" {
		t.Errorf("the first slot is at %s", first)
	}
	if got := total(w.ok("/Slot/$prefetch?start=2026-11-02T16:00:00Z&end=2026-11-02T16:01:00Z")); got == 0 {
		t.Error("08:00 is not 16:00Z, in Los Angeles in November")
	}
	if got := total(w.ok("/Slot/$prefetch?practitioner=Practitioner/arg-s-1")); got != 0 {
		t.Errorf("%d slots reach a practitioner over a schedule that does not exist", got)
	}
	if b := w.ok("/Appointment/$find?specialty=394582007&_count=3"); total(b) != 3 || dig(b, "entry", 0, "resource", "participant") != nil {
		t.Errorf("%v", b)
	}
	if got := w.ok("/Schedule/arg-s-2"); digString(got, "planningHorizon", "start") != "2026-11-13" || digString(got, "planningHorizon", "end") != "2026-11-02" {
		t.Errorf("horizon %v", got["planningHorizon"])
	}
}

func TestALoadedResourceComesAsItCameAndChangesInItsOwnForm(t *testing.T) {
	t.Parallel()
	w := start(t, Options{FHIR: STU3, Zone: "America/Los_Angeles", Data: oneMorning(t)})
	t.Run("in XML, besides its meta", func(t *testing.T) { cameAsItWas(t, w) })
	t.Run("moved, its times have no zone still", func(t *testing.T) { movesInItsForm(t, w) })
}

// oneMorning loads the schedules and, of the thousands of slots, a few.
func oneMorning(t *testing.T) *Dataset {
	t.Helper()
	from, to := shared(t, "data/argonaut/connectathon"), t.TempDir()
	for name, keep := range map[string]string{"sched_bundle.xml": "", "slot_bundle.xml": "2017-08-28T080000"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitAfter(string(data), "</entry>")
		last := len(parts) - 1
		few := slices.DeleteFunc(parts[:last:last], func(e string) bool { return e != parts[0] && !strings.Contains(e, keep) })
		if err := os.WriteFile(filepath.Join(to, name), []byte(strings.Join(few, "")+parts[last]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Load(to, LoadOptions{FHIR: STU3, Zone: "America/Los_Angeles"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func cameAsItWas(t *testing.T, w *wire) {
	a := w.get("/Slot/2017-08-28T080000-arg-s-1", "Accept", "application/fhir+xml")
	original, err := os.ReadFile(filepath.Join(shared(t, "data/argonaut/connectathon"), "slot_bundle.xml"))
	if err != nil {
		t.Fatal(err)
	}
	from := strings.Index(string(original), "<Slot>")
	want := string(original)[from : strings.Index(string(original), "</Slot>")+len("</Slot>")]
	squeeze := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, ">", "> ")), " ") }
	got := a.text[strings.Index(a.text, "<Slot"):]
	got = strings.Replace(got, ` xmlns="http://hl7.org/fhir"`, "", 1)
	begin, end := strings.Index(got, "<meta>"), strings.Index(got, "</meta>")
	if got = got[:begin] + got[end+len("</meta>"):]; squeeze(got) != squeeze(want) {
		t.Errorf("got  %s\nwant %s", squeeze(got), squeeze(want))
	}
}

func movesInItsForm(t *testing.T, w *wire) {
	id := "2017-08-28T080000-arg-s-3"
	sl, err := w.srv.Slot(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.srv.MoveSlot(id, sl.Start.Add(time.Hour), sl.End.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := w.ok("/Slot/" + id); !strings.HasSuffix(digString(got, "start"), "T09:00:00") || !strings.HasSuffix(digString(got, "end"), "T09:15:00") {
		t.Errorf("%v", got)
	}
	if _, err := w.srv.AddSlot(Slot{Schedule: "arg-s-1", Start: sl.Start, End: sl.End}); err != nil {
		t.Error(err)
	}
}

func TestShiftingKeepsTheWallClockTheWeekdayAndTheForm(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		in    string
		weeks int
		want  string
	}{
		{"2017-08-28T08:00:00", 460, "2026-06-22T08:00:00"},
		{"2026-10-26T08:00:00-04:00", 1, "2026-11-02T08:00:00-05:00"},
		{"2026-10-26T12:00:00Z", 1, "2026-11-02T13:00:00Z"},
		{"2026-03-02T08:00:00-05", 1, "2026-03-09T08:00:00-04:00"},
		{"2026-03-02", 2, "2026-03-16"},
		{"2026-03-09T08:00:00-04:00", -1, "2026-03-02T08:00:00-05:00"},
		{"soon", 3, "soon"},
	} {
		if got := shiftText(tc.in, tc.weeks, zone); got != tc.want {
			t.Errorf("%s by %d: %s, want %s", tc.in, tc.weeks, got, tc.want)
		}
	}
}

func TestShiftedDataBeginsWithinTheWeekAfterToday(t *testing.T) {
	t.Parallel()
	for day := range 15 {
		today := civil{2026, time.March, 1 + day}.add(0)
		for _, first := range []string{"2017-08-28T08:00:00", "2026-03-05T08:00:00", "2031-01-01T08:00:00"} {
			d := &Dataset{resources: []object{{{"resourceType", "Slot"}, {"start", first}}}}
			weeks := d.weeksTo(today, time.UTC)
			moved := shiftText(first, weeks, time.UTC)
			sp, err := parseSpan(moved, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			ahead := int(civilOf(sp.from).noon().Sub(today.noon()).Hours() / 24)
			if ahead < 1 || ahead > 7 {
				t.Errorf("%s, today %s: %s is %d days ahead", first, today, moved, ahead)
			}
		}
	}
}

func TestBundlesOfEveryKindAreReadAndWrongFilesRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.json", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Slot","id":"s1","schedule":{"reference":"Schedule/x"},"status":"free","start":"2026-02-03T10:00:00Z","end":"2026-02-03T10:15:00Z"}},{"fullUrl":"urn:uuid:0c3151bd","resource":{"resourceType":"Schedule","actor":[{"reference":"Practitioner/p"}]}}]}`)
	write("b.json", `{"resourceType":"Practitioner","id":"p","name":[{"family":"Bashir"}]}`)
	write("c.xml", `<Bundle xmlns="http://hl7.org/fhir"><type value="searchset"/><entry><resource><Location><id value="l"/><position><longitude value="-1.50"/><latitude value="2"/></position></Location></resource></entry></Bundle>`)
	write("notes.txt", "not FHIR")
	d, err := Load(dir, LoadOptions{FHIR: R4})
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Options{Data: d, Dialect: Slots})
	if got := w.get("/Location/l").text; !strings.Contains(got, `"position":{"longitude":-1.50,"latitude":2}`) {
		t.Errorf("%s", got)
	}
	if total(w.ok("/Slot?start=2026-02-03")) != 1 || digString(w.ok("/Schedule/0c3151bd"), "actor", 0, "reference") != "Practitioner/p" {
		t.Error("the JSON bundle is not served")
	}
	for name, text := range map[string]string{"broken.json": `{"resourceType":`, "list.json": `[]`, "none.json": `{"a":1}`, "broken.xml": `<Bundle xmlns="http://hl7.org/fhir">`, "page.xml": `<html/>`} {
		write(name, text)
		if _, err := Load(dir, LoadOptions{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(t.TempDir(), LoadOptions{}); err == nil {
		t.Error("an empty folder was accepted")
	}
	if _, err := Load(filepath.Join(dir, "nowhere"), LoadOptions{}); err == nil {
		t.Error("no folder was accepted")
	}
	if _, err := Load(dir, LoadOptions{Zone: "Mars/Olympus"}); err == nil {
		t.Error("an unknown zone was accepted")
	}
}

func TestEveryAnswerIsWellFormedXMLWhenAskedFor(t *testing.T) {
	t.Parallel()
	w := start(t, Options{FHIR: STU3})
	for _, path := range []string{"/metadata", "/Slot/$prefetch?end=2026-02-03", "/Appointment/$find?_count=3", "/Patient/x", "/Practitioner", "/PractitionerRole", "/Location", "/Organization", "/HealthcareService", "/Schedule", "/Slot?_count=3&_include=Slot:schedule"} {
		for _, how := range []string{"header", "_format"} {
			a := answer{}
			if how == "header" {
				a = w.get(path, "Accept", "application/fhir+xml")
			} else {
				sep := "?"
				if strings.Contains(path, "?") {
					sep = "&"
				}
				a = w.get(path + sep + "_format=xml")
			}
			if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/fhir+xml") {
				t.Errorf("%s: %s", path, a.Header.Get("Content-Type"))
			}
			dec := xml.NewDecoder(strings.NewReader(a.text))
			for {
				if _, err := dec.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
		}
	}
}
