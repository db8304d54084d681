package ehrsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Coverage is one insurance that was sent, as tests see it.
type Coverage struct {
	ID           string    `json:"id"`
	Version      int       `json:"version"`
	Updated      time.Time `json:"updated"`
	Identifiers  []string  `json:"identifiers,omitempty"` // "system|value"
	Status       string    `json:"status,omitempty"`
	Beneficiary  string    `json:"beneficiary,omitempty"` // "Patient/x"
	Subscriber   string    `json:"subscriber,omitempty"`  // "Patient/x", "#contained", ...
	SubscriberID string    `json:"subscriberId,omitempty"`
	Patients     []string  `json:"patients"`          // everybody whom it names, ids
	Payor        string    `json:"payor,omitempty"`   // display, else reference
	Classes      []string  `json:"classes,omitempty"` // "plan=1FZQ", of class (R4) and of grouping (STU3)
	Resource     string    `json:"resource"`          // JSON, as it stands
}

// Coverages lists every insurance that is there, in the order they came.
func (s *Server) Coverages() []Coverage {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	out := []Coverage{}
	st.every("Coverage", func(o object) { out = append(out, publicCoverage(o)) })
	return out
}

func publicCoverage(o object) Coverage {
	c := Coverage{
		ID: o.str("id"), Identifiers: identifiersOf(o), Status: o.str("status"), Beneficiary: localRef(o.obj("beneficiary").str("reference")),
		Subscriber: o.obj("subscriber").str("reference"), SubscriberID: o.str("subscriberId"),
		Patients: coveredPatients(o), Classes: classesOf(o), Resource: string(appendJSON(nil, o)),
	}
	c.Version, _ = strconv.Atoi(o.obj("meta").str("versionId"))
	c.Updated, _ = time.Parse(time.RFC3339, o.obj("meta").str("lastUpdated"))
	for _, v := range o.each("payor") {
		payor, _ := v.(object)
		c.Payor = payor.str("display")
		setDefault(&c.Payor, payor.str("reference"))
		break
	}
	return c
}

// coveredPatients are the patients that a Coverage names: its beneficiary, its
// subscriber, its holder, and the patient of a RelatedPerson within it.
func coveredPatients(o object) []string {
	var out []string
	for _, path := range words("beneficiary.reference subscriber.reference policyHolder.reference contained.patient.reference") {
		for _, id := range refsTo(o.find(path), "Patient/") {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

func classesOf(o object) []string {
	var out []string
	for _, v := range o.each("class") {
		class, _ := v.(object)
		kind := "?"
		for _, c := range class.obj("type").each("coding") {
			coding, _ := c.(object)
			kind = coding.str("code")
			break
		}
		out = append(out, kind+"="+class.str("value"))
	}
	for _, m := range o.obj("grouping") {
		if text, ok := m.value.(string); ok && !strings.HasSuffix(m.name, "Display") {
			out = append(out, m.name+"="+text)
		}
	}
	return out
}

// writeCoverage answers POST Coverage and PUT Coverage/{id}.
func (s *Server) writeCoverage(rq *request) (reply, error) {
	body, err := rq.resource()
	if err != nil {
		return reply{}, err
	}
	if body.str("resourceType") != "Coverage" || rq.id != body.str("id") && rq.id != "" {
		return reply{}, bad("the body is not the Coverage")
	}
	condition := rq.http.Header.Get("If-None-Exist")
	if s.opts.Dialect == Argonaut {
		condition = ""
	}
	return s.change(rq, func(t *tx) (reply, error) {
		if rq.id == "" {
			return t.create(rq, "Coverage", "", body, condition)
		}
		if t.get("Coverage", rq.id) == nil {
			return reply{}, &failure{status: http.StatusMethodNotAllowed, code: "not-supported", text: "ids are given by the server"}
		}
		if err := t.insurable(body); err != nil {
			return reply{}, err
		}
		o := t.addResource("Coverage", rq.id, body)
		return reply{status: http.StatusOK, body: o, tagged: o, location: true}, nil
	})
}

// insurable refuses a Coverage that this version of FHIR does not know so, that
// lacks what this server wants of one, or that is for nobody who is known.
func (t *tx) insurable(body object) error {
	if err := misshapen(body, t.srv.opts.FHIR); err != nil {
		return err
	}
	want := slices.Clone(t.srv.opts.CoverageRequires)
	if t.srv.opts.FHIR == R4 {
		want = append(words("status beneficiary payor"), want...)
	}
	if err := lacks(body, "Coverage", want); err != nil {
		return err
	}
	patients := coveredPatients(body)
	for _, id := range patients {
		if t.get("Patient", id) == nil {
			return unprocessable("not-found", "Patient/"+id+" is not known")
		}
	}
	if len(patients) == 0 {
		return unprocessable("required", "the Coverage is for nobody")
	}
	return nil
}

// misshapen: grouping is STU3's and class is R4's, and a class has type and value.
func misshapen(body object, version FHIR) error {
	unknown := "class"
	if version == R4 {
		unknown = "grouping"
	}
	if body.get(unknown) != nil {
		return unprocessable("structure", "Coverage."+unknown+" is not an element of this version")
	}
	for _, v := range body.each("class") {
		class, _ := v.(object)
		if class.obj("type") == nil || class.str("value") == "" {
			return unprocessable("required", "Coverage.class wants type and value")
		}
	}
	if ref := body.obj("subscriber").str("reference"); strings.HasPrefix(ref, "#") {
		for _, v := range body.each("contained") {
			if o, _ := v.(object); "#"+o.str("id") == ref {
				return nil
			}
		}
		return unprocessable("structure", "Coverage.subscriber leads to nothing")
	}
	return nil
}

// insured: a server that wants insurance first books nobody without.
func (t *tx) insured(patients []string) error {
	if !t.srv.opts.CoverageFirst {
		return nil
	}
	covered := map[string]bool{}
	t.every("Coverage", func(o object) {
		for _, id := range coveredPatients(o) {
			covered["Patient/"+id] = covered["Patient/"+id] || o.str("status") != "cancelled"
		}
	})
	for _, ref := range patients {
		if !covered[ref] {
			return unprocessable("business-rule", "the patient has no coverage")
		}
	}
	return nil
}

// coverageShapes are ways in which insurance is refused, with what should never
// be passed on in some. %s is the name and number of whoever is insured.
var coverageShapes = map[string]refusalShape{
	"plan-refused":    {status: 422, severity: "error", code: "business-rule", text: "The plan is not accepted at this location"},
	"expired-policy":  {status: 200, severity: "error", code: "business-rule", text: "Coverage has expired"},
	"repeats-patient": {status: 422, severity: "error", code: "invalid", text: "Subscriber %s is not eligible for this plan"},
	"stack-trace": {status: 400, severity: "fatal", code: "exception", text: "java.lang.IllegalStateException: no payer row for %s\n" +
		"\tat com.vendor.ehr.Coverage.save(Coverage.java:113)\n\tat https://ehr-db-01.internal:8443/fhir/Coverage"},
	"no-word": {status: 422, severity: "error", code: "processing"},
	"wants-id": {
		status: 422, severity: "error", code: "required", text: "Coverage.subscriberId: minimum required = 1, but only found 0",
		expression: "Coverage.subscriberId",
	},
	"no-such-thing": {status: 404, severity: "error", code: "not-supported", text: "resource type Coverage is not supported"},
}

// CoverageShapes names every shape in which insurance can be refused, besides
// [RefusalShapes]: a fault's Shape, with On "coverage".
func CoverageShapes() []string {
	var out []string
	for name := range coverageShapes {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// shapeOf finds a shape, told for the request at hand.
func shapeOf(rq *request, name string) refusalShape {
	shape, ok := coverageShapes[name]
	if !ok {
		return refusalShapes[name]
	}
	if strings.Contains(shape.text, "%s") {
		who := "somebody"
		if body, err := rq.resource(); err == nil {
			who = strings.TrimSpace(body.obj("subscriber").str("display") + " " + body.str("subscriberId") + " " + strings.Join(coveredPatients(body), " "))
		}
		shape.text = strings.ReplaceAll(shape.text, "%s", who)
	}
	return shape
}
