package stu3

import "slotgate/fhir/model"

// classSystem is R4's code system of coverage classes; its codes are the names
// that STU3's grouping has, in lower case.
const classSystem = "http://terminology.hl7.org/CodeSystem/coverage-class"

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
			if *p.value == "" && *p.name == "" {
				continue
			}
			kind := model.CodeableConcept{Coding: []model.Coding{{System: classSystem, Code: p.code}}}
			c.Class = append(c.Class, model.CoverageClass{Type: &kind, Value: *p.value, Name: *p.name})
		}
	}
	return finish(c)
}

func coverageOut(r *model.Coverage) any {
	out := *r
	sourceOut(&out.Base)
	out.Class = nil
	w := &coverage{ResourceType: "Coverage", Body: &out}
	for _, class := range r.Class {
		if w.Grouping == nil {
			w.Grouping = new(grouping)
		}
		w.Grouping.set(class)
	}
	return w
}

// set writes the first class of each kind; STU3 has room for no more.
func (g *grouping) set(class model.CoverageClass) {
	if class.Type == nil {
		return
	}
	for _, coding := range class.Type.Coding {
		for _, p := range g.pairs() {
			if coding.Code == p.code && *p.value == "" {
				*p.value, *p.name = class.Value, class.Name
				return
			}
		}
	}
}

func operationIn(w *operation) model.Resource {
	if w.Idempotent != nil && w.Body.AffectsState == nil {
		affects := !*w.Idempotent
		w.Body.AffectsState = &affects
	}
	return finish(w.Body)
}

func operationOut(r *model.OperationDefinition) any {
	out := *r
	sourceOut(&out.Base)
	out.AffectsState = nil
	out.Title = ""
	w := &operation{ResourceType: "OperationDefinition", Body: &out}
	if r.AffectsState != nil {
		idempotent := !*r.AffectsState
		w.Idempotent = &idempotent
	}
	return w
}
