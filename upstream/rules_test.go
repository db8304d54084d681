package upstream

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
)

func TestTheClinicsRulesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	var file sourcesFile
	err := config.Parse("a.yaml", []byte(goodSource+`    rules:
      - visit_type: ["http://snomed.info/sct|185389009", CHECKUP]
        minutes: 45
        gap: 5m
        every: 30m
        lead: 2h
        until: 30d
        patients: new
        ages: {from: 18, to: 64}
      - {patients: any, lead: 1d}
`), &file)
	if err != nil {
		t.Fatal(err)
	}
	want := scheduling.Rules{
		{
			VisitTypes: []scheduling.Token{{System: "http://snomed.info/sct", Code: "185389009", Scoped: true}, {Code: "CHECKUP"}},
			Minutes:    45, Gap: 5 * time.Minute, Every: 30 * time.Minute, Lead: 2 * time.Hour, Until: 30 * 24 * time.Hour,
			Patients: scheduling.NewPatients, Ages: scheduling.Ages{From: 18, To: 64},
		},
		{Lead: 24 * time.Hour},
	}
	if got := file.Sources[0].Source().Rules; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestWrongRulesAreRefusedWithTheLineAndWhatToDo(t *testing.T) {
	t.Parallel()
	for rules, want := range map[string]string{
		"[{minutes: -15}]":                                           "a.yaml:5: sources[0].rules[0].minutes: is -15; write 0 (one slot) to 1440",
		"[{minutes: 100000}]":                                        "sources[0].rules[0].minutes: is 100000",
		"[{minutes: half an hour}]":                                  "sources[0].rules[0].minutes",
		"[{minutes: 15, gap: -1m}]":                                  "sources[0].rules[0].gap: is -1m0s; write 0 to 4h0m0s",
		"[{minutes: 15, gap: 9h}]":                                   "sources[0].rules[0].gap: is 9h0m0s",
		"[{gap: 5m}]":                                                "sources[0].rules[0].gap: counts between slots of one appointment only; write minutes too",
		"[{every: 90s}]":                                             "sources[0].rules[0].every: is 1m30s; write whole minutes",
		"[{every: 2d}]":                                              "sources[0].rules[0].every: is 48h0m0s",
		"[{lead: -2h}]":                                              "sources[0].rules[0].lead: is -2h0m0s",
		"[{lead: 9000d}]":                                            "sources[0].rules[0].lead",
		"[{lead: 2}]":                                                "sources[0].rules[0].lead",
		"[{lead: 2d, until: 1d}]":                                    "nothing would ever be offered; write until above lead",
		"[{until: -1d}]":                                             "sources[0].rules[0].until",
		"[{patients: old}]":                                          `sources[0].rules[0].patients: is "old"; write any, new or known`,
		"[{ages: {from: -1}}]":                                       "sources[0].rules[0].ages.from: is -1; write whole years",
		"[{ages: {to: 900}}]":                                        "sources[0].rules[0].ages.to: is 900",
		"[{ages: {from: 18, to: 17}}]":                               "sources[0].rules[0].ages.to: is below from",
		"[{ages: 18}]":                                               "sources[0].rules[0].ages",
		"[{visit_type: ['|']}]":                                      "is no visit type; write system|code",
		"[{visit_type: ['http://snomed.info/sct|']}]":                "is no visit type; write system|code",
		"[{visit_type: [a, b]}, {visit_type: [b]}]":                  "sources[0].rules[1].visit_type: the rule is for what rules[0] is for, and for the same patients",
		"[{visit_type: [a]}, {visit_type: ['s|a']}]":                 "sources[0].rules[1].visit_type",
		"[{lead: 1h}, {visit_type: [a]}, {lead: 2h}]":                "sources[0].rules[2].visit_type: the rule is for what rules[0] is for",
		"[{ages: {from: 18}}, {ages: {to: 18}}]":                     "sources[0].rules[1].visit_type",
		"[{visit_type: [a], patients: new}, {visit_type: [a]}]":      "sources[0].rules[1].visit_type",
		"[{visit_types: [a]}]":                                       `did you mean "visit_type"?`,
		"{minutes: 15}":                                              "sources[0].rules",
		"[{visit_type: [a]}, {visit_type: ['s|b'], minutes: -1}]":    "sources[0].rules[1].minutes: is -1",
		"[{visit_type: [a], patients: any}, {visit_type: ['s |a']}]": "sources[0].rules[1].visit_type",
	} {
		err := config.Parse("a.yaml", []byte(goodSource+"    rules: "+rules+"\n"), &sourcesFile{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", rules, err, want)
		}
	}
}

func TestRulesOfOneVisitTypeMayBeForDifferentPatients(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{
		"[{visit_type: [a], patients: new, minutes: 45}, {visit_type: [a], patients: known}]",
		"[{ages: {to: 17}, minutes: 30}, {ages: {from: 18, to: 64}}, {ages: {from: 65}, minutes: 30}]",
		"[{visit_type: ['s|a']}, {visit_type: ['t|a']}, {}]",
		"[]",
	} {
		if err := config.Parse("a.yaml", []byte(goodSource+"    rules: "+rules+"\n"), &sourcesFile{}); err != nil {
			t.Errorf("%s: %v", rules, err)
		}
	}
}
