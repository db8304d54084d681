package ehrsim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// walk follows next links from a path and gives the ids of every page.
func (w *wire) walk(path string) (pages [][]string, totals []int) {
	w.t.Helper()
	at, err := url.Parse(w.base + path)
	if err != nil {
		w.t.Fatal(err)
	}
	for range 200 {
		b := w.ok(at.String())
		var ids []string
		for _, r := range resources(b, "match") {
			ids = append(ids, digString(r, "id"))
		}
		pages, totals = append(pages, ids), append(totals, total(b))
		next := link(b, "next")
		if next == "" {
			return pages, totals
		}
		if at, err = at.Parse(next); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("200 pages and no end")
	return nil, nil
}

func TestEveryFormOfPagingReachesEverySlotOnce(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"token":             {},
		"offset":            {Paging: OffsetPaging},
		"relative token":    {RelativeNext: true},
		"relative offset":   {RelativeNext: true, Paging: OffsetPaging},
		"repeated ids":      {RepeatIDs: true},
		"an empty last":     {EmptyLastPage: true},
		"empty and offset":  {EmptyLastPage: true, Paging: OffsetPaging},
		"STU3":              {FHIR: STU3},
		"all of it at once": {RelativeNext: true, RepeatIDs: true, EmptyLastPage: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Dialect, o.PageSize, o.Days = Slots, 37, 5
			w := start(t, o)
			pages, totals := w.walk("/Slot?status=free&_include=Slot:schedule")
			want := len(w.srv.Slots("free"))
			ids := slices.Concat(pages...)
			repeats := len(ids) - len(slices.Compact(slices.Sorted(slices.Values(ids))))
			if len(ids)-repeats != want || len(pages) < 3 {
				t.Errorf("%d ids on %d pages, want %d", len(ids)-repeats, len(pages), want)
			}
			if o.RepeatIDs != (repeats > 0) {
				t.Errorf("%d ids came twice", repeats)
			}
			if last := pages[len(pages)-1]; o.EmptyLastPage != (len(last) == 0) {
				t.Errorf("the last page has %d entries", len(last))
			}
			for _, n := range totals {
				if n != want {
					t.Errorf("totals %v, want %d", totals, want)
				}
			}
		})
	}
}

func TestAServerWithoutNextLinksIsPagedByOffset(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, NoNext: true, PageSize: 40, Days: 5})
	seen := map[string]bool{}
	for offset := 0; ; offset += 40 {
		b := w.ok(fmt.Sprintf("/Slot?status=free&_offset=%d", offset))
		if link(b, "next") != "" {
			t.Fatal("a next link")
		}
		page := resources(b, "match")
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			seen[digString(r, "id")] = true
		}
	}
	if want := len(w.srv.Slots("free")); len(seen) != want {
		t.Errorf("%d slots, want %d", len(seen), want)
	}
}

func TestAPageTokenKeepsItsResultWhileTheBookChanges(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, PageSize: 50, Days: 5})
	first := w.ok("/Slot?status=free")
	before := total(first)
	for _, sl := range w.srv.Slots("free")[:120] {
		if err := w.srv.DeleteSlot(sl.ID); err != nil {
			t.Fatal(err)
		}
	}
	if second := w.ok(link(first, "next")); total(second) != before || len(resources(second, "match")) != 50 {
		t.Errorf("total %d, before %d", total(second), before)
	}
	if again := w.ok("/Slot?status=free"); total(again) != before-120 {
		t.Errorf("a new search: %d, want %d", total(again), before-120)
	}
}

func TestOldPageTokensExpire(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, PageSize: 1, Days: 3})
	next := link(w.ok("/Schedule"), "next")
	for range maxResults {
		w.ok("/Schedule")
	}
	if a := w.get(next); a.StatusCode != 410 {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

func TestCountIsCappedAndZeroGivesTheTotalAlone(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, MaxCount: 10})
	if b := w.ok("/Slot?_count=500"); len(resources(b, "match")) != 10 || !strings.Contains(link(b, "next"), "_count=10") {
		t.Errorf("%d entries, next %s", len(resources(b, "match")), link(b, "next"))
	}
	for _, query := range []string{"_count=0", "_summary=count"} {
		if b := w.ok("/Slot?" + query); total(b) < 1000 || b["entry"] != nil || link(b, "next") != "" {
			t.Errorf("%s: %v", query, b)
		}
	}
}

func TestOperationsComeInPagesAndPagesGoWrong(t *testing.T) {
	t.Parallel()
	w := start(t, Options{PageOperations: true, PageSize: 5})
	const first = "/Slot/$prefetch?start=2026-02-04&end=2026-02-05"
	walk := func(fault FaultKind, most int) (ids map[string]int, pages int, back bool) {
		t.Helper()
		if _, err := w.srv.SetFaults(); err != nil {
			t.Fatal(err)
		}
		if fault != "" {
			if _, err := w.srv.SetFaults(Fault{Kind: fault}); err != nil {
				t.Fatal(err)
			}
		}
		ids, seen := map[string]int{}, map[string]bool{}
		for at := first; at != "" && pages < most; pages++ {
			page := w.ok(at)
			entries, _ := page["entry"].([]any)
			for _, e := range entries {
				ids[digString(e, "resource", "id")]++
			}
			back = seen[at]
			seen[at] = true
			if at = link(page, "next"); at != "" {
				at = "/" + strings.TrimPrefix(at, w.base)
			}
		}
		return ids, pages, back
	}
	all, pages, _ := walk("", 1000)
	if n := total(w.ok(first)); len(all) != n || pages != (n+4)/5 || n < 20 {
		t.Fatalf("%d of %d on %d pages", len(all), n, pages)
	}
	if some, less, _ := walk(FaultSkipPage, 1000); len(some) >= len(all) || less >= pages {
		t.Errorf("skip-page: %d on %d pages", len(some), less)
	}
	if some, same, _ := walk(FaultRepeatPage, 1000); len(some) >= len(all) || same != pages {
		t.Errorf("repeat-page: %d on %d pages", len(some), same)
	}
	if _, _, back := walk(FaultBackNext, 5); !back {
		t.Error("back-next leads nowhere twice")
	}
}
