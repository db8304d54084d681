package ehrsim

import (
	"net/http"
	"slices"
	"strings"
)

// extMatchGrade says how sure the server is of a match.
const extMatchGrade = "http://hl7.org/fhir/StructureDefinition/match-grade"

// The grades, best first, and the score that each is told with.
var grades = []struct {
	grade string
	score number
}{{"certain", "1.0"}, {"probable", "0.8"}, {"possible", "0.5"}, {"certainly-not", "0.01"}}

// match answers POST Patient/$match (https://hl7.org/fhir/R4/patient-operation-match.html):
// with onlyCertainMatches it gives the one that is certain, and says nothing of
// several, or of who is merely alike; else it gives all who are alike, graded.
func (s *Server) match(rq *request) (reply, error) {
	body, err := rq.resource()
	if err != nil {
		return reply{}, err
	}
	asked, certain, err := s.matchInput(body)
	if err != nil {
		return reply{}, err
	}
	var found list
	_ = s.update("fhir", func(t *tx) error { // never fails
		found = t.alike(rq, asked, certain)
		return nil
	})
	return reply{status: http.StatusOK, body: s.bundle(len(found), nil, found)}, nil
}

// matchInput reads the Parameters.
func (s *Server) matchInput(body object) (asked object, certain bool, err error) {
	if body.str("resourceType") != "Parameters" {
		return nil, false, errNotParameters
	}
	for _, v := range body.each("parameter") {
		p, _ := v.(object)
		switch p.str("name") {
		case "resource":
			asked = p.obj("resource")
		case "onlyCertainMatches":
			certain, _ = p.get("valueBoolean").(bool)
		}
	}
	switch {
	case asked.str("resourceType") != "Patient":
		return nil, false, unprocessable("required", "the parameter resource is not a Patient")
	case s.opts.MatchCertainOnly && !certain:
		return nil, false, bad("onlyCertainMatches must be true")
	}
	return asked, certain, s.complete(asked)
}

// alike are the entries of an answer, the best first.
func (t *tx) alike(rq *request, asked object, certain bool) list {
	byGrade := map[string]list{}
	t.every("Patient", func(o object) {
		if grade := gradeOf(asked, o); grade != "" {
			byGrade[grade] = append(byGrade[grade], o)
		}
	})
	if certain && len(byGrade["certain"]) > 1 && !t.srv.opts.MatchTellsSeveral {
		return nil
	}
	var out list
	for _, g := range grades {
		if certain && g.grade != "certain" {
			break
		}
		for _, v := range byGrade[g.grade] {
			o, _ := v.(object)
			search := obj("extension", list{obj("url", extMatchGrade, "valueCode", g.grade)}, "mode", "match", "score", g.score)
			if t.srv.opts.MatchUngraded {
				search = search.without("extension")
			}
			out = append(out, obj("fullUrl", rq.base+"/Patient/"+o.str("id"), "resource", o, "search", search))
		}
	}
	return out
}

// gradeOf says how sure this server is that two are one person: an identifier,
// or everything that is told of them, makes it certain; "" where nothing is alike.
func gradeOf(asked, have object) string {
	family, given := nameOf(asked)
	haveFamily, haveGiven := nameOf(have)
	ids := identifiersOf(have)
	shared := slices.ContainsFunc(identifiersOf(asked), func(id string) bool { return slices.Contains(ids, id) })
	named := family != "" && strings.EqualFold(family, haveFamily)
	full := named && strings.EqualFold(given, haveGiven)
	born := asked.str("birthDate") != "" && asked.str("birthDate") == have.str("birthDate")
	switch {
	case shared, full && born && reached(asked, have):
		return "certain"
	case full && born:
		return "probable"
	case named && born, full && asked.str("birthDate") == "":
		return "possible"
	case full:
		return "certainly-not" // another birth date
	}
	return ""
}

// reached: they have a telephone number or an address in common.
func reached(a, b object) bool {
	for _, path := range []string{"telecom.value", "address.line"} {
		there := b.find(path)
		for _, v := range a.find(path) {
			if slices.Contains(there, v) {
				return true
			}
		}
	}
	return false
}
