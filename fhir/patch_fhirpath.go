package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// readFHIRPathPatch reads the operations in a Parameters resource.
func readFHIRPathPatch(rel scheduling.Release, f Format, data []byte) ([]patchOp, error) {
	res, err := Read(rel, f, data)
	if err != nil {
		return nil, err
	}
	params, ok := res.(*model.Parameters)
	if !ok {
		return nil, unpatchable("a patch in this format is a Parameters resource")
	}
	if len(params.Parameter) > maxOps {
		return nil, unreadable("the patch has too many operations", nil)
	}
	ops := make([]patchOp, 0, len(params.Parameter))
	for i := range params.Parameter {
		op, err := fhirPathOp(&params.Parameter[i])
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// fhirPathOp reads one parameter `operation` by its parts.
func fhirPathOp(p *model.Parameter) (patchOp, error) {
	if p.Name != "operation" {
		return patchOp{}, unreadable("a FHIRPath patch has parameters called operation only", nil)
	}
	parts := map[string]*model.Parameter{}
	for i := range p.Part {
		if part := &p.Part[i]; parts[part.Name] != nil {
			return patchOp{}, unreadable("an operation of the patch has a part twice", nil)
		}
		parts[p.Part[i].Name] = &p.Part[i]
	}
	kind, path := partText(parts["type"]), partText(parts["path"])
	if kind == "" || path == "" || len(path) > maxText {
		return patchOp{}, unreadable("an operation of the patch needs a type and a path", nil)
	}
	op := patchOp{path: fhirPath(path)}
	switch kind {
	case "replace":
		op.kind = opReplace
	case "add":
		op.kind = opAdd
		op.path = append(op.path, step{name: partText(parts["name"]), index: anyIndex})
	case "insert", "delete", "move":
		op.kind = opOther
		return op, nil
	default:
		return patchOp{}, unreadable("the patch has an operation of a type that is not known", nil)
	}
	if parts["value"] == nil {
		return patchOp{}, unreadable("an operation of the patch has no value", nil)
	}
	op.value = partValue(parts["value"])
	return op, nil
}

func partText(p *model.Parameter) string {
	if p == nil {
		return ""
	}
	if texts := p.Texts(); len(texts) > 0 {
		return texts[0]
	}
	return ""
}

// partValue is a value as a tree of JSON: of a concept its codes, of parts
// their values by name, which is how types without a name are written.
func partValue(p *model.Parameter) any {
	switch {
	case p.ValueCodeableConcept != nil:
		return conceptTree(p.ValueCodeableConcept)
	case p.ValueCoding != nil:
		return map[string]any{"code": p.ValueCoding.Code}
	case len(p.Part) > 0:
		tree := map[string]any{}
		for i := range p.Part {
			name := p.Part[i].Name
			if before, again := tree[name]; again {
				tree[name] = append(asList(before), partValue(&p.Part[i]))
				continue
			}
			tree[name] = partValue(&p.Part[i])
		}
		return tree
	}
	return partText(p)
}

func conceptTree(c *model.CodeableConcept) any {
	codings := make([]any, 0, len(c.Coding))
	for _, coding := range c.Coding {
		codings = append(codings, map[string]any{"code": coding.Code})
	}
	return map[string]any{"coding": codings}
}
