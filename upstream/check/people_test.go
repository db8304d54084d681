package check

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

func TestHowPeopleAndInsuranceComeThereIsARow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sim  func(*ehrsim.Options)
		bend func(*upstream.Options)
		want string
		why  string
	}{
		"argonaut": {nil, nil, "register works, coverage works with quirk", "after; it cannot be searched"},
		"argonaut that searches": {
			func(o *ehrsim.Options) { o.CoverageSearch = true }, nil, "register works, coverage works", "post",
		},
		"slots": {slotsSim, slotsHere(nil), "register works, coverage works", "if-none-exist"},
		"slots without conditions": {
			func(o *ehrsim.Options) { slotsSim(o); o.NoConditional = true }, slotsHere(nil), "register works with quirk, coverage works", "search-then-post",
		},
		"by search": {slotsSim, slotsHere(func(o *upstream.Options) { o.Register.Register = "search-then-post" }), "register works, coverage works", "search-then-post"},
		"by match":  {slotsSim, slotsHere(func(o *upstream.Options) { o.Register.Register = "match" }), "register works, coverage works", "match"},
		"by match, STU3": {
			func(o *ehrsim.Options) { slotsSim(o); o.FHIR = ehrsim.STU3 },
			slotsHere(func(o *upstream.Options) { o.Register.Register, o.FHIR = "match", "stu3" }), "register works, coverage works", "match",
		},
		"by match that is not there": {
			func(o *ehrsim.Options) { slotsSim(o); o.NoMatch = true },
			slotsHere(func(o *upstream.Options) { o.Register.Register = "match" }), "register works with quirk, coverage works", "Patient/$match",
		},
		"nobody": {slotsSim, slotsHere(func(o *upstream.Options) { o.Register.Register, o.Coverage = "none", "none" }), "register works, coverage works", "by configuration"},
		"readonly": {
			slotsSim, slotsHere(func(o *upstream.Options) { o.Readonly = true }), "register works, coverage works", "by configuration none is sent",
		},
		"no insurance":                     {func(o *ehrsim.Options) { slotsSim(o); o.NoCoverage = true }, slotsHere(nil), "register works, coverage works with quirk", "none is sent"},
		"no insurance, and yet configured": {func(o *ehrsim.Options) { slotsSim(o); o.NoCoverage = true }, slotsHere(func(o *upstream.Options) { o.Coverage = "first" }), "register works, coverage does not", "set coverage: none"},
		"a search that fails": {
			func(o *ehrsim.Options) {
				slotsSim(o)
				o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultHTML, Path: "/Patient"}}
			}, slotsHere(nil), "register works with quirk, coverage works", "source-nonsense",
		},
		"nothing is told": {
			func(o *ehrsim.Options) {
				slotsSim(o)
				o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultStatus, Status: 404, Path: "/metadata", Skip: 1}}
			}, slotsHere(nil), "register works with quirk, coverage works with quirk", "does not tell",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rows(t, tc.sim, tc.bend)
			var parts []Row
			for _, row := range got {
				if row.Name == "register" || row.Name == "coverage" {
					parts = append(parts, row)
				}
			}
			if inShort(parts) != tc.want || !strings.Contains(fmt.Sprint(parts), tc.why) || !Usable(parts) {
				t.Errorf("%s\nwant %s, %q in\n%+v", inShort(parts), tc.want, tc.why, parts)
			}
		})
	}
}

func slotsSim(o *ehrsim.Options) { o.Dialect = ehrsim.Slots }

func slotsHere(bend func(*upstream.Options)) func(*upstream.Options) {
	return func(o *upstream.Options) {
		o.Dialect = upstream.Slots
		if bend != nil {
			bend(o)
		}
	}
}

// TestNobodyIsMadeToFindOutHowPeopleAreMade looks at what a source was sent, with
// --write as well.
func TestNobodyIsMadeToFindOutHowPeopleAreMade(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"post", "if-none-exist", "search-then-post", "match"} {
		for _, dialect := range []ehrsim.Dialect{ehrsim.Argonaut, ehrsim.Slots} {
			_, srv := tries(t, ehrsim.Options{Dialect: dialect, KeepBodies: true}, func(o *upstream.Options) { o.Register.Register = way }, true)
			for _, r := range srv.Requests(0) {
				about := strings.HasPrefix(r.Path, "/Patient") || strings.HasPrefix(r.Path, "/Coverage")
				search := r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/_search") && r.Query == "" && strings.Contains(r.Body, "check-")
				if about && !search {
					t.Errorf("%s %s: %s %s %s", dialect, way, r.Method, r.Path, r.Body)
				}
			}
			if n, cards := len(srv.Patients()), len(srv.Coverages()); n != 6 || cards != 0 {
				t.Errorf("%s %s: %d patients, %d coverages", dialect, way, n, cards)
			}
		}
	}
}
