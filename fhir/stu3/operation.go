package stu3

import "slotgate/fhir/model"

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
