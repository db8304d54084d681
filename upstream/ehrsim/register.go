package ehrsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rivalPatient has what rivals and the clinic take, unless somebody is named.
const rivalPatient = "Patient/pat-9"

// seedPatients are known from the beginning, the same on every server.
var seedPatients = []struct{ id, given, family, birth, gender string }{
	{"pat-1", "Ada", "Winters", "1964-06-19", "female"},
	{"pat-2", "Bruno", "Falk", "1971-02-03", "male"},
	{"pat-3", "Chiara", "Moretti", "1989-11-30", "female"},
	{"pat-4", "Dev", "Anand", "2015-08-08", "male"},
	{"pat-5", "Esi", "Boateng", "1999-01-01", "female"},
	{"pat-9", "Rival", "Stranger", "1950-05-05", "male"},
}

// otherPatient is a seeded patient who is none of those.
func otherPatient(refs []string) string {
	for _, p := range seedPatients {
		if ref := "Patient/" + p.id; !slices.Contains(refs, ref) {
			return ref
		}
	}
	return rivalPatient
}

// mrn is the identifier system of this server's record numbers.
const mrn = "urn:ehrsim:mrn"

func seedPatientsInto(st *store, f flavour) {
	for i, p := range seedPatients {
		if st.get("Patient", p.id) != nil {
			continue // loaded
		}
		st.add(obj("resourceType", "Patient", "id", p.id, "meta", f.meta(),
			"identifier", list{obj("use", "usual", "system", mrn, "value", strconv.Itoa(1001+i))},
			"active", true,
			"name", list{obj("use", "official", "text", p.given+" "+p.family, "family", p.family, "given", list{p.given})},
			"telecom", list{obj("system", "phone", "value", "555-01"+strconv.Itoa(10+i), "use", "home")},
			"gender", p.gender, "birthDate", p.birth,
		))
	}
}

// Patient is one of those that are known, as tests see them.
type Patient struct {
	ID          string   `json:"id"`
	Identifiers []string `json:"identifiers"` // "system|value"
	Family      string   `json:"family"`
	Given       string   `json:"given"`
	BirthDate   string   `json:"birthDate"`
	Gender      string   `json:"gender"`
	Version     int      `json:"version"`
}

// Patients lists everybody who is known, in the order they came: pat-1 to
// pat-5 and the rival pat-9 first.
func (s *Server) Patients() []Patient {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	out := []Patient{}
	st.every("Patient", func(o object) {
		p := Patient{ID: o.str("id"), BirthDate: o.str("birthDate"), Gender: o.str("gender"), Identifiers: identifiersOf(o)}
		p.Family, p.Given = nameOf(o)
		p.Version, _ = strconv.Atoi(o.obj("meta").str("versionId"))
		out = append(out, p)
	})
	return out
}

func identifiersOf(o object) []string {
	var out []string
	for _, v := range o.each("identifier") {
		id, _ := v.(object)
		out = append(out, id.str("system")+"|"+id.str("value"))
	}
	return out
}

func nameOf(o object) (family, given string) {
	names := o.each("name")
	if len(names) == 0 {
		return "", ""
	}
	first, _ := names[0].(object)
	if all := first.each("given"); len(all) > 0 {
		given, _ = all[0].(string)
	}
	return first.str("family"), given
}

// createPatient answers POST Patient. An Argonaut server knows its people by
// itself and ignores If-None-Exist; a plain one heeds it and nothing else.
func (s *Server) createPatient(rq *request) (reply, error) {
	body, err := rq.resource()
	if err == nil {
		err = s.complete(body)
	}
	if err != nil {
		return reply{}, err
	}
	condition := rq.http.Header.Get("If-None-Exist")
	lookUp := func(t *tx) (object, error) {
		if s.opts.Dialect == Argonaut {
			return t.samePerson(body), nil
		}
		return t.existing("Patient", condition)
	}
	if s.opts.PatientRace > 0 {
		return s.racingPatient(rq, body, lookUp)
	}
	return s.change(rq, func(t *tx) (reply, error) {
		known, err := lookUp(t)
		return t.register(body, known, err)
	})
}

// register adds a patient unless one is known.
func (t *tx) register(body, known object, err error) (reply, error) {
	if err != nil || known != nil {
		return reply{status: http.StatusOK, body: known, tagged: known, location: true}, err
	}
	o := t.addResource("Patient", "", body)
	return reply{status: http.StatusCreated, body: o, tagged: o, location: true}, nil
}

// racingPatient looks first and adds later, as servers without a lock do.
func (s *Server) racingPatient(rq *request, body object, lookUp func(*tx) (object, error)) (reply, error) {
	var known object
	err := s.update("fhir", func(t *tx) error {
		var err error
		known, err = lookUp(t)
		return err
	})
	timer := time.NewTimer(s.opts.PatientRace)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
	return s.change(rq, func(t *tx) (reply, error) { return t.register(body, known, err) })
}

// complete refuses a patient who lacks what this server wants of one.
func (s *Server) complete(body object) error {
	if body.str("resourceType") != "Patient" {
		return bad("the body is not a Patient")
	}
	return lacks(body, "Patient", s.opts.PatientRequires)
}

// lacks names the members that are wanted and not there.
func lacks(body object, typ string, wanted []string) error {
	var issues list
	for _, name := range wanted {
		if isEmpty(body.get(name)) {
			issues = append(issues, obj("severity", "error", "code", "required", "diagnostics", typ+"."+name+" is required",
				"location", list{typ + "." + name}, "expression", list{typ + "." + name}))
		}
	}
	if len(issues) == 0 {
		return nil
	}
	return &failure{
		status: http.StatusUnprocessableEntity, code: "required", text: "the " + typ + " is not complete",
		outcome: obj("resourceType", "OperationOutcome", "issue", issues),
	}
}

// samePerson finds a known patient by an identifier, or by name, birth date and
// gender together; nil.
func (t *tx) samePerson(body object) object {
	var found object
	family, given := nameOf(body)
	ids := identifiersOf(body)
	t.every("Patient", func(o object) {
		haveFamily, haveGiven := nameOf(o)
		same := family != "" && strings.EqualFold(family, haveFamily) && strings.EqualFold(given, haveGiven) &&
			body.str("birthDate") != "" && body.str("birthDate") == o.str("birthDate") && body.str("gender") == o.str("gender")
		for _, id := range identifiersOf(o) {
			same = same || slices.Contains(ids, id)
		}
		if same && found == nil {
			found = o
		}
	})
	return found
}

// addResource adds a patient or a coverage under a new id, unless it has been
// given one already.
func (t *tx) addResource(typ, id string, body object) object {
	if id == "" {
		id = newID(typ, t.number())
	}
	return t.putResource(body.with("id", id, "resourceType"))
}
