package stu3

import (
	"slotgate/fhir/model"
)

// classSystem is R4's code system of coverage classes; its codes are the names
// that STU3's grouping has, in lower case, and those of what came later.
const classSystem = "http://terminology.hl7.org/CodeSystem/coverage-class"

// sequenceClass is the class that STU3's sequence became.
const sequenceClass = "sequence"

// CoverageClass is the extension that carries in STU3 a class of R4 for which a
// grouping has no room: a second one of a kind, or one of another kind
// (http://hl7.org/fhir/versions.html#extensions).
const CoverageClass = "http://hl7.org/fhir/4.0/StructureDefinition/extension-Coverage.class"

// pairs lists the elements of a grouping with the class that each stands for.
func (g *grouping) pairs() []classPair {
	return []classPair{
		{"group", &g.Group, &g.GroupDisplay},
		{"subgroup", &g.SubGroup, &g.SubGroupDisplay},
		{"plan", &g.Plan, &g.PlanDisplay},
		{"subplan", &g.SubPlan, &g.SubPlanDisplay},
		{"class", &g.Class, &g.ClassDisplay},
		{"subclass", &g.SubClass, &g.SubClassDisplay},
	}
}

type classPair struct {
	code        string
	value, name *string
}

func coverageIn(w *coverage) model.Resource {
	c := w.Body
	if w.Grouping != nil {
		for _, p := range w.Grouping.pairs() {
			if *p.value != "" || *p.name != "" {
				c.Class = append(c.Class, classOf(p.code, *p.value, *p.name))
			}
		}
	}
	if w.Sequence != "" {
		c.Class = append(c.Class, classOf(sequenceClass, w.Sequence, ""))
	}
	var rest []model.Extension
	for _, ext := range c.Extension {
		if class, ok := classIn(ext); ok {
			c.Class = append(c.Class, class)
		} else {
			rest = append(rest, ext)
		}
	}
	c.Extension = rest
	return finish(c)
}

func classOf(code, value, name string) model.CoverageClass {
	kind := model.CodeableConcept{Coding: []model.Coding{{System: classSystem, Code: code}}}
	return model.CoverageClass{Type: &kind, Value: value, Name: name}
}

// classIn reads a class from the extension.
func classIn(ext model.Extension) (class model.CoverageClass, ok bool) {
	if ext.URL != CoverageClass {
		return class, false
	}
	for _, part := range ext.Extension {
		switch part.URL {
		case "type":
			class.Type = part.ValueCodeableConcept
		case "value":
			class.Value = part.ValueString
		case "name":
			class.Name = part.ValueString
		}
	}
	return class, class.Type != nil || class.Value != ""
}

// classOut writes a class as the extension.
func classOut(class model.CoverageClass) model.Extension {
	ext := model.Extension{URL: CoverageClass}
	if class.Type != nil {
		ext.Extension = append(ext.Extension, model.Extension{URL: "type", ValueCodeableConcept: class.Type})
	}
	for _, part := range []struct{ url, text string }{{"value", class.Value}, {"name", class.Name}} {
		if part.text != "" {
			ext.Extension = append(ext.Extension, model.Extension{URL: part.url, ValueString: part.text})
		}
	}
	return ext
}

func coverageOut(r *model.Coverage) any {
	out := *r
	sourceOut(&out.Base)
	out.X = model.Without(r.X, "costToBeneficiary", "subrogation") // R4
	if r.Implied.Status {
		out.Status = ""
	}
	if r.Implied.Beneficiary {
		out.Beneficiary = nil
	}
	out.Class = nil
	w := &coverage{ResourceType: "Coverage", Body: &out}
	var more []model.Extension
	for _, class := range r.Class {
		if !w.set(class) {
			more = append(more, classOut(class))
		}
	}
	if len(more) > 0 {
		out.Extension = append(append([]model.Extension(nil), r.Extension...), more...)
	}
	return w
}

// set writes the first class of each kind that STU3 has. It is false for one
// that there is no room for.
func (w *coverage) set(class model.CoverageClass) bool {
	code := kindOf(class)
	if code == sequenceClass && w.Sequence == "" && class.Name == "" {
		w.Sequence = class.Value
		return true
	}
	g := w.Grouping
	if g == nil {
		g = new(grouping)
	}
	for _, p := range g.pairs() {
		if code == p.code && *p.value == "" && *p.name == "" {
			*p.value, *p.name = class.Value, class.Name
			w.Grouping = g
			return true
		}
	}
	return false
}

// kindOf is the code of a class that says nothing but its kind, value and name;
// "" for another one.
func kindOf(class model.CoverageClass) string {
	plain := class.ID == "" && len(class.Extension) == 0 && len(class.X) == 0
	if class.Type == nil || !plain || class.Value == "" && class.Name == "" {
		return ""
	}
	for _, coding := range class.Type.Coding {
		if coding.System == classSystem || coding.System == "" {
			return coding.Code
		}
	}
	return ""
}

// relatedOut writes the first relationship, which is all that STU3 has room for.
func relatedOut(r *model.RelatedPerson) any {
	out := *r
	sourceOut(&out.Base)
	out.X = model.Without(r.X, "communication") // R4
	return &related{"RelatedPerson", single(r.Relationship), &out}
}
