package upstream

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"slotgate/fhir/model"
)

// A source's reason for not taking a coverage is worth telling, and dangerous: it
// may repeat the person, or hold what the source is made of. So it is not passed
// on but told again, in words of a list: what people say of insurance and
// nothing else, no name, number, address or code among them. A word that is not
// on the list is left out; a text of which little remains is not told.

const (
	reasonWords = 24 // told at most
	reasonText  = 400
)

var (
	// reasonInternals are the marks of what is written for machines or for those
	// who run the source.
	reasonInternals = regexp.MustCompile(`(?i)[<>{}\[\]\\|=@#$]|://|exception|error at|\bat [a-z_]+\.|stack|\bsql\b|\bora-\d|null|\bnil\b|undefined|0x[0-9a-f]|\.(java|cs|go|py|js|php)\b`)
	reasonWord      = regexp.MustCompile(`[\pL\pN]+(?:['’.:/_][\pL\pN]+)*`)
)

// reasonVocabulary is the list. Words that people are called by as well (Day,
// Field, Price, Will) are not on it.
var reasonVocabulary = strings.Fields(`
	a an the this that these those is are was were be been has have had does do did not no non nor only and or of for to from in on at by with out
	within without before after since until between than as if because but it its any all none one other another such more less least most
	must should can cannot could required requires require missing needed wants unknown known valid invalid wrong incorrect incomplete
	recognized recognised accepted accept acceptable supported support allowed available unavailable found match matches matched mismatch
	verified verify verification confirmed active inactive current expired expires ended ends terminated cancelled canceled suspended lapsed
	pending denied declined rejected refused reject excluded exceeded limited limit restricted eligible ineligible eligibility enrolled
	enrollment registered duplicate existing already exists overlap overlaps overlapping conflict conflicts outside inside future
	date dates month months year years period start starts begin begins effective time number numbers code codes value element
	data information name type status id identifier format length digits letters characters empty
	insurance insurances coverage coverages covers covered plan plans policy policies policyholder holder subscriber subscribers member
	membership members group groups subgroup payer payers payor payors insurer insurers beneficiary dependent dependents
	patient patients relationship benefit benefits network networks class contract contracted contracts premium copay deductible
	medicare medicaid medical health dental vision pharmacy hmo ppo epo pos hsa primary secondary tertiary order
	clinic clinics office offices location locations practice practices provider providers practitioner department site organization facility
	service services visit visits appointment appointments specialty referral referrals authorization preauthorization authorisation prior
	here there please contact check update again later`)

var (
	// reasonNegations are never left out: without them a text says the opposite.
	reasonNegations = strings.Fields(`not no non none nor without only unless until except cannot never`)
	reasonAcronyms  = strings.Fields(`id hmo ppo epo pos hsa`)
)

// reason is why the source did not take the coverage, told again; "" where that
// cannot be said.
func (r *coverageReply) reason(sent *model.Coverage) string {
	private := privateWords(sent)
	for _, outcome := range r.outcomes {
		for i := range outcome.Issue {
			if issue := &outcome.Issue[i]; issue.Severity == "error" || issue.Severity == "fatal" {
				for _, text := range reasonTexts(issue) {
					if told := tellAgain(text, private); told != "" {
						return told
					}
				}
			}
		}
	}
	return ""
}

// reasonTexts are the texts of an issue, those for people first.
func reasonTexts(issue *model.OutcomeIssue) []string {
	var out []string
	if issue.Details != nil {
		out = append(out, issue.Details.Text)
		for _, coding := range issue.Details.Coding {
			out = append(out, coding.Display)
		}
	}
	return append(out, issue.Diagnostics)
}

// tellAgain tells a text in the words of the list. More than a third left out,
// and nobody would understand it.
func tellAgain(text string, private map[string]bool) string {
	if text == "" || len(text) > reasonText || reasonInternals.MatchString(text) {
		return ""
	}
	words := reasonWord.FindAllString(text, reasonWords+1)
	if len(words) < 2 || len(words) > reasonWords {
		return ""
	}
	var told []string
	left, shouted := 0, text == strings.ToUpper(text)
	for i, word := range words {
		folded := strings.ToLower(word)
		negates := slices.Contains(reasonNegations, folded)
		switch {
		case negates && (private[folded] || !slices.Contains(reasonVocabulary, folded)):
			return ""
		case negates, isReasonWord(word, folded, i > 0 && !shouted) && !private[folded]:
			told = append(told, folded)
		default:
			left++
			if len(told) > 0 && told[len(told)-1] != "..." {
				told = append(told, "...")
			}
		}
	}
	if left*3 > len(words) {
		return ""
	}
	return strings.TrimSuffix(strings.Join(told, " "), " ...")
}

// isReasonWord: it is on the list, and no name: those have a capital within a
// sentence.
func isReasonWord(word, folded string, within bool) bool {
	if within && word != folded && !slices.Contains(reasonAcronyms, folded) {
		return false
	}
	return slices.Contains(reasonVocabulary, folded)
}

// privateWords are the words of the coverage itself that a reason must not
// repeat, although they are on the list: a person may be called Active.
func privateWords(sent *model.Coverage) map[string]bool {
	words := map[string]bool{}
	add := func(texts ...string) {
		for _, text := range texts {
			for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
				words[word] = true
			}
		}
	}
	add(sent.SubscriberID, sent.Dependent)
	for _, ref := range []*model.Reference{sent.Subscriber, sent.Beneficiary, sent.PolicyHolder} {
		if ref != nil {
			add(ref.Display)
		}
	}
	for _, id := range sent.Identifier {
		add(id.Value)
	}
	for _, inner := range sent.Contained {
		if person, ok := inner.(*model.RelatedPerson); ok {
			for _, name := range person.Name {
				add(name.Family, name.Text)
				add(name.Given...)
			}
		}
	}
	return words
}

// coveragePath is how servers name an element of a Coverage.
var coveragePath = regexp.MustCompile(`^/?(?:f:)?Coverage[./](?:f:)?([A-Za-z]+)`)

// coverageElements are those that a source may name.
const coverageElements = ` identifier status type policyHolder subscriber subscriberId beneficiary dependent relationship period payor grouping class order network contract extension `

// elements are those that the source names, with commas between.
func (r *coverageReply) elements() string {
	var list []string
	for _, outcome := range r.outcomes {
		for i := range outcome.Issue {
			issue := &outcome.Issue[i]
			for _, path := range slices.Concat(issue.Expression, issue.Location) {
				m := coveragePath.FindStringSubmatch(path)
				if m == nil || !strings.Contains(coverageElements, " "+m[1]+" ") {
					continue
				}
				if name := "Coverage." + m[1]; !slices.Contains(list, name) {
					list = append(list, name)
				}
			}
		}
	}
	return strings.Join(list, ", ")
}
