package upstream

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestTheDirectoryIsReadWholeInPages(t *testing.T) {
	t.Parallel()
	_, base := sim(t, practice(slotsSim(func(o *ehrsim.Options) { o.Practitioners = 30 })))
	c := client(t, base, func(o *Options) { o.Quirks.PageSize = 7 })
	dir, tally, err := c.Directory(t.Context())
	if err != nil || tally.Total() != 0 {
		t.Fatalf("%v %v", tally, err)
	}
	if len(dir.Practitioners) != 30 || len(dir.Schedules) < 30 || len(dir.Roles) != len(dir.Schedules) || len(dir.Locations) == 0 || len(dir.Organizations) == 0 || len(dir.Services) == 0 {
		t.Errorf("%d practitioners, %d schedules, %d roles, %d locations", len(dir.Practitioners), len(dir.Schedules), len(dir.Roles), len(dir.Locations))
	}
	resolver := scheduling.NewResolver("src", dir, nil)
	for id := range dir.Schedules {
		if setting, reason := resolver.Setting(id); reason != "" || setting.Role == nil || setting.Organization == nil {
			t.Errorf("schedule %s: %q %+v", id, reason, setting)
		}
	}
}

// bySearch lets only Slot be searched, as some EHRs do; the rest is read by id.
func bySearch(srv http.Handler, refuse int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/fhir"), "/"), "/")
		if len(parts) == 1 && parts[0] != "Slot" && parts[0] != "" && parts[0] != "metadata" {
			w.WriteHeader(refuse)
			return
		}
		srv.ServeHTTP(w, r)
	}
}

func TestKindsThatCannotBeListedAreReadOneByOneAndRemembered(t *testing.T) {
	t.Parallel()
	for _, refuse := range []int{400, 403, 404, 501} {
		srv, _ := sim(t, practice(slotsSim(nil)))
		c := client(t, serve(t, bySearch(srv, refuse)), func(o *Options) { o.Quirks.Include = []string{} })
		if refuse == 403 {
			if _, err := c.Fetch(t.Context(), ahead(noon, 4)); scheduling.CodeOf(err) != scheduling.SourceLogin {
				t.Errorf("all refused for our login: %v", err)
			}
			continue
		}
		got := fetch(t, c, ahead(noon, 4))
		if !got.Complete || got.Slots() < 100 || got.Unusable.Total() != 0 {
			t.Fatalf("%d: %d slots, complete %v (%s), unusable %v", refuse, got.Slots(), got.Complete, got.Cut, got.Unusable)
		}
		if len(got.Found.Schedules) < 6 || len(got.Found.Practitioners) < 6 || len(got.Found.Locations) == 0 {
			t.Errorf("found %d schedules, %d practitioners", len(got.Found.Schedules), len(got.Found.Practitioners))
		}
		srv.ClearRequests()
		again := fetch(t, c, ahead(noon, 4))
		if n := len(srv.Requests(0)); again.Slots() != got.Slots() || n > 2 {
			t.Errorf("again %d slots, with %d requests", again.Slots(), n)
		}
		dir, _, err := c.Directory(t.Context())
		if err != nil || len(dir.Schedules) != len(got.Found.Schedules) {
			t.Errorf("the directory read anew forgets what was learnt: %d schedules, %v", len(dir.Schedules), err)
		}
	}
}

func TestMoreSchedulesThanMayBeReadAtOnceMakeTheAnswerCutNotEmpty(t *testing.T) {
	t.Parallel()
	srv, _ := sim(t, practice(slotsSim(func(o *ehrsim.Options) { o.Practitioners, o.Days = 80, 2 })))
	c := client(t, serve(t, bySearch(srv, 404)), func(o *Options) { o.Quirks.Include = []string{} })
	first := fetch(t, c, ahead(noon, 3))
	if first.Complete || first.Unusable[scheduling.UnknownSchedule] == 0 {
		t.Fatalf("complete %v, unusable %v", first.Complete, first.Unusable)
	}
	for tries := 0; !first.Complete && tries < 10; tries++ {
		first = fetch(t, c, ahead(noon, 3))
	}
	if !first.Complete || first.Unusable.Total() != 0 {
		t.Errorf("in the end: complete %v (%s), unusable %v", first.Complete, first.Cut, first.Unusable)
	}
}

func TestANewScheduleIsFoundThroughItsSlots(t *testing.T) {
	t.Parallel()
	for _, include := range [][]string{{"Slot:schedule"}, {}} {
		var late atomic.Bool
		handler := tiny(func(w http.ResponseWriter, r *http.Request) {
			slots := []string{slotJSON("a", 0)}
			if late.Load() {
				slots = append(slots, strings.Replace(slotJSON("b", 1), "s1", "s2", 1))
			}
			if late.Load() && r.URL.Query().Has("_include") {
				slots = append(slots, `{"resourceType":"Schedule","id":"s2","actor":[{"reference":"Practitioner/p2"}]}`)
			}
			page(w, 1+len(slots)/2, "", slots...)
		})
		c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/Schedule/s2"):
				_, _ = w.Write([]byte(`{"resourceType":"Schedule","id":"s2","actor":[{"reference":"Practitioner/p2"}]}`))
			case strings.HasSuffix(r.URL.Path, "/Practitioner/p2"):
				_, _ = w.Write([]byte(`{"resourceType":"Practitioner","id":"p2","name":[{"family":"Lee"}]}`))
			default:
				handler(w, r)
			}
		}), func(o *Options) { utc(o); o.Quirks.Include, o.Quirks.Total = include, TotalNone })
		fetch(t, c, ahead(noon, 2))
		late.Store(true)
		got := fetch(t, c, ahead(noon, 2))
		if got.Slots() != 2 || got.Found.Practitioners["p2"] == nil || got.Found.Schedules["s2"] == nil {
			t.Errorf("include %v: %d slots, unusable %v, found %+v", include, got.Slots(), got.Unusable, got.Found)
		}
	}
}

func TestManyFetchesAtOnceReadTheDirectoryOnce(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(nil))
	c := client(t, base, func(o *Options) { o.Dialect = Argonaut })
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { fetch(t, c, ahead(noon, 2)) })
	}
	wg.Wait()
	if n := srv.Counters().ByPath["GET /Practitioner"]; n != 1 {
		t.Errorf("read %d times", n)
	}
}

func TestRecordsOfTheDirectoryThatCannotBeUsedAreCounted(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/Practitioner") {
			page(w, 3, "", `{"resourceType":"Practitioner","id":"p1"}`, `{"resourceType":"Practitioner"}`, `{"resourceType":"Practitioner","id":{}}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}), nil)
	dir, tally, err := c.Directory(t.Context())
	if err != nil || len(dir.Practitioners) != 1 || tally[scheduling.NoID] != 1 || tally[scheduling.BadResource] != 1 {
		t.Errorf("%d practitioners, tally %v, %v", len(dir.Practitioners), tally, err)
	}
}

func TestOnePageMoreIsGuessedOnlyWhereNextLinksAreUnknown(t *testing.T) {
	t.Parallel()
	for name, links := range map[string]bool{"with next links": true, "without": false} {
		var guesses atomic.Int32
		c := client(t, serve(t, tiny(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			if query.Has("_offset") {
				guesses.Add(1)
			}
			if links && !query.Has("page") {
				page(w, -1, "Slot?page=2", slotJSON("a", 0))
				return
			}
			page(w, -1, "", slotJSON("b", 1))
		})), utc)
		for range 3 {
			if got := fetch(t, c, ahead(noon, 2)); !got.Complete {
				t.Errorf("%s: %s", name, got.Cut)
			}
		}
		if n := guesses.Load(); links && n != 0 || !links && n != 3 {
			t.Errorf("%s: %d guesses", name, n)
		}
	}
}
