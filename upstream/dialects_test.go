package upstream

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// noon is a Tuesday; the practices of several zones are open on it.
var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// practice are options of a small simulated EHR that stands still.
func practice(bend func(*ehrsim.Options)) ehrsim.Options {
	o := ehrsim.Options{Seed: 7, Practitioners: 6, Days: 10, Now: func() time.Time { return noon }}
	if bend != nil {
		bend(&o)
	}
	return o
}

// theRealOnes are the ids of the slots of the simulator's own book that the
// scope covers and that $find and $prefetch may offer.
func theRealOnes(srv *ehrsim.Server, c *Client, scope scheduling.Scope, begun bool) []string {
	resolver := scheduling.NewResolver("src", c.known.directory(), c.source.Zone)
	var ids []string
	for _, slot := range srv.Slots("free") {
		schedule := strings.TrimPrefix(slot.Schedule, "Schedule/")
		setting, _ := resolver.Setting(schedule)
		if setting == nil || !begun && !slot.Start.After(noon) {
			continue
		}
		if scope.Covers(scheduling.WindowKey{Schedule: schedule, Day: scheduling.DayOf(slot.Start, setting.Zone)}) {
			ids = append(ids, slot.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func idsOf(f scheduling.Fetched) []string {
	var ids []string
	for _, window := range f.Windows {
		for _, slot := range window {
			ids = append(ids, slot.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestEveryDialectReadsWhatTheEHRHas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sim  func(*ehrsim.Options)
		bend func(*Options)
	}{
		"argonaut R4":                     {nil, nil},
		"argonaut STU3":                   {func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 }, nil},
		"argonaut STU3 in XML":            {func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 }, func(o *Options) { o.Quirks.Accept = "xml" }},
		"argonaut R4 in XML":              {nil, func(o *Options) { o.Quirks.Accept = "xml" }},
		"argonaut without prefetch":       {func(o *ehrsim.Options) { o.NoPrefetch = true }, nil},
		"argonaut without prefetch, 501":  {func(o *ehrsim.Options) { o.NoPrefetch, o.NoPrefetchStatus = true, 501 }, nil},
		"argonaut without prefetch, 400":  {func(o *ehrsim.Options) { o.NoPrefetch, o.NoPrefetchStatus = true, 400 }, nil},
		"argonaut without prefetch, 405":  {func(o *ehrsim.Options) { o.NoPrefetch, o.NoPrefetchStatus = true, 405 }, nil},
		"argonaut by find, as configured": {nil, func(o *Options) { o.Quirks.NoPrefetch = true }},
		"argonaut by find in XML, STU3":   {func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 }, func(o *Options) { o.Quirks.NoPrefetch, o.Quirks.Accept = true, "xml" }},
		"argonaut three days a call":      {func(o *ehrsim.Options) { o.MaxWindow = 100 * time.Hour }, func(o *Options) { o.Quirks.MaxDays = 3 }},
		"argonaut dates only":             {nil, func(o *Options) { o.Quirks.DateOnly = true }},
		"slots by token":                  {slotsSim(nil), nil},
		"slots STU3":                      {slotsSim(func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 }), nil},
		"slots in XML":                    {slotsSim(nil), func(o *Options) { o.Quirks.Accept = "xml" }},
		"slots by offset links":           {slotsSim(func(o *ehrsim.Options) { o.Paging = ehrsim.OffsetPaging }), nil},
		"slots without next links":        {slotsSim(func(o *ehrsim.Options) { o.NoNext = true }), nil},
		"slots with relative links":       {slotsSim(func(o *ehrsim.Options) { o.RelativeNext = true }), nil},
		"slots with repeated ids":         {slotsSim(func(o *ehrsim.Options) { o.RepeatIDs = true }), nil},
		"slots with an empty last page":   {slotsSim(func(o *ehrsim.Options) { o.EmptyLastPage = true }), nil},
		"slots with a smaller page cap":   {slotsSim(func(o *ehrsim.Options) { o.MaxCount = 20; o.NoNext = true }), nil},
		"slots a day a call":              {slotsSim(func(o *ehrsim.Options) { o.MaxWindow = 48 * time.Hour }), func(o *Options) { o.Quirks.MaxDays = 1 }},
		"slots dates only":                {slotsSim(nil), func(o *Options) { o.Quirks.DateOnly = true }},
		"slots without status":            {slotsSim(nil), func(o *Options) { o.Quirks.StatusSearch = new(bool) }},
		"slots without includes":          {slotsSim(nil), func(o *Options) { o.Quirks.Include = []string{} }},
		"slots with further includes":     {slotsSim(nil), func(o *Options) { o.Quirks.Include = []string{"Slot:schedule", "iterate:Schedule:actor"} }},
		"slots of roles":                  {slotsSim(func(o *ehrsim.Options) { o.RoleActors = true }), nil},
		"slots of places without zone":    {slotsSim(func(o *ehrsim.Options) { o.NoTimezone, o.Zone = true, "Europe/Vienna" }), nil},
		"slots behind a token":            {slotsSim(func(o *ehrsim.Options) { o.RequireBearer = "s3cret" }), bearer("s3cret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, base := sim(t, practice(tc.sim))
			c := client(t, base, func(o *Options) {
				o.Dialect, o.Timezone = Argonaut, configZone(t, "Europe/Vienna")
				if strings.HasPrefix(name, "slots") {
					o.Dialect, o.Quirks.PageSize = Slots, 40
				}
				if strings.Contains(name, "STU3") {
					o.FHIR = scheduling.STU3
				}
				if tc.bend != nil {
					tc.bend(o)
				}
			})
			scope := scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 2, 3), To: scheduling.Date(2026, 2, 9)}}
			got := fetch(t, c, scope)
			want := theRealOnes(srv, c, scope, c.opts.Dialect == Slots)
			if !got.Complete || got.Unusable.Total() != 0 {
				t.Errorf("complete %v (%s), unusable %v", got.Complete, got.Cut, got.Unusable)
			}
			if ids := idsOf(got); len(want) < 100 || !slices.Equal(ids, want) {
				t.Errorf("%d slots, want %d", len(ids), len(want))
			}
		})
	}
}

func slotsSim(bend func(*ehrsim.Options)) func(*ehrsim.Options) {
	return func(o *ehrsim.Options) {
		o.Dialect = ehrsim.Slots
		if bend != nil {
			bend(o)
		}
	}
}

func bearer(token string) func(*Options) {
	return func(o *Options) { o.Auth.Kind, o.Auth.Token = "bearer", secret(token) }
}

func TestASourceWithoutPrefetchIsAskedForItOnce(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(func(o *ehrsim.Options) { o.NoPrefetch = true }))
	c := client(t, base, func(o *Options) { o.Dialect = Argonaut })
	if c.Way() != "prefetch" {
		t.Errorf("before: %s", c.Way())
	}
	for range 3 {
		fetch(t, c, ahead(noon, 3))
	}
	counts := srv.Counters().ByPath
	if counts["GET /Slot/$prefetch"] != 1 || counts["GET /Appointment/$find"] < 9 || c.Way() != "find" {
		t.Errorf("%v, way %s", counts, c.Way())
	}
}

func TestOffersWithoutASlotHaveIdsThatStay(t *testing.T) {
	t.Parallel()
	_, base := sim(t, practice(func(o *ehrsim.Options) { o.FindNoSlot = true }))
	find := func(o *Options) { o.Dialect, o.Quirks.NoPrefetch = Argonaut, true }
	first := fetch(t, client(t, base, find), ahead(noon, 5))
	second := fetch(t, client(t, base, find), ahead(noon, 5))
	if ids := idsOf(first); len(ids) < 50 || !slices.Equal(ids, idsOf(second)) || len(slices.Compact(ids)) != first.Slots() {
		t.Errorf("%d and %d slots", first.Slots(), second.Slots())
	}
	for _, window := range first.Windows {
		for _, slot := range window {
			if !slot.Virtual || !strings.HasPrefix(slot.Appointment, "offer-") || slot.Schedule == "" {
				t.Fatalf("%+v", slot)
			}
		}
	}
}

func TestAScopeOfSomeSchedulesHoldsThoseAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		dialect string
		param   string
		bend    func(*Options)
	}{
		"slots":    {Slots, "schedule", nil},
		"argonaut": {Argonaut, "practitioner", nil},
		"find":     {Argonaut, "practitioner", func(o *Options) { o.Quirks.NoPrefetch = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, base := sim(t, practice(func(o *ehrsim.Options) { o.Dialect = ehrsim.Dialect(tc.dialect) }))
			c := client(t, base, func(o *Options) {
				o.Dialect = tc.dialect
				if tc.bend != nil {
					tc.bend(o)
				}
			})
			scope := ahead(noon, 5)
			all := fetch(t, c, scope)
			for key := range all.Windows {
				scope.Schedules = []string{key.Schedule}
				break
			}
			srv.ClearRequests()
			some := fetch(t, c, scope)
			if want := theRealOnes(srv, c, scope, tc.dialect == Slots); !slices.Equal(idsOf(some), want) || len(want) == 0 {
				t.Errorf("%d slots, want %d", some.Slots(), len(want))
			}
			for _, r := range srv.Requests(0) {
				if r.Path != "/Schedule" && !strings.Contains(r.Query, tc.param+"=") {
					t.Errorf("%s %s asks for everything", r.Path, r.Query)
				}
			}
		})
	}
}

func TestALongQueryIsPostedAndARefusedGetToo(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(func(o *ehrsim.Options) { o.Practitioners, o.Days = 90, 3 }))
	c := client(t, base, func(o *Options) { o.Dialect = Argonaut })
	scope := ahead(noon, 3)
	all := fetch(t, c, scope)
	for id := range c.known.directory().Schedules {
		scope.Schedules = append(scope.Schedules, id)
	}
	srv.ClearRequests()
	again := fetch(t, c, scope)
	if n := srv.Counters().ByPath["POST /Slot/$prefetch"]; n != 1 || again.Slots() != all.Slots() || !again.Complete {
		t.Errorf("%v, %d slots, then %d", srv.Counters().ByPath, all.Slots(), again.Slots())
	}

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "$") && r.Method == http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		srv.ServeHTTP(w, r)
	})
	c = client(t, serve(t, handler), func(o *Options) { o.Dialect = Argonaut })
	posted := fetch(t, c, ahead(noon, 3))
	if posted.Slots() != all.Slots() || c.Way() != "prefetch" {
		t.Errorf("%d slots by POST, want %d, way %s", posted.Slots(), all.Slots(), c.Way())
	}
}

func TestAPeriodThatIsTooLongForTheSourceIsCutNotAnError(t *testing.T) {
	t.Parallel()
	_, base := sim(t, practice(slotsSim(func(o *ehrsim.Options) { o.MaxWindow = 72 * time.Hour })))
	c := client(t, base, nil)
	if got := fetch(t, c, ahead(noon, 20)); got.Complete || got.Cut == "" {
		t.Errorf("complete %v", got.Complete)
	}
	one := scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 2, 4), To: scheduling.Date(2026, 2, 5)}}
	if got := fetch(t, c, one); !got.Complete || got.Slots() == 0 {
		t.Errorf("one day: complete %v, %s", got.Complete, got.Cut)
	}
}
