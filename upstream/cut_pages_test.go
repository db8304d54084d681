package upstream

import (
	"slices"
	"testing"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// paged are the dialects whose answers come in pages, each in pages of seven.
func paged() map[string]func(*ehrsim.Options, *Options) {
	speaks := func(dialect ehrsim.Dialect, release ehrsim.FHIR, find bool) func(*ehrsim.Options, *Options) {
		return func(sim *ehrsim.Options, o *Options) {
			sim.Dialect, sim.FHIR, sim.NoPrefetch = dialect, release, find
			o.Dialect, o.FHIR = string(dialect), scheduling.Release(release)
		}
	}
	return map[string]func(*ehrsim.Options, *Options){
		"slots, R4":                speaks(ehrsim.Slots, ehrsim.R4, false),
		"slots, STU3":              speaks(ehrsim.Slots, ehrsim.STU3, false),
		"argonaut $prefetch, R4":   speaks(ehrsim.Argonaut, ehrsim.R4, false),
		"argonaut $prefetch, STU3": speaks(ehrsim.Argonaut, ehrsim.STU3, false),
		"argonaut $find, R4":       speaks(ehrsim.Argonaut, ehrsim.R4, true),
		"argonaut $find, STU3":     speaks(ehrsim.Argonaut, ehrsim.STU3, true),
		"ihe":                      speaks(ehrsim.IHE, ehrsim.R4, false),
		"epic":                     speaks(ehrsim.Epic, ehrsim.STU3, false),
	}
}

// A page that is missing, late, twice there or cut, a total that is not reached:
// in no dialect is such an answer complete, and when it is over all is as it was.
func TestLaw8NoDialectTakesACutAnswerForAWholeOne(t *testing.T) {
	t.Parallel()
	const later = "/?_" // the address of next links
	faults := map[string]ehrsim.Fault{
		"a page is missing":                 {Kind: ehrsim.FaultSkipPage},
		"a later page is gone":              {Kind: ehrsim.FaultStatus, Status: 410, Path: later},
		"a later page is not found":         {Kind: ehrsim.FaultStatus, Status: 404, Path: later},
		"500 on the second page":            {Kind: ehrsim.FaultStatus, Status: 500, Path: later},
		"the last pages are refused":        {Kind: ehrsim.FaultStatus, Status: 400, Path: later, Skip: 1},
		"the connection is cut in a page":   {Kind: ehrsim.FaultCutJSON, Path: later},
		"the connection is cut before one":  {Kind: ehrsim.FaultReset, Path: later},
		"a page of HTML":                    {Kind: ehrsim.FaultHTML, Path: later},
		"a page without a body":             {Kind: ehrsim.FaultEmptyBody, Path: later},
		"a page comes twice":                {Kind: ehrsim.FaultRepeatPage},
		"next jumps back to the first page": {Kind: ehrsim.FaultBackNext},
		"pages in a circle":                 {Kind: ehrsim.FaultCirclePages},
		"half the entries of each page":     {Kind: ehrsim.FaultCutAnswer},
		"the total is not reached":          {Kind: ehrsim.FaultWrongTotal},
	}
	for dialect, bend := range paged() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			o, sim := Options{}, ehrsim.Options{}
			bend(&sim, &o)
			srv, base := simOf(t, sim)
			c := client(t, base, func(with *Options) {
				with.Dialect, with.FHIR = o.Dialect, o.FHIR
				with.Quirks.PageSize, with.Limits.Retries, with.Limits.BreakerFailures = -1, new(int), 1000
			})
			scope := ahead(noon, 3)
			whole := fetch(t, c, scope)
			if !whole.Complete || whole.Slots() < 40 {
				t.Fatalf("without a fault: %d slots, %s", whole.Slots(), whole.Cut)
			}
			for name, fault := range faults {
				if _, err := srv.SetFaults(fault); err != nil {
					t.Fatal(err)
				}
				if got, err := c.Fetch(t.Context(), scope); err == nil && got.Complete {
					t.Errorf("%s: complete, with %d of %d slots", name, got.Slots(), whole.Slots())
				}
				if _, err := srv.SetFaults(); err != nil {
					t.Fatal(err)
				}
				if again := fetch(t, c, scope); !again.Complete || !slices.Equal(idsOf(again), idsOf(whole)) {
					t.Errorf("after %s: complete %v (%s), %d of %d slots", name, again.Complete, again.Cut, again.Slots(), whole.Slots())
				}
			}
		})
	}
}

func simOf(t *testing.T, o ehrsim.Options) (*ehrsim.Server, string) {
	t.Helper()
	return sim(t, practice(func(to *ehrsim.Options) {
		to.Dialect, to.FHIR, to.NoPrefetch, to.PageOperations, to.PageSize = o.Dialect, o.FHIR, o.NoPrefetch, true, 7
	}))
}

// Where $find has pages, as many offers as were asked for are a page, and not all
// that the source would give.
func TestLaw8APageThatIsFullIsNoCutWhereThereAreMore(t *testing.T) {
	t.Parallel()
	for pages, want := range map[bool]bool{true: true, false: false} {
		_, base := sim(t, practice(func(o *ehrsim.Options) { o.NoPrefetch, o.PageOperations, o.MaxCount = true, pages, 9 }))
		c := client(t, base, func(o *Options) { o.Dialect, o.Quirks.PageSize = Argonaut, 9 })
		if got := fetch(t, c, ahead(noon, 3)); got.Complete != want || want && got.Slots() < 40 {
			t.Errorf("pages %v: complete %v (%s), %d slots", pages, got.Complete, got.Cut, got.Slots())
		}
	}
}

// A file that is cut, or not there, says nothing of the slots either.
func TestLaw8APublisherWhoseFilesAreNotWholeLosesNothing(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(func(o *ehrsim.Options) { o.Dialect = ehrsim.Links }))
	c := client(t, base, func(o *Options) {
		o.Dialect, o.FHIR, o.Quirks.FileEvery = Links, scheduling.R4, config.Duration(1)
		o.Limits.Retries, o.Limits.BreakerFailures = new(int), 1000
	})
	whole := fetch(t, c, ahead(noon, 3))
	if !whole.Complete || whole.Slots() < 40 {
		t.Fatalf("without a fault: %d slots, %s", whole.Slots(), whole.Cut)
	}
	if err := srv.DeleteSlot(srv.Slots("free")[30].ID); err != nil { // else the file has not changed
		t.Fatal(err)
	}
	for name, fault := range map[string]ehrsim.Fault{
		"half a file":         {Kind: ehrsim.FaultCutJSON, Path: "/files/Slot"},
		"no file":             {Kind: ehrsim.FaultStatus, Status: 404, Path: "/files/Slot"},
		"500":                 {Kind: ehrsim.FaultStatus, Path: "/files/Slot"},
		"no schedules":        {Kind: ehrsim.FaultStatus, Status: 410, Path: "/files/Schedule"},
		"a file cut before":   {Kind: ehrsim.FaultReset, Path: "/files/Slot"},
		"a page of HTML":      {Kind: ehrsim.FaultHTML, Path: "/files/Slot"},
		"no manifest":         {Kind: ehrsim.FaultStatus, Status: 404, Path: "/$bulk-publish"},
		"HTML for a manifest": {Kind: ehrsim.FaultHTML, Path: "/$bulk-publish"},
	} {
		if _, err := srv.SetFaults(fault); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Fetch(t.Context(), ahead(noon, 3)); err == nil && got.Complete {
			t.Errorf("%s: complete, with %d of %d slots", name, got.Slots(), whole.Slots())
		}
	}
	if _, err := srv.SetFaults(); err != nil {
		t.Fatal(err)
	}
	if again := fetch(t, c, ahead(noon, 3)); !again.Complete || again.Slots() < whole.Slots()-1 {
		t.Errorf("afterwards: complete %v (%s), %d of %d slots", again.Complete, again.Cut, again.Slots(), whole.Slots())
	}
}

func TestAFileThatEndsInALineIsNotTheWholeFile(t *testing.T) {
	t.Parallel()
	line := slotJSON("a", 0)
	for body, cut := range map[string]bool{
		line: false, line + "\n": false, line + "\r\n\r\n": false, "": false, "\n": false, line + "\nno resource\n": false,
		line[:20]: true, line + "\n" + line[:len(line)-1]: true, "<html>": true, "\xEF\xBB\xBF" + line + "\n  ": false,
	} {
		if endsInALine([]byte(body)) != cut {
			t.Errorf("%q: want %v", body, cut)
		}
	}
}
