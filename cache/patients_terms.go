package cache

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"slotgate/scheduling"
)

// What people are looked up by stands in Redis as keyed digests alone: nobody
// without the key can try out names or numbers.
const (
	digestSame     = "patient same"
	digestTerm     = "patient term"
	digestRegister = "patient register"
)

// beginning is how many characters of a name are looked up; the rest is
// compared with the names themselves.
const beginning = 4

// begins are the beginnings by which a name is found.
func begins(name string) []string {
	var list []string
	runes := []rune(scheduling.Folded(name))
	for n := 1; n <= min(beginning, len(runes)); n++ {
		list = append(list, string(runes[:n]))
	}
	return list
}

// longest is the longest beginning that is looked up.
func longest(name string) string {
	if all := begins(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// term is one thing that a person is found by.
type term struct{ kind, value string }

// The kinds of terms.
const (
	byIdentifier = "identifier" // system and value, or the value alone
	byBirth      = "birthdate"  // the day, its month, its year
	byFamily     = "family"
	byGiven      = "given"
	byGender     = "gender"
)

// termsOf are all of a person's terms, each once.
func termsOf(r scheduling.Registration) []term {
	all := map[term]bool{}
	for _, id := range r.Identifiers {
		if id.Value != "" {
			all[term{byIdentifier, identifierText(id)}] = true
			all[term{byIdentifier, identifierText(scheduling.PersonIdentifier{Value: id.Value})}] = true
		}
	}
	for _, n := range []int{4, 7, 10} {
		if len(r.BirthDate) >= n {
			all[term{byBirth, r.BirthDate[:n]}] = true
		}
	}
	for _, name := range r.Names {
		for _, text := range begins(name.Family) {
			all[term{byFamily, text}] = true
		}
		for _, given := range name.Given {
			for _, text := range begins(given) {
				all[term{byGiven, text}] = true
			}
		}
	}
	if r.Gender != "" {
		all[term{byGender, r.Gender}] = true
	}
	return slices.Collect(maps.Keys(all))
}

func identifierText(id scheduling.PersonIdentifier) string {
	return strconv.Itoa(len(id.System)) + ":" + id.System + id.Value
}

// oneIdentifier is an identifier as persons are told apart by it: a well-known
// system is the same by its address and by its OID.
func oneIdentifier(id scheduling.PersonIdentifier) string {
	id.System = scheduling.OneSystem(id.System)
	return identifierText(id)
}

// bestTerms are those of a search that leave the fewest to look at; nil for a
// search for nothing.
func bestTerms(s scheduling.PatientSearch) []term {
	var list []term
	switch {
	case len(s.Identifiers) > 0:
		for _, id := range s.Identifiers {
			list = append(list, term{byIdentifier, identifierText(id)})
		}
	case s.BirthDate != "":
		list = append(list, term{byBirth, s.BirthDate})
	case s.Family != "":
		list = append(list, term{byFamily, longest(s.Family)})
	case len(s.Given) > 0:
		list = append(list, term{byGiven, longest(s.Given[0])})
	case s.Gender != "":
		list = append(list, term{byGender, s.Gender})
	}
	return list
}

// samesOf are what two records of one person have in common: an identifier, or
// the resource as a whole but for what is not about the person.
func samesOf(r scheduling.Registration) ([]string, error) {
	var list []string
	for _, id := range r.Naming() {
		list = append(list, "identifier "+oneIdentifier(id))
	}
	dec := json.NewDecoder(bytes.NewReader(r.Resource))
	dec.UseNumber()
	var all map[string]any
	if err := dec.Decode(&all); err != nil {
		return nil, errDamaged
	}
	delete(all, "text")
	delete(all, "meta")
	text, err := json.Marshal(all) // sorted
	if err != nil {
		return nil, errDamaged
	}
	return append(list, "resource "+string(text)), nil
}

// locksOf are what nobody else may register meanwhile: whoever has one of the
// identifiers, and whoever a server may take for the same by name and birth
// date.
func locksOf(r scheduling.Registration) []string {
	var list []string
	for _, id := range r.Naming() {
		list = append(list, "identifier "+oneIdentifier(id))
	}
	for _, name := range r.Names {
		list = append(list, "name "+scheduling.NameKey(cmp.Or(name.Family, name.Text))+"\n"+r.BirthDate)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
