package fhir

import (
	"slices"
	"strconv"

	"slotgate/fhir/stu3"
	"slotgate/scheduling"
)

// patchOp is one operation of a patch, whatever the format: what is done,
// where, and the new value as a tree of JSON (texts, maps, lists).
type patchOp struct {
	kind  opKind
	path  []step
	at    []string // the same as a JSON pointer's parts, for a test
	value any
}

// opKind is what an operation does. All that may never be done is opOther.
type opKind string

const (
	opTest    opKind = "test"
	opReplace opKind = "replace"
	opAdd     opKind = "add"
	opOther   opKind = "other"
)

// step is one part of a path: an element, and which of a list.
type step struct {
	name  string
	index int // from 0; anyIndex where none is given
	actor string
}

const anyIndex = -1

// find is where in the list of participants the step points to, -1 for nowhere.
func (s step) find(list []any) int {
	if s.actor != "" {
		return slices.IndexFunc(list, func(p any) bool { return actorOf(p) == s.actor })
	}
	if s.index >= len(list) {
		return -1
	}
	return s.index // anyIndex is nowhere
}

// maxOps is how many operations one patch may have.
const maxOps = 100

// judge is the one place that says what a patch may do: test anything, replace
// status by cancelled, add a reason, and set patients to declined.
func judge(rel scheduling.Release, ops []patchOp) (Patch, error) {
	var p Patch
	for _, op := range ops {
		if len(op.path) > 0 && op.path[0].name == "Appointment" {
			op.path = op.path[1:]
		}
		var err error
		switch op.kind {
		case opTest:
			p.tests = append(p.tests, patchTest{op.at, op.value})
		case opReplace:
			err = p.replace(rel, op)
		case opAdd:
			err = p.add(rel, op)
		default:
			err = unpatchable("this operation is not taken: an appointment can be tested and cancelled")
		}
		if err != nil {
			return Patch{}, err
		}
	}
	if len(p.declines) > 0 && !p.Cancel {
		return p, nil // Agree wants all patients
	}
	if !p.Cancel && (p.Reason != "" || len(p.tests) == 0) {
		return Patch{}, unpatchable("the patch does not cancel: set status to cancelled")
	}
	return p, nil
}

// Cancels tells whether the patch asks for a cancel at all; without, it tests.
func (p Patch) Cancels() bool { return p.Cancel || len(p.declines) > 0 }

func (p *Patch) replace(rel scheduling.Release, op patchOp) error {
	switch path := op.path; {
	case isPath(path, "status"):
		if op.value != "cancelled" {
			return unpatchable("status can be set to cancelled only")
		}
		p.Cancel = true
		return nil
	case isPath(path, "cancelationReason") && rel == scheduling.R4:
		return p.reason(op.value)
	case isPath(path, "participant", "status"):
		if op.value != "declined" {
			return unpatchable("the status of a participant can be set to declined only")
		}
		p.declines = append(p.declines, path[0])
		return nil
	}
	return unpatchable("this element cannot be changed")
}

func (p *Patch) add(rel scheduling.Release, op patchOp) error {
	switch {
	case isPath(op.path, "cancelationReason") && rel == scheduling.R4:
		return p.reason(op.value)
	case isPath(op.path, "extension"):
		return p.extension(op.value)
	}
	return unpatchable("nothing but a reason can be added")
}

// isPath compares the names of the steps.
func isPath(path []step, names ...string) bool {
	return slices.EqualFunc(path, names, func(s step, name string) bool { return s.name == name })
}

// extension takes the guide's reason of a status
// (extension-status-reason), alone or in a list.
func (p *Patch) extension(value any) error {
	if list, ok := value.([]any); ok && len(list) == 1 {
		value = list[0]
	}
	ext, ok := value.(map[string]any)
	if !ok || ext["url"] != stu3.StatusReason {
		return unpatchable("no extension but the reason of the status can be added")
	}
	for _, name := range []string{"valueCodeableConcept", "value", "value[x]"} {
		if concept, ok := ext[name]; ok {
			return p.reason(concept)
		}
	}
	return unpatchable("the reason has no value")
}

// reason takes the code of a concept. Its text is not kept: it may tell of a
// person, and no EHR is sent it.
func (p *Patch) reason(value any) error {
	concept, ok := value.(map[string]any)
	if !ok {
		return unpatchable("a reason is a CodeableConcept")
	}
	code := ""
	for _, coding := range asList(concept["coding"]) {
		fields, _ := coding.(map[string]any)
		text, _ := fields["code"].(string)
		if code == "" && reasonForm.MatchString(text) {
			code = text
		}
	}
	if p.Reason != "" && code != p.Reason {
		return unpatchable("two reasons are given")
	}
	p.Reason = code
	return nil
}

// asList is what may be a list or its only member (XML does not tell).
func asList(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

// lookUp follows the parts of a JSON pointer.
func lookUp(tree any, at []string) (any, bool) {
	for _, part := range at {
		switch node := tree.(type) {
		case map[string]any:
			next, ok := node[part]
			if !ok {
				return nil, false
			}
			tree = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(node) || strconv.Itoa(i) != part {
				return nil, false
			}
			tree = node[i]
		default:
			return nil, false
		}
	}
	return tree, true
}
