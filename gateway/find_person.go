package gateway

import (
	"context"
	"slices"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// Persons are Patients who can tell what a clinic's rule asks of one of them.
type Persons interface {
	// Person tells it of a Patient of ours. Errors: unknown-id; shedding.
	Person(ctx context.Context, principal string, source scheduling.SourceID, id string) (scheduling.Person, error)
}

// maxJudged is at how many sources it is found out whether somebody is known.
const maxJudged = 50

// judgeFor finds out of who is to be seen what the clinics' rules ask, and notes
// what was not applied: no answer is refused for it.
func (x *exchange) judgeFor(f *fhir.Find) {
	asking := x.s.asking(f.Query.Sources)
	if f.Query.Person.Born != "" && len(asking) == 0 {
		f.NotApplied = noted(f.NotApplied, "patient-resource")
	}
	if f.Patient != "" && !x.knows(f, asking) {
		f.Patient = ""
		f.NotApplied = noted(f.NotApplied, "patient-reference")
	}
}

// knows puts what is known of the Patient of ours into the query. It is false
// where nobody asks, or where nobody knows.
func (x *exchange) knows(f *fhir.Find, asking []scheduling.SourceID) bool {
	people, ok := x.s.deps.Patients.(Persons)
	if !ok || len(asking) == 0 || len(asking) > maxJudged || x.principal().Anonymous() {
		return false
	}
	standings := make(map[scheduling.SourceID]scheduling.Standing, len(asking))
	var born string
	for _, source := range asking {
		person, err := people.Person(x.ctx, x.principalName(), source, f.Patient)
		if err != nil {
			return false
		}
		born, standings[source] = person.Born, person.Standing
	}
	f.Query.Person.Born, f.Query.Standings = born, standings
	return true
}

// asking are the sources among these (none: all) whose rules ask for whom an
// appointment is.
func (s *Server) asking(among []scheduling.SourceID) []scheduling.SourceID {
	var list []scheduling.SourceID
	for _, src := range s.live.Load().sources {
		asks := slices.ContainsFunc(src.Rules, func(r scheduling.Rule) bool { return r.Asks() })
		if asks && (len(among) == 0 || slices.Contains(among, src.ID)) {
			list = append(list, src.ID)
		}
	}
	return list
}

func noted(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}
