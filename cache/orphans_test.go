package cache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

func orphan(id, native string, bend ...func(*scheduling.Orphan)) scheduling.Orphan {
	o := scheduling.Orphan{ID: id, Source: source, Native: native, Principal: "alice", Patient: "p1", Since: noon}
	for _, b := range bend {
		b(&o)
	}
	return o
}

func TestOrphansAreKeptUntilTheyHaveAPlace(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		o := open(t, server.URL()).Orphans(vault.Ephemeral())
		ids := func(of scheduling.SourceID) string {
			t.Helper()
			list, err := o.Orphans(t.Context(), of)
			must(t, err)
			var ids []string
			for _, one := range list {
				ids = append(ids, one.ID+"="+one.Native)
			}
			return strings.Join(ids, " ")
		}
		must(t, o.SaveOrphan(t.Context(), orphan("b", "", func(o *scheduling.Orphan) { o.Since = noon.Add(time.Minute) })))
		must(t, o.SaveOrphan(t.Context(), orphan("a", "")))
		must(t, o.SaveOrphan(t.Context(), orphan("a", "n1")))
		must(t, o.SaveOrphan(t.Context(), orphan("c", "n3", func(o *scheduling.Orphan) { o.Source = "elsewhere" })))
		if got := ids(source); got != "a=n1 b=" {
			t.Errorf("kept: %s", got)
		}
		if had, err := o.OrphanSources(t.Context()); err != nil || len(had) != 2 || had[0] != "elsewhere" && had[1] != "elsewhere" {
			t.Errorf("sources that had some: %v %v", had, err)
		}
		list, err := o.Orphans(t.Context(), source)
		must(t, err)
		want := orphan("a", "n1")
		want.Version = 2
		if diff := cmp.Diff(want, list[0]); diff != "" {
			t.Error(diff)
		}
		stale := list[0]
		stale.Version, stale.Looks = 1, 5
		must(t, o.SaveOrphan(t.Context(), stale))
		must(t, o.DropOrphan(t.Context(), source, "a", 1))
		must(t, o.DropOrphan(t.Context(), source, "nobody", 0))
		must(t, o.DropOrphansOf(t.Context(), source, []string{"n9"}))
		must(t, o.DropOrphansOf(t.Context(), source, nil))
		if list, err = o.Orphans(t.Context(), source); err != nil || len(list) != 2 || list[0].Looks != 0 {
			t.Errorf("a stale change was made: %v %v", list, err)
		}
		must(t, o.DropOrphansOf(t.Context(), source, []string{"n9", "n1"}))
		if got := ids(source); got != "b=" {
			t.Errorf("placed: %s", got)
		}
		must(t, o.DropOrphan(t.Context(), source, "b", 1))
		if got := ids(source) + ids("elsewhere"); got != "c=n3" {
			t.Errorf("dropped: %s", got)
		}
		left, err := client(t, server.URL()).Keys(t.Context(), "*{s:"+string(source)+"}:orphan*").Result()
		if err != nil || len(left) != 0 {
			t.Errorf("left: %v %v", left, err)
		}
	})
}

func TestLaw10AnOrphanIsSealedAndOutlivesTheChangeOfKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, c := open(t, server.URL()), client(t, server.URL())
	before, after := s.Orphans(vaultOf(t, "a")), s.Orphans(vaultOf(t, "b", "a"))
	must(t, before.SaveOrphan(t.Context(), orphan("x", "native-CANARY")))
	for _, key := range c.Keys(t.Context(), "*orphan*").Val() {
		if text := key + strings.Join(c.HVals(t.Context(), key).Val(), "") + strings.Join(c.HKeys(t.Context(), key).Val(), ""); strings.Contains(text, "CANARY") || strings.Contains(text, "alice") {
			t.Errorf("in clear: %s", text)
		}
	}
	must(t, after.DropOrphansOf(t.Context(), source, []string{"native-CANARY"}))
	if list, err := after.Orphans(t.Context(), source); err != nil || len(list) != 0 {
		t.Errorf("not found by its old digest: %v %v", list, err)
	}
	must(t, before.SaveOrphan(t.Context(), orphan("x", "native-CANARY")))
	if list, err := s.Orphans(vaultOf(t, "b")).Orphans(t.Context(), source); err != nil || len(list) != 1 || list[0].ID != "x" || !list[0].Blind {
		t.Errorf("one that cannot be read is hidden: %v %v", list, err)
	}
}
