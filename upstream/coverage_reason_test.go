package upstream

import (
	"strings"
	"testing"

	"slotgate/fhir/model"
)

func TestAReasonIsToldAgainInWordsOfAListOnly(t *testing.T) {
	t.Parallel()
	sent := &model.Coverage{
		SubscriberID: "DZW9200000000", Identifier: []model.Identifier{{Value: "policy-77"}},
		Subscriber: &model.Reference{Display: "Active Canary"},
	}
	for text, want := range map[string]string{
		"The plan is not accepted at this location":                   "the plan is not accepted at this location",
		"PLAN NOT ACCEPTED":                                           "plan not accepted",
		"Coverage has expired.":                                       "coverage has expired",
		"This plan is out-of-network for the clinic":                  "this plan is out of network for the clinic",
		"The subscriber ID is not valid for this plan (PPO)":          "the subscriber id is not valid for this plan ppo",
		"Subscriber DZW9200000000 is not eligible for this plan":      "subscriber ... is not eligible for this plan",
		"Plan 1FZQ of Anthem is not accepted at this location":        "plan ... of ... is not accepted at this location",
		"Subscriber is Not Covered by this plan":                      "subscriber is not ... by this plan",
		"The patient Clinic is not covered by this plan":              "the patient ... is not covered by this plan",
		"The coverage is active from 1964-06-19 and has not expired":  "the coverage is ... from ... and has not expired",
		"Canaryfamily, Canarygiven born 1964-06-19":                   "",
		"Not unless the plan is accepted":                             "",
		"refused":                                                     "",
		"":                                                            "",
		"The plan is refused: see https://ehr-db-01.internal/plan":    "",
		"the plan is null":                                            "",
		"java.lang.IllegalStateException: the plan is not accepted":   "",
		"the plan is not accepted\n\tat com.vendor.Plan.save(Plan:1)": "",
		"<b>the plan is not accepted</b>":                             "",
		`{"plan":"is not accepted"}`:                                  "",
		"select * from plan: the SQL is not valid":                    "",
		strings.Repeat("the plan is not accepted ", 10):               "",
		"plan policy-77 is not accepted here":                         "plan ... is not accepted here",
	} {
		got := tellAgain(text, privateWords(sent))
		if got != want {
			t.Errorf("%.60q: %q, want %q", text, got, want)
		}
	}
}

func FuzzNoReasonRepeatsWhatWasSent(f *testing.F) {
	f.Add("Subscriber Ada Winters is not eligible", "Ada Winters")
	f.Add("the plan is not active", "Active")
	f.Add("no plan", "No")
	f.Fuzz(func(t *testing.T, text, name string) {
		private := privateWords(&model.Coverage{Subscriber: &model.Reference{Display: name}})
		told := tellAgain(text, private)
		for _, word := range strings.Fields(told) {
			if word != "..." && (private[word] || !isReasonWord(word, word, false)) {
				t.Errorf("%q of %q, by %q", word, text, name)
			}
		}
	})
}
