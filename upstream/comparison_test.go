package upstream

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// house is a simulated EHR and a client that compares what it answers.
type house struct {
	t     *testing.T
	srv   *ehrsim.Server
	c     *Client
	scope scheduling.Scope
	token string // what the store's windows are of
	reg   *prometheus.Registry

	mu    sync.Mutex
	clock time.Time
}

func newHouse(t *testing.T, dialect string, bend func(*ehrsim.Options), options ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, clock: noon, reg: prometheus.NewRegistry()}
	srv, base := sim(t, practice(func(o *ehrsim.Options) {
		o.Dialect = ehrsim.Dialect(dialect)
		if bend != nil {
			bend(o)
		}
	}))
	h.srv = srv
	o := Options{ID: "src", Base: base, Dialect: dialect, Timezone: configZone(t, "Europe/Vienna")}
	quick(&o)
	o.Quirks.PageSize = 40
	for _, change := range options {
		change(&o)
	}
	h.c = registered(t, o, Deps{Registerer: h.reg, Now: h.now})
	h.scope = scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 2, 3), To: scheduling.Date(2026, 2, 6)}}
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

// look asks as the loop does, and keeps what it is to be compared with.
func (h *house) look() scheduling.Fetched {
	h.t.Helper()
	return h.lookOn(scheduling.Basis{Token: h.token})
}

func (h *house) lookOn(basis scheduling.Basis) scheduling.Fetched {
	h.t.Helper()
	got, err := h.c.FetchSince(h.t.Context(), h.scope, basis)
	if err != nil {
		h.t.Fatal(err)
	}
	if got.Complete && !got.Unchanged {
		h.token = got.Token
	}
	return got
}

// settled looks until the directory is known and links to pages count as steady.
func (h *house) settled() scheduling.Fetched {
	h.t.Helper()
	h.look()
	h.later(steadyFor)
	got := h.look()
	h.later(steadyFor)
	return got
}

// truth is what an EHR that is asked without any memory says.
func (h *house) truth() []string {
	h.t.Helper()
	got, err := h.c.Fetch(h.t.Context(), h.scope)
	if err != nil || !got.Complete {
		h.t.Fatal(err, got.Cut)
	}
	return idsOf(got)
}

// pages are those of slots: how many came, and how many of them had not changed.
func (h *house) pages() (asked, byWord, byHash float64) {
	h.t.Helper()
	all, of := "slotgate_upstream_pages_total", "slotgate_upstream_pages_unchanged_total"
	return h.count(all, "") - h.count(all, "directory"), h.count(of, "304"), h.count(of, "hash")
}

// count sums a metric, of the series that have the label; "" for all.
func (h *house) count(name, label string) (sum float64) {
	h.t.Helper()
	families, err := h.reg.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			has := label == ""
			for _, l := range m.GetLabel() {
				has = has || l.GetValue() == label
			}
			if f.GetName() == name && has {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// some is a free slot of the scope that the source shows.
func (h *house) some(n int) string {
	h.t.Helper()
	ids := h.truth()
	if len(ids) < 3 {
		h.t.Fatal("too few slots")
	}
	return ids[n%len(ids)]
}

func TestWhatHasNotChangedIsKnownAgainInEveryDialect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		dialect string
		sim     func(*ehrsim.Options)
		bend    func(*Options)
	}{
		"argonaut by $prefetch":       {Argonaut, nil, nil},
		"argonaut by $find":           {Argonaut, func(o *ehrsim.Options) { o.NoPrefetch = true }, func(o *Options) { o.Quirks.PageSize = 500 }},
		"argonaut in pages":           {Argonaut, func(o *ehrsim.Options) { o.PageOperations = true }, nil},
		"argonaut STU3":               {Argonaut, func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 }, func(o *Options) { o.FHIR = scheduling.STU3 }},
		"slots by token":              {Slots, nil, nil},
		"slots by offset":             {Slots, func(o *ehrsim.Options) { o.Paging = ehrsim.OffsetPaging }, nil},
		"slots without next":          {Slots, func(o *ehrsim.Options) { o.NoNext = true }, nil},
		"slots with relative links":   {Slots, func(o *ehrsim.Options) { o.RelativeNext = true }, nil},
		"slots with repeated ids":     {Slots, func(o *ehrsim.Options) { o.RepeatIDs = true }, nil},
		"slots with an empty last":    {Slots, func(o *ehrsim.Options) { o.EmptyLastPage = true }, nil},
		"slots a day a call":          {Slots, nil, func(o *Options) { o.Quirks.MaxDays = 1 }},
		"slots with ETags":            {Slots, func(o *ehrsim.Options) { o.Validators = ehrsim.ETags }, nil},
		"slots, ETags from the first": {Slots, func(o *ehrsim.Options) { o.Validators = ehrsim.WeakETags }, func(o *Options) { o.Conditional.Use = "etag" }},
		"ihe":                         {IHE, nil, nil},
		"epic":                        {Epic, nil, nil},
		"links":                       {Links, nil, func(o *Options) { o.Quirks.FileEvery = config.Duration(time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tc.dialect, tc.sim, func(o *Options) {
				if tc.bend != nil {
					tc.bend(o)
				}
			})
			first := h.settled()
			if first.Token == "" || !first.Complete {
				t.Fatalf("complete %v (%s), token %q", first.Complete, first.Cut, first.Token)
			}
			before := h.truth()
			again := h.look()
			if !again.Unchanged || again.Token != h.token || again.Held != len(before) || again.Slots() != len(before) || len(again.Windows) > 0 {
				t.Errorf("unchanged %v, token as before %v, held %d of %d", again.Unchanged, again.Token == h.token, again.Held, len(before))
			}
			if again.Valid.IsZero() {
				t.Error("it tells no time of its own")
			}
			slots := h.srv.Slots("free")
			inside := slices.IndexFunc(slots, func(s ehrsim.Slot) bool {
				return s.Start.After(noon.Add(20*time.Hour)) && s.Start.Before(noon.Add(40*time.Hour))
			})
			if err := h.srv.DeleteSlot(slots[inside].ID); err != nil {
				t.Fatal(err)
			}
			h.later(2 * time.Minute)
			got := h.look()
			if got.Unchanged || !got.Complete || got.Slots() != len(before)-1 {
				t.Errorf("a slot went: unchanged %v, complete %v (%s), %d slots, want %d", got.Unchanged, got.Complete, got.Cut, got.Slots(), len(before)-1)
			}
			h.later(2 * time.Minute)
			if again = h.look(); !again.Unchanged || again.Held != len(before)-1 {
				t.Errorf("after that: unchanged %v, held %d", again.Unchanged, again.Held)
			}
		})
	}
}

// Law 8: wherever the page is on which a slot went, its neighbours hide nothing.
func TestLaw8AnUnchangedPageHidesNoDeletion(t *testing.T) {
	t.Parallel()
	for _, validators := range []ehrsim.Validators{ehrsim.NoValidators, ehrsim.ETags, ehrsim.WeakETags, ehrsim.Modified} {
		for _, paging := range []ehrsim.Paging{ehrsim.TokenPaging, ehrsim.OffsetPaging} {
			t.Run(cmp.Or(string(validators), "none")+" "+string(paging), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, Slots, func(o *ehrsim.Options) { o.Validators, o.Paging = validators, paging }, func(o *Options) {
					o.Conditional.Modified, o.Conditional.Use, o.Quirks.PageSize = true, "etag", 15
				})
				h.settled()
				for i := range 12 {
					ids := h.truth()
					gone := ids[i*len(ids)/12]
					if err := h.srv.DeleteSlot(gone); err != nil {
						t.Fatal(err)
					}
					h.later(steadyFor)
					got := h.look()
					if got.Unchanged || !got.Complete || !slices.Equal(idsOf(got), h.truth()) {
						t.Fatalf("%d: unchanged %v, complete %v (%s), %d slots, want %d", i, got.Unchanged, got.Complete, got.Cut, got.Slots(), len(ids)-1)
					}
					h.later(steadyFor)
					if got = h.look(); !got.Unchanged {
						t.Fatalf("%d: nothing changed, and yet it was read", i)
					}
				}
			})
		}
	}
}

func TestLaw8WhatIsCutAfterA304RemovesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Slots, func(o *ehrsim.Options) { o.Validators, o.Paging = ehrsim.ETags, ehrsim.OffsetPaging }, func(o *Options) {
		o.Conditional.Use, o.Quirks.PageSize = "etag", 15
	})
	h.settled()
	if _, err := h.srv.AddFaults(ehrsim.Fault{Kind: ehrsim.FaultCutAnswer, Path: "/Slot", On: "search", Skip: 1}); err != nil {
		t.Fatal(err)
	}
	if got := h.look(); got.Complete || got.Unchanged || got.Token != "" {
		t.Errorf("complete %v, unchanged %v, token %q", got.Complete, got.Unchanged, got.Token)
	}
	h.clear()
	if got := h.look(); !got.Complete || got.Slots() != len(h.truth()) {
		t.Errorf("complete %v (%s), %d slots", got.Complete, got.Cut, got.Slots())
	}
}

func TestASourceWhoseETagNeverChangesIsNotBelieved(t *testing.T) {
	t.Parallel()
	lies := func(o *ehrsim.Options) { o.Validators, o.Paging = ehrsim.ETags, ehrsim.OffsetPaging }
	fault := ehrsim.Fault{Kind: ehrsim.FaultOldTag}
	t.Run("who never was seen to change one is not asked by it", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, Slots, lies)
		h.srv.AddFaults(fault) //nolint:errcheck // it is one
		h.settled()
		h.look()
		if _, byWord, byHash := h.pages(); byWord != 0 || byHash == 0 {
			t.Errorf("%v by 304, %v by hash", byWord, byHash)
		}
		if err := h.srv.DeleteSlot(h.some(1)); err != nil {
			t.Fatal(err)
		}
		if got := h.look(); got.Unchanged || !slices.Equal(idsOf(got), h.truth()) {
			t.Errorf("unchanged %v", got.Unchanged)
		}
		if h.c.recall.word != broken || h.count("slotgate_upstream_validators_broken", "") != 1 {
			t.Error("the lie was not noticed")
		}
	})
	t.Run("who is believed is found out by the next look at the whole", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, Slots, lies, func(o *Options) { o.Conditional.Use = "etag" })
		h.settled()
		h.srv.AddFaults(fault) //nolint:errcheck // it is one
		gone := h.some(1)
		if err := h.srv.DeleteSlot(gone); err != nil {
			t.Fatal(err)
		}
		if got := h.look(); !got.Unchanged || got.Proved {
			t.Fatalf("unchanged %v, proved %v: the source lies, and is believed", got.Unchanged, got.Proved)
		}
		if got := h.lookOn(scheduling.Basis{Token: h.token, Proof: true}); got.Unchanged || slices.Contains(idsOf(got), gone) {
			t.Error("after a claim its word is not enough")
		}
		h.later(time.Hour)
		h.look()
		if err := h.srv.DeleteSlot(h.some(2)); err != nil {
			t.Fatal(err)
		}
		if got := h.look(); got.Unchanged || !slices.Equal(idsOf(got), h.truth()) {
			t.Error("it was found out, and is believed again")
		}
	})
	t.Run("after an hour at the latest", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, Slots, lies, func(o *Options) { o.Conditional.Use = "etag" })
		h.settled()
		h.srv.AddFaults(fault) //nolint:errcheck // it is one
		if err := h.srv.DeleteSlot(h.some(1)); err != nil {
			t.Fatal(err)
		}
		if got := h.look(); !got.Unchanged {
			t.Fatal("the source lies, and is believed")
		}
		h.later(time.Hour)
		if got := h.look(); got.Unchanged || !slices.Equal(idsOf(got), h.truth()) || h.c.recall.word != broken {
			t.Errorf("unchanged %v, word %v", got.Unchanged, h.c.recall.word)
		}
	})
}

func TestA304IsTakenOnlyForWhatWasAsked(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]ehrsim.FaultKind{"with the ETag of something else": ehrsim.FaultOther304, "unasked": ehrsim.FaultUnasked304} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, Slots, func(o *ehrsim.Options) { o.Validators, o.Paging = ehrsim.ETags, ehrsim.OffsetPaging }, func(o *Options) {
				o.Conditional.Use = "etag"
			})
			h.settled()
			want := h.truth()
			if kind == ehrsim.FaultUnasked304 {
				h.c.recall.word = broken // we ask without conditions
			}
			h.srv.AddFaults(ehrsim.Fault{Kind: kind}) //nolint:errcheck // it is one
			got, err := h.c.FetchSince(t.Context(), h.scope, scheduling.Basis{Token: h.token})
			if err == nil && kind == ehrsim.FaultUnasked304 {
				t.Errorf("unchanged %v, complete %v", got.Unchanged, got.Complete)
			}
			if kind == ehrsim.FaultOther304 && (err != nil || got.Unchanged || !slices.Equal(idsOf(got), want)) {
				t.Errorf("%v, unchanged %v, %d slots", err, got.Unchanged, got.Slots())
			}
			h.clear()
			if got := h.look(); !got.Complete || got.Slots() != len(want) {
				t.Errorf("%d slots after it", got.Slots())
			}
		})
	}
}

func TestA304CostsNoBody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Slots, func(o *ehrsim.Options) { o.Validators, o.Paging = ehrsim.ETags, ehrsim.OffsetPaging })
	h.settled()
	if err := h.srv.DeleteSlot(h.some(1)); err != nil { // it is seen to change its ETags
		t.Fatal(err)
	}
	h.settled()
	_, before, _ := h.pages()
	got := h.look()
	asked, after, _ := h.pages()
	if told := h.c.Pages(); told["etags"] != "proved" || told["unchangedByWord"] != int64(after) || told["asked"] != int64(asked) {
		t.Errorf("it is told as %v", told)
	}
	if !got.Unchanged || got.Proved || after-before < 3 || asked < after {
		t.Errorf("unchanged %v, proved %v, %v pages by 304 of %v", got.Unchanged, got.Proved, after-before, asked)
	}
	for _, r := range h.srv.Requests(0) {
		if r.Status == 304 && !strings.Contains(r.Path, "Slot") {
			t.Errorf("304 of %s", r.Path)
		}
	}
}

// Many servers name later pages by a copy of the answer that they belong to.
func TestPagesOfACopyAreNotSkippedByTheSourcesWord(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Slots, func(o *ehrsim.Options) { o.Validators = ehrsim.ETags }, func(o *Options) { o.Conditional.Use = "etag" })
	h.settled()
	ids := h.truth()
	if err := h.srv.DeleteSlot(ids[len(ids)-1]); err != nil {
		t.Fatal(err)
	}
	if got := h.look(); got.Unchanged || !slices.Equal(idsOf(got), h.truth()) {
		t.Errorf("unchanged %v, %d slots of %d", got.Unchanged, got.Slots(), len(ids)-1)
	}
}

func TestWhatStandsElsewhereIsNotTakenForTheAnswer(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(h *house) scheduling.Basis{
		"the store holds another answer": func(*house) scheduling.Basis { return scheduling.Basis{Token: "another"} },
		"the store holds none":           func(*house) scheduling.Basis { return scheduling.Basis{} },
		"the directory was read again": func(h *house) scheduling.Basis {
			if _, _, err := h.c.Directory(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
			return scheduling.Basis{Token: h.token}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, Slots, nil)
			h.settled()
			if got := h.lookOn(spoil(h)); got.Unchanged || got.Token == "" || got.Slots() != len(h.truth()) {
				t.Errorf("unchanged %v, %d slots", got.Unchanged, got.Slots())
			}
		})
	}
}

func TestWhatCannotBeUsedIsLookedAtAgainAfterAnHour(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Slots, nil)
	h.srv.AddFaults(ehrsim.Fault{Kind: ehrsim.FaultDangling, Every: 7}) //nolint:errcheck // it is one
	first := h.settled()
	again := h.look()
	if !again.Unchanged || again.Unusable.Total() == 0 || again.Unusable.Total() != first.Unusable.Total() {
		t.Errorf("unchanged %v, unusable %v, before %v", again.Unchanged, again.Unusable, first.Unusable)
	}
	h.later(absentFor)
	if h.look().Unchanged {
		t.Error("what its slots refer to may be there by now")
	}
}

func TestTooMuchIsNotRemembered(t *testing.T) {
	t.Parallel()
	t.Run("more pages than the memory has", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, Slots, nil, func(o *Options) { o.Conditional.Pages = 2 })
		if got := h.settled(); got.Token != "" || h.look().Unchanged {
			t.Errorf("token %q", got.Token)
		}
	})
	t.Run("more bytes than are held", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, Slots, nil, func(o *Options) { o.Conditional.Held = 1024 })
		h.settled()
		if !h.look().Unchanged {
			t.Error("nothing has to be held for that")
		}
		ids := h.truth()
		if err := h.srv.DeleteSlot(ids[len(ids)-1]); err != nil {
			t.Fatal(err)
		}
		if got := h.look(); got.Unchanged || !slices.Equal(idsOf(got), h.truth()) {
			t.Errorf("unchanged %v, %d slots", got.Unchanged, got.Slots())
		}
	})
	t.Run("nothing at all, as configured", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, Slots, nil, func(o *Options) { o.Conditional.Use = "none" })
		if got := h.settled(); got.Token != "" || h.look().Unchanged {
			t.Errorf("token %q", got.Token)
		}
	})
}

func (h *house) clear() {
	h.t.Helper()
	if _, err := h.srv.SetFaults(); err != nil {
		h.t.Fatal(err)
	}
}
