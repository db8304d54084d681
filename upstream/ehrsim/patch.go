package ehrsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// patchFormats are the forms of patch, by the names of Options.PatchFormats.
var patchFormats = []string{"json", "xml", "fhirpath"}

// patchStep is one step of a patch, in whichever form it came. The path is made
// of member names and of numbers (as "0"); "-" is behind the end of a list.
type patchStep struct {
	op    string // test, add, insert, replace, remove
	path  []string
	value any
}

// patch reads the body as a patch of a resource of some type.
func (rq *request) patch() ([]patchStep, error) {
	media, err := rq.media()
	if err != nil {
		return nil, err
	}
	body := bytes.TrimSpace(rq.body)
	form := ""
	switch {
	case media == "application/json-patch+json", media == "application/json" && bytes.HasPrefix(body, []byte("[")):
		form = "json"
	case media == "application/xml-patch+xml":
		form = "xml"
	case media == "application/fhirpath-patch+fhirpath", strings.HasPrefix(media, "application/fhir+"):
		form = "fhirpath"
	}
	if own := rq.srv.opts.PatchFormats; form == "" || len(own) > 0 && !slices.Contains(own, form) {
		return nil, errMedia
	}
	switch form {
	case "json":
		return jsonPatch(body)
	case "xml":
		return xmlPatch(body, rq.typ, rq.srv.opts.FHIR)
	}
	return rq.pathPatch(body)
}

func badPatch(why string) error { return unprocessable("invalid", "the patch cannot be applied: "+why) }

// jsonPatch reads RFC 6902, without move and copy.
func jsonPatch(body []byte) ([]patchStep, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := readValue(dec, 0)
	steps, ok := v.(list)
	if err != nil || !ok {
		return nil, bad("the patch cannot be read")
	}
	var out []patchStep
	for _, v := range steps {
		o, _ := v.(object)
		path, ok := strings.CutPrefix(o.str("path"), "/")
		if !ok || !slices.Contains([]string{"test", "add", "replace", "remove"}, o.str("op")) {
			return nil, badPatch("op or path")
		}
		st := patchStep{op: o.str("op"), value: o.get("value")}
		for _, name := range strings.Split(path, "/") {
			st.path = append(st.path, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		}
		out = append(out, st)
	}
	return out, nil
}

// pathPatch reads a FHIRPath Patch, of which it knows paths with indexes.
func (rq *request) pathPatch(body []byte) ([]patchStep, error) {
	var o object
	var err error
	if bytes.HasPrefix(body, []byte("<")) {
		o, err = readXML(body, rq.srv.opts.FHIR)
	} else {
		o, err = readJSON(body)
	}
	if err != nil || o.str("resourceType") != "Parameters" {
		return nil, bad("the patch cannot be read")
	}
	var out []patchStep
	for _, v := range o.each("parameter") {
		p, _ := v.(object)
		st, err := pathStep(p, rq.typ)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

func pathStep(p object, typ string) (patchStep, error) {
	st := patchStep{}
	parts := map[string]object{}
	for _, v := range p.each("part") {
		part, _ := v.(object)
		parts[part.str("name")] = part
	}
	kind, _ := parameterText(parts["type"])
	st.op = map[string]string{"add": "add", "insert": "insert", "replace": "replace", "delete": "remove"}[kind]
	path, _ := parameterText(parts["path"])
	path, under := strings.CutPrefix(path+".", typ+".")
	if p.str("name") != "operation" || st.op == "" || !under || strings.Contains(path, "(") {
		return st, badPatch("operation")
	}
	path = strings.NewReplacer("[", ".", "]", "").Replace(strings.TrimSuffix(path, "."))
	if path != "" {
		st.path = strings.Split(path, ".")
	}
	if name, _ := parameterText(parts["name"]); name != "" && st.op == "add" {
		st.path = append(st.path, name)
	}
	if index, _ := parameterText(parts["index"]); index != "" && st.op == "insert" {
		st.path = append(st.path, index)
	}
	st.value = valueOf(parts["value"])
	return st, nil
}

// valueOf is a parameter's value: value[x], or parts that spell out an element.
func valueOf(p object) any {
	for _, m := range p {
		if strings.HasPrefix(m.name, "value") {
			return m.value
		}
	}
	var o object
	for _, v := range p.each("part") {
		part, _ := v.(object)
		name := part.str("name")
		for _, m := range part {
			if name == "value" && strings.HasPrefix(m.name, "value") {
				name = m.name // of a choice, as in an extension
			}
		}
		o = append(o, member{name, valueOf(part)})
	}
	if o == nil {
		return nil
	}
	return o
}

// applyPatch changes a copy of a resource; members that repeat become lists.
func (s *Server) applyPatch(o object, steps []patchStep) (object, error) {
	typ := o.str("resourceType")
	for _, st := range steps {
		p := patcher{step: st, repeats: func(path string) bool { return repeats(s.opts.FHIR, typ, path) }}
		v, err := p.apply(o, st.path, "")
		if err != nil {
			return nil, err
		}
		o, _ = v.(object)
	}
	if o.str("resourceType") != typ {
		return nil, badPatch("another resource")
	}
	return o, nil
}

type patcher struct {
	step    patchStep
	repeats func(path string) bool
}

// apply walks down to the end of the path and gives back a changed copy.
func (p patcher) apply(v any, path []string, at string) (any, error) {
	if len(path) == 0 {
		return p.end(v)
	}
	switch v := v.(type) {
	case object:
		return p.applyObject(v, path, at)
	case list:
		return p.applyList(v, path, at)
	}
	return nil, badPatch("no such path")
}

func (p patcher) applyObject(o object, path []string, at string) (any, error) {
	name := path[0]
	if at != "" {
		at += "."
	}
	at += name
	child := o.get(name)
	if child == nil && (len(path) > 1 && path[1] != "-" && path[1] != "0" || p.step.op != "add" && p.step.op != "insert") {
		return nil, badPatch("no such path: " + name)
	}
	if child == nil && p.repeats(at) {
		child = list{}
	}
	if l, isList := child.(list); isList && len(path) == 1 && p.step.op == "add" {
		return p.addTo(o, name, l), nil
	}
	next, err := p.apply(child, path[1:], at)
	if err != nil {
		return nil, err
	}
	if isEmpty(next) {
		return o.without(name), nil
	}
	return o.with(name, next, ""), nil
}

// addTo: JSON Patch gives the whole list, the others give one item of it.
func (p patcher) addTo(o object, name string, have list) object {
	if whole, ok := p.step.value.(list); ok {
		return o.with(name, whole, "")
	}
	return o.with(name, append(slices.Clone(have), p.step.value), "")
}

func (p patcher) applyList(l list, path []string, at string) (any, error) {
	adds := len(path) == 1 && (p.step.op == "add" || p.step.op == "insert")
	if path[0] == "-" && adds {
		return append(slices.Clone(l), p.step.value), nil
	}
	i, err := strconv.Atoi(path[0])
	if err != nil && len(l) == 1 && !adds { // a path without an index means the only one
		i, path = 0, append([]string{"0"}, path...)
	} else if err != nil || i < 0 || i > len(l) || i == len(l) && !adds {
		return nil, badPatch("no such item")
	}
	if adds {
		return slices.Insert(slices.Clone(l), i, p.step.value), nil
	}
	next, err := p.apply(l[i], path[1:], at)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(l)
	if isEmpty(next) {
		return slices.Delete(out, i, i+1), nil
	}
	out[i] = next
	return out, nil
}

// end does what the step says to the value at the end of its path.
func (p patcher) end(v any) (any, error) {
	switch p.step.op {
	case "remove":
		return nil, nil
	case "test":
		if !bytes.Equal(appendJSON(nil, v), appendJSON(nil, p.step.value)) {
			return nil, unprocessable("conflict", "the patch's test failed")
		}
		return v, nil
	}
	return p.step.value, nil
}

// ifMatch holds an If-Match header against a version.
func (s *Server) ifMatch(header, method string, version int) error {
	kind := IfMatchHeeded
	if method == http.MethodPatch {
		kind = s.opts.PatchIfMatch
	}
	want := strings.Trim(strings.TrimPrefix(strings.TrimSpace(header), "W/"), `"`)
	if want == "" && kind == IfMatchRequired {
		return &failure{status: http.StatusPreconditionFailed, code: "required", text: "If-Match is required"}
	}
	if want != "" && want != strconv.Itoa(version) && kind != IfMatchIgnored {
		return &failure{status: http.StatusPreconditionFailed, code: "conflict", text: "If-Match names version " + want + ", the current one is " + strconv.Itoa(version)}
	}
	return nil
}
