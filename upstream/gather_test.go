package upstream

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// pageOf reads entries as a page of a source.
func pageOf(t testing.TB, release scheduling.Release, entries ...string) *fhir.Page {
	t.Helper()
	page, err := fhir.ReadBundle(release, fhir.JSON, []byte(`{"resourceType":"Bundle","type":"searchset","entry":[`+strings.Join(entries, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestAScheduleIsFoundHoweverTheReferenceIsWritten(t *testing.T) {
	t.Parallel()
	rule := regexp.MustCompile(`(arg-s-\d+)$`)
	for ref, tc := range map[string]struct {
		rule *regexp.Regexp
		want string
	}{
		"Schedule/s1":                                   {nil, "s1"},
		"Schedule/s1/_history/3":                        {nil, "s1"},
		"https://ehr.example.org/fhir/Schedule/s1":      {nil, "s1"},
		"http://inside:8080/other/Schedule/s1":          {nil, "s1"},
		"urn:uuid:6f1a":                                 {nil, "s7"},
		"urn:uuid:unknown":                              {nil, ""},
		"Practitioner/s1":                               {nil, ""},
		"s1":                                            {nil, ""},
		"Schedule?identifier=x|s1":                      {nil, ""},
		"Schedule/2017-08-28T080000-arg-s-1":            {rule, "arg-s-1"},
		"https://x.example/Schedule/2017-08-28-arg-s-2": {rule, "arg-s-2"},
		"Schedule/other":                                {rule, "other"},
	} {
		page := pageOf(t, scheduling.R4,
			`{"resource":{"resourceType":"Slot","id":"a","status":"free","schedule":{"reference":"`+ref+`"}}}`,
			`{"fullUrl":"urn:uuid:6f1a","resource":{"resourceType":"Schedule","id":"s7","actor":[{"display":"Dr Y"}]}}`)
		h := newHarvest(scheduling.KindSlot, tc.rule, 10)
		h.page(page)
		if got := h.records[0].slot.Schedule; got != tc.want {
			t.Errorf("%s: %q, want %q", ref, got, tc.want)
		}
	}
}

const offerJSON = `{"resource":{"resourceType":"Appointment","id":"tmp-1","status":"proposed","start":"2026-02-03T09:00:00Z","end":"2026-02-03T09:15:00Z",` +
	`"serviceType":[{"coding":[{"system":"urn:x","code":"consult"}]}],"slot":[SLOT],"contained":[CONTAINED],` +
	`"participant":[{"actor":{"reference":"Practitioner/p1"}},{"actor":{"reference":"Patient/secret"}},{"actor":{"display":"Napa Office"}}]}}`

func offerOf(slot, contained string) string {
	text := strings.NewReplacer("SLOT", slot, "CONTAINED", contained).Replace(offerJSON)
	return strings.NewReplacer(`"slot":[],`, "", `"contained":[],`, "").Replace(text)
}

func TestProposedAppointmentsBecomeSlots(t *testing.T) {
	t.Parallel()
	schedule := `{"resource":{"resourceType":"Schedule","id":"s1","actor":[{"reference":"Practitioner/p1"}]}}`
	person := `{"resource":{"resourceType":"Practitioner","id":"p1"}}`
	for name, tc := range map[string]struct {
		entries  []string
		id       string // "": one of ours
		schedule string // "": a virtual one
		reason   scheduling.Reason
		none     bool
	}{
		"by a slot whose schedule nobody tells": {[]string{offerOf(`{"reference":"Slot/x"}`, "")}, "x", "", "", false},
		"by a slot that came along":             {[]string{offerOf(`{"reference":"Slot/x"}`, ""), `{"resource":{"resourceType":"Slot","id":"x","status":"free","schedule":{"reference":"Schedule/s1"}}}`}, "x", "s1", "", false},
		"by a contained slot, which has no id":  {[]string{offerOf(`{"reference":"#s"}`, `{"resourceType":"Slot","id":"s","status":"free","schedule":{"reference":"Schedule/s1"}}`)}, "", "s1", "", false},
		"without a slot":                        {[]string{offerOf("", "")}, "", "", "", false},
		"by two slots":                          {[]string{offerOf(`{"reference":"Slot/x"},{"reference":"Slot/y"}`, "")}, "", "", "", false},
		"a booked one is not on offer":          {[]string{strings.Replace(offerOf("", ""), `"proposed"`, `"booked"`, 1)}, "", "", "", true},
		"a status that nobody knows is counted": {[]string{strings.Replace(offerOf("", ""), `"proposed"`, `"maybe"`, 1)}, "", "", scheduling.UnknownStatus, true},
		"nobody takes part":                     {[]string{strings.Replace(offerOf("", ""), `"participant"`, `"x"`, 1)}, "", "", scheduling.NoActor, true},
		"a time that is none":                   {[]string{strings.Replace(offerOf("", ""), `2026-02-03T09:00:00Z`, `soon`, 1)}, "", "", scheduling.BadTime, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "$find") || !strings.Contains(r.URL.RawQuery, "2026-02-03T00") {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				_, _ = w.Write([]byte(`{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(append(tc.entries, schedule, person), ",") + `]}`))
			}), func(o *Options) { utc(o); o.Dialect, o.Quirks.NoPrefetch = Argonaut, true })
			got := fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 2, 3), To: scheduling.Date(2026, 2, 4)}})
			if tc.none {
				want := scheduling.Tally{}
				if tc.reason != "" {
					want[tc.reason] = 1
				}
				if got.Slots() != 0 || !maps.Equal(got.Unusable, want) {
					t.Errorf("%d slots, unusable %v", got.Slots(), got.Unusable)
				}
				return
			}
			if got.Slots() != 1 || got.Unusable.Total() != 0 {
				t.Fatalf("%d slots, unusable %v", got.Slots(), got.Unusable)
			}
			for key, window := range got.Windows {
				checkOffer(t, c, key, window[0], tc.id, tc.schedule)
			}
		})
	}
}

func checkOffer(t *testing.T, c *Client, key scheduling.WindowKey, slot scheduling.Slot, id, schedule string) {
	t.Helper()
	if id != "" && slot.ID != id || slot.Virtual != (id == "") || slot.Appointment != "tmp-1" || slot.ID == "" {
		t.Errorf("%+v", slot)
	}
	record := c.known.directory().Schedules[key.Schedule]
	if schedule != "" && key.Schedule != schedule || record == nil || record.Virtual != (schedule == "") {
		t.Errorf("filed under %s: %+v", key.Schedule, record)
	}
	if strings.Contains(slot.ID+key.Schedule, "secret") || len(record.Actors) > 2 {
		t.Errorf("the patient went along: %+v", record)
	}
	if !scheduling.ValidID(key.Schedule) || !scheduling.ValidID(slot.ID) {
		t.Errorf("ids %s, %s", key.Schedule, slot.ID)
	}
}

func TestAnOfferIsFiledUnderTheOneScheduleOfItsActors(t *testing.T) {
	t.Parallel()
	source, dir := vienna(t)
	actor := func(kind scheduling.Kind, id string) scheduling.Actor { return scheduling.Actor{Kind: kind, ID: id} }
	p1, l1 := actor(scheduling.KindPractitioner, "p1"), actor(scheduling.KindLocation, "l1")
	dir.Locations["l1"] = &scheduling.Location{ID: "l1"}
	dir.Schedules["s2"] = &scheduling.Schedule{ID: "s2", Actors: []scheduling.Actor{l1, p1}}
	dir.Schedules["s3"] = &scheduling.Schedule{ID: "s3", Actors: []scheduling.Actor{l1}}
	dir.Schedules["s4"] = &scheduling.Schedule{ID: "s4", Actors: []scheduling.Actor{l1}}
	filed, found := newByActors(source, dir), scheduling.NewDirectory()
	if got := filed.of([]scheduling.Actor{p1, l1}, found); got != "s2" {
		t.Errorf("p1 at l1: %s", got)
	}
	if got := filed.of([]scheduling.Actor{p1}, found); got != "s1" {
		t.Errorf("p1: %s", got)
	}
	virtual := filed.of([]scheduling.Actor{l1}, found)
	if found.Schedules[virtual] == nil || !found.Schedules[virtual].Virtual || virtual != filed.of([]scheduling.Actor{l1}, found) {
		t.Errorf("l1, which has two schedules: %s", virtual)
	}
	if got := filed.of([]scheduling.Actor{p1, {Display: "Napa Office"}}, found); got == "s1" || got == virtual {
		t.Errorf("p1 at a place without an id: %s", got)
	}
}

// Whatever order pages come in and wherever they are cut, the same slots are
// found, and every free record is either offered, counted or out of the scope.
func TestGatheringDoesNotDependOnWherePagesAreCut(t *testing.T) {
	t.Parallel()
	source, dir := vienna(t)
	day := scheduling.Date(2026, 10, 25)
	rapid.Check(t, func(t *rapid.T) {
		var records []*record
		for i := range rapid.IntRange(0, 30).Draw(t, "slots") {
			at := day.Start(source.Zone).Add(time.Duration(rapid.IntRange(-8, 110).Draw(t, "quarter")) * 15 * time.Minute)
			r := &record{slot: scheduling.Slot{
				ID: string(rune('a' + i)), Schedule: rapid.SampledFrom([]string{"s1", "s1", "s9", ""}).Draw(t, "schedule"),
				Status: rapid.SampledFrom([]scheduling.SlotStatus{"free", "free", "busy", "odd"}).Draw(t, "status"),
				Start:  at, End: at.Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "quarters")) * 15 * time.Minute),
			}}
			records = append(records, r)
		}
		cut := rapid.IntRange(0, len(records)).Draw(t, "cut")
		one, two := newHarvest(scheduling.KindSlot, nil, 100), newHarvest(scheduling.KindSlot, nil, 100)
		for i, r := range records {
			copied := *r
			if i < cut {
				one.keep(&copied)
			} else {
				two.keep(&copied)
			}
		}
		one.join(two)
		days := scheduling.Days{From: day, To: day + 1}
		windows, unusable := assemble(source, dir, days, one.records...)
		whole, unusable2 := assemble(source, dir, days, records...)
		offered, outside := 0, 0
		for key, window := range windows {
			offered += len(window)
			if !slices.EqualFunc(window, whole[key], func(a, b scheduling.Slot) bool { return a.ID == b.ID && a.Start.Equal(b.Start) }) {
				t.Fatalf("%v: %v and %v", key, window, whole[key])
			}
		}
		for _, r := range records {
			free := r.slot.Status == scheduling.SlotFree
			if r.slot.Status == "busy" || free && scheduling.DayOf(r.slot.Start, source.Zone) != day {
				outside++
			}
		}
		if offered+unusable.Total()+outside != len(records) || unusable.Total() != unusable2.Total() {
			t.Fatalf("%d records: %d offered, %v unusable, %d nothing for us", len(records), offered, unusable, outside)
		}
	})
}

func FuzzPageToSlots(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":`+slotJSON("a", 0)+`}]}`), true)
	f.Add([]byte(`{"resourceType":"Bundle","entry":[`+offerOf(`{"reference":"#s"}`, `{"resourceType":"Slot","id":"s","schedule":{"reference":"Schedule/s1"}}`)+`]}`), false)
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"fullUrl":"urn:x","resource":{"resourceType":"Schedule","id":"s1"}},{"resource":{"resourceType":"Slot","id":"a","status":"free","schedule":{"reference":"urn:x"},"start":"2026-10-25T02:30:00","end":"2026-10-25T02:45:00"}}]}`), true)
	f.Add([]byte(`<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Slot><id value="a"/><status value="free"/></Slot></resource></entry></Bundle>`), true)
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		f.Fatal(err)
	}
	codes, err := parseCodes([]byte(codesCSV))
	if err != nil {
		f.Fatal(err)
	}
	source := scheduling.Source{ID: "src", Zone: vienna}
	f.Fuzz(func(t *testing.T, data []byte, slots bool) {
		format := formatOf(&answer{body: data})
		page, err := fhir.ReadBundle(scheduling.STU3, format, data)
		if err != nil {
			return
		}
		kind := scheduling.KindSlot
		if !slots {
			kind = kindAppointment
		}
		h := newHarvest(kind, regexp.MustCompile(`(s\d)`), 1000)
		h.page(page)
		h.settleSchedules()
		_ = saysCut(page)
		filed := newByActors(source, h.found)
		for _, r := range h.records {
			if r.slot.Schedule == "" && len(r.actors) > 0 {
				r.slot.Schedule = filed.of(r.actors, h.found)
			}
		}
		scope := scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 1, 1), To: scheduling.Date(2027, 1, 1)}}
		a := newAssembler(source, scope, scheduling.NewResolver("src", h.found, vienna), codes)
		for key, window := range a.windows(h.records) {
			for _, slot := range window {
				if slot.Usable() != "" || !scope.Covers(key) || slot.Schedule != key.Schedule || slot.Status != scheduling.SlotFree || scheduling.DayOf(slot.Start, vienna) != key.Day {
					t.Errorf("%v: %+v", key, slot)
				}
			}
		}
	})
}
