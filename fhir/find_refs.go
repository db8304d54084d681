package fhir

import (
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// isReference tells whether a value of `location`, which is a text with some
// and a reference with others, is a reference.
func (v value) isReference() bool {
	return v.ref != nil || v.exact != nil || strings.HasPrefix(v.text, "Location/") || strings.Contains(v.text, "://")
}

// ref reads references of one of the kinds; an id without a type is of the
// first.
func (f *finder) ref(v value, list *[]scheduling.Ref, kinds ...scheduling.Kind) error {
	if v.ref != nil && v.ref.Reference == "" {
		return f.logical(v, list, kinds[0])
	}
	if v.exact != nil {
		return identified(v, list, kinds[0])
	}
	for _, part := range v.parts() {
		ref, fault := f.oneRef(strings.TrimSpace(part), kinds)
		if fault != "" {
			return bad(v.name, fault)
		}
		*list = append(*list, ref)
	}
	return nil
}

// logical reads a Reference that names its target by an identifier.
func (f *finder) logical(v value, list *[]scheduling.Ref, kind scheduling.Kind) error {
	id := v.ref.Identifier
	if id == nil || id.Value == "" {
		return bad(v.name, "a reference or an identifier is needed")
	}
	*list = append(*list, scheduling.Ref{Kind: kind, Identifier: toIdentifiers([]model.Identifier{*id})[0]})
	return nil
}

func identified(v value, list *[]scheduling.Ref, kind scheduling.Kind) error {
	for _, t := range v.exact {
		if t.Code == "" {
			return bad(v.name, "an identifier needs a value")
		}
		*list = append(*list, scheduling.Ref{Kind: kind, Identifier: scheduling.Identifier{System: t.System, Value: t.Code}})
	}
	return nil
}

// oneRef reads Type/id, id, an absolute URL, or an identifier system|value.
func (f *finder) oneRef(text string, kinds []scheduling.Kind) (ref scheduling.Ref, fault string) {
	if strings.Contains(text, "|") {
		t, ok := parseToken(text)
		if !ok || t.Code == "" {
			return ref, "an identifier needs a value (system|value)"
		}
		return scheduling.Ref{Kind: kinds[0], Identifier: scheduling.Identifier{System: t.System, Value: t.Code}}, ""
	}
	local := f.local(unescape(text))
	if scheduling.ValidID(local) {
		return scheduling.Ref{Kind: kinds[0], ID: local}, ""
	}
	kind, id := RefParts(local)
	if id == "" {
		return ref, "is not a reference"
	}
	if !slices.Contains(kinds, kind) {
		return ref, "refers to another type than " + string(kinds[0])
	}
	if strings.Contains(local, "://") {
		return scheduling.Ref{Kind: kind, ID: id, URL: local}, ""
	}
	if strings.Count(local, "/") != 1 && !strings.Contains(local, "/_history/") {
		return ref, "is not a reference"
	}
	return scheduling.Ref{Kind: kind, ID: id}, ""
}

// local takes our own base away from an absolute reference.
func (f *finder) local(text string) string {
	for _, base := range f.opts.Bases {
		if rest, ok := strings.CutPrefix(text, strings.TrimSuffix(base, "/")+"/"); ok {
			return rest
		}
	}
	return text
}
