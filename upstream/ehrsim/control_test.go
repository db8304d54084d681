package ehrsim

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTheControlAPIChangesTheBookAsFHIRShowsIt(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots})
	free := w.srv.Slots("free")
	id := free[len(free)/2].ID
	version := func() string { return digString(w.ok("/Slot/"+id), "meta", "versionId") }
	if version() != "1" {
		t.Fatal("not fresh")
	}
	w.control(http.MethodPatch, "slots/"+id, `{"status":"busy-tentative"}`)
	if got := w.ok("/Slot/" + id); digString(got, "status") != "busy-tentative" || version() != "2" {
		t.Errorf("status: %v", got)
	}
	w.control(http.MethodPatch, "slots/"+id, `{"start":"2026-02-03T16:00:00Z"}`)
	if got := w.ok("/Slot/" + id); digString(got, "start") != "2026-02-03T16:00:00.000Z" || version() != "3" {
		t.Errorf("moved: %v", got)
	}
	if got := w.ok("/Slot?status=busy-tentative&start=2026-02-03T16:00:00Z&_count=1000"); !strings.Contains(fmt.Sprint(got), id) {
		t.Errorf("a search does not find it at its new time")
	}
	w.control(http.MethodDelete, "slots/"+id, "")
	if a := w.get("/Slot/" + id); a.StatusCode != 404 {
		t.Errorf("deleted: %d", a.StatusCode)
	}
	got := w.control(http.MethodPost, "slots", `[{"schedule":"sched-301-201","start":"2026-02-04T18:00:00Z","minutes":30},{"id":"mine","schedule":"Schedule/sched-301-201","start":"2026-02-04T19:00:00Z","end":"2026-02-04T19:15:00Z","status":"busy"}]`)
	added := digString(got, "slots", 0, "id")
	if r := w.ok("/Slot/" + added); digString(r, "end") != "2026-02-04T18:30:00.000Z" || digString(r, "status") != "free" || dig(r, "specialty") == nil {
		t.Errorf("added: %v", r)
	}
	if r := w.ok("/Slot/mine"); digString(r, "status") != "busy" {
		t.Errorf("added: %v", r)
	}
}

func TestADeletedBookComesBackAsItWasAndToldOfWhom(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	before := w.srv.Slots("free")
	if s := before[0]; s.Type == "" || s.Practitioner != "Practitioner/prac-"+strings.Split(s.Schedule, "-")[1] || !strings.HasPrefix(s.Location, "Location/") {
		t.Errorf("%+v", s)
	}
	gone, _ := w.control(http.MethodDelete, "slots", "")["deleted"].([]any)
	if len(gone) < len(before) || len(w.srv.Slots()) != 0 || total(w.ok("/Slot/$prefetch?start=2026-02-04&end=2026-02-05")) != 0 {
		t.Fatalf("%d of %d are gone", len(gone), len(before))
	}
	for _, s := range before {
		if _, err := w.srv.AddSlot(s); err != nil {
			t.Fatal(err)
		}
	}
	if after := w.srv.Slots("free"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("other slots came back: %v, %v", after[0], before[0])
	}
	if err := w.srv.SetSchedulePractitioner(strings.TrimPrefix(before[0].Schedule, "Schedule/"), "prac-303"); err != nil || w.srv.Slots("free")[0].Practitioner != "Practitioner/prac-303" {
		t.Errorf("%v: %+v", err, w.srv.Slots("free")[0])
	}
}

func TestFillTakesEveryOpenSlotOfOneLocalDay(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Zone: "Pacific/Honolulu"})
	on := func(day string) int { return total(w.ok("/Slot/$prefetch?start=" + day + "&end=" + day)) }
	before, other := on("2026-02-04"), on("2026-02-05")
	got := w.control(http.MethodPost, "fill", `{"day":"2026-02-04"}`)
	if n, _ := got["filled"].(float64); int(n) != before || before == 0 || on("2026-02-04") != 0 || on("2026-02-05") != other {
		t.Errorf("filled %v of %d; next day %d of %d", got, before, on("2026-02-05"), other)
	}
}

func TestFaultsAreSetChangedAndTakenAwayByTheControlAPI(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	w.control(http.MethodPut, "faults", `{"faults":[{"id":"a","kind":"status"},{"kind":"wrong-type"}]}`)
	if a := w.get("/Schedule"); a.StatusCode != 500 {
		t.Errorf("PUT: %d", a.StatusCode)
	}
	w.control(http.MethodPatch, "faults/a", `{"kind":"status","status":503}`)
	if a := w.get("/Schedule"); a.StatusCode != 503 {
		t.Errorf("PATCH: %d", a.StatusCode)
	}
	if got := w.control(http.MethodDelete, "faults/a", ""); len(got["faults"].([]any)) != 1 {
		t.Errorf("DELETE one: %v", got)
	}
	if got := w.control(http.MethodDelete, "faults", ""); len(got["faults"].([]any)) != 0 {
		t.Errorf("DELETE all: %v", got)
	}
	if a := w.get("/Schedule"); a.StatusCode != 200 {
		t.Errorf("after all: %d", a.StatusCode)
	}
}

func TestTheHistoryTellsWhatWasAskedAndTheCountersSumItUp(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	w.get("/Schedule?active=true", "Authorization", "Bearer canary", "Accept", "application/fhir+xml")
	if _, err := w.do(t.Context(), http.MethodPost, "/Slot/$prefetch", "start=2026-02-03", "Content-Type", "application/x-www-form-urlencoded"); err != nil {
		t.Fatal(err)
	}
	w.get("/Medication")
	got := w.control(http.MethodGet, "requests", "")
	first, second := dig(got, "requests", 0), dig(got, "requests", 1)
	if digString(first, "path") != "/Schedule" || digString(first, "query") != "active=true" || dig(first, "authorization") != true || digString(first, "accept") != "application/fhir+xml" {
		t.Errorf("%v", first)
	}
	if strings.Contains(fmt.Sprint(got), "canary") {
		t.Error("the token is in the history")
	}
	if digString(second, "params", "start", 0) != "2026-02-03" || dig(second, "status") != 200.0 {
		t.Errorf("%v", second)
	}
	if later := w.control(http.MethodGet, "requests?since=2", ""); digString(later, "requests", 0, "path") != "/Medication" || len(later["requests"].([]any)) != 1 {
		t.Errorf("since: %v", later)
	}
	c := w.srv.Counters()
	if c.Requests != 3 || c.ByPath["POST /Slot/$prefetch"] != 1 || c.ByStatus[404] != 1 || c.MaxInFlight != 1 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
	w.control(http.MethodDelete, "requests", "")
	if c := w.srv.Counters(); c.Requests != 0 {
		t.Errorf("cleared: %+v", c)
	}
}

func TestResetGoesBackToTheBeginning(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Faults: []Fault{{ID: "first", Kind: FaultWrongTotal}}})
	before := w.srv.Slots()
	if err := w.srv.DeleteSlot(before[0].ID); err != nil {
		t.Fatal(err)
	}
	w.srv.FillDay("", "2026-02-03")
	w.control(http.MethodPut, "faults", `[{"kind":"hang"}]`)
	w.control(http.MethodPost, "reset", "")
	after := w.srv.Slots()
	if fmt.Sprint(after) != fmt.Sprint(before) || len(w.srv.Faults()) != 1 || w.srv.Faults()[0].ID != "first" || w.srv.Counters().Requests != 0 {
		t.Errorf("%d slots of %d, faults %v", len(after), len(before), w.srv.Faults())
	}
}

func TestTheControlAPIRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	for name, tc := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no such thing":         {"GET", "nonsense", "", 404},
		"no such slot":          {"PATCH", "slots/none", `{"status":"busy"}`, 404},
		"delete no slot":        {"DELETE", "slots/none", "", 404},
		"no such schedule":      {"POST", "slots", `{"schedule":"none","start":"2026-02-03T10:00:00Z","minutes":5}`, 404},
		"a status that is none": {"PATCH", "slots/" + w.srv.Slots()[0].ID, `{"status":"gone"}`, 400},
		"a slot without times":  {"POST", "slots", `{"schedule":"sched-301-201"}`, 400},
		"a member too many":     {"PATCH", "slots/" + w.srv.Slots()[0].ID, `{"state":"busy"}`, 400},
		"a fault of no kind":    {"POST", "faults", `{"kind":"none"}`, 400},
		"a fault not there":     {"DELETE", "faults/none", "", 404},
		"half a JSON":           {"PUT", "faults", `[{"ki`, 400},
		"a day that is none":    {"POST", "fill", `{"day":"Monday"}`, 400},
		"reset by GET":          {"GET", "reset", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := w.do(t.Context(), tc.method, controlPath+tc.path, tc.body)
			if err != nil || a.StatusCode != tc.want || digString(a.json(t), "error") == "" {
				t.Errorf("%d %s %v", a.StatusCode, a.text, err)
			}
		})
	}
}

func TestReadersAndTheControlAPIDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return monday.Add(time.Duration(time.Now().UnixNano()) % time.Hour) }
	w := start(t, Options{Dialect: Slots, Now: now, TimeScale: 100_000, Days: 5, PageSize: 100})
	ids := w.srv.Slots()
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 6 {
				w.get(fmt.Sprintf("/Slot?status=free&_include=Slot:schedule&_offset=%d", i*10))
				w.get("/Schedule?_count=5")
				id := ids[(worker*6+i)*7%len(ids)].ID
				_ = w.srv.SetSlotStatus(id, statuses[i%4]) // may be gone by now
				_ = w.srv.DeleteSlot(ids[(worker+i*4)%len(ids)].ID)
				if _, err := w.srv.AddSlot(Slot{Schedule: "sched-301-201", Start: monday, End: monday.Add(time.Minute)}); err != nil {
					t.Error(err)
				}
				if _, err := w.srv.AddFaults(Fault{ID: "x", Kind: FaultWrongTotal, Count: 1}); err != nil {
					t.Error(err)
				}
				w.srv.Requests(0)
			}
			if err := w.srv.Reset(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestTheEndOfTheContextEndsTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv, err := New(Options{Practitioners: 1, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Start(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Start(ctx, "127.0.0.1:0"); err == nil {
		t.Error("started twice")
	}
	cancel()
	<-srv.served
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

func TestInfoTellsWhoIsSimulatedAndWhen(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Name: "Napa Valley Health", FHIR: STU3, Practitioners: 2, Days: 3})
	got := w.control(http.MethodGet, "", "")
	if got["name"] != "Napa Valley Health" || got["fhir"] != "stu3" || got["base"] != w.base || got["now"] != "2026-02-02T09:00:00Z" || dig(got, "free") != float64(len(w.srv.Slots("free"))) {
		t.Errorf("%v", got)
	}
}

func TestTheBookIsListedByStatusAndSchedule(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	sl := w.srv.Slots("free")[0]
	got, _ := w.control(http.MethodGet, "slots?status=free&schedule="+strings.TrimPrefix(sl.Schedule, "Schedule/"), "")["slots"].([]any)
	for _, one := range got {
		if digString(one, "status") != "free" || digString(one, "schedule") != sl.Schedule {
			t.Fatalf("%v", one)
		}
	}
	if len(got) == 0 || digString(got[0], "id") != sl.ID || digString(w.control(http.MethodGet, "slots/"+sl.ID, ""), "id") != sl.ID {
		t.Errorf("%d slots", len(got))
	}
}
