package fhir

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"

	"slotgate/scheduling"
)

// tree reads JSON so that it can be written again without a change: numbers
// keep their digits.
func tree(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var all any
	if err := dec.Decode(&all); err != nil {
		return nil, scheduling.Fault(scheduling.Internal, err, "a resource that was written cannot be read")
	}
	return all, nil
}

// hygiene judges what a resource holds; kind is its type, for the refusals.
type hygiene struct{ kind string }

// harmless refuses a resource with markup or control characters anywhere but in
// its narrative, and a narrative that does more than show text. It is handed on
// to people's browsers, in clinics and elsewhere.
func harmless(kind string, data []byte) error {
	all, err := tree(data)
	if err != nil {
		return err
	}
	return hygiene{kind}.value(kind, "", all)
}

func (h hygiene) refuse(element, what string) error {
	return scheduling.Refuse(scheduling.NotAcceptable, element, "the %s %s", strings.ToLower(h.kind), what)
}

func (h hygiene) value(path, name string, value any) error {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			at := path
			if path == h.kind && key != "resourceType" && scheduling.PlainText(key) {
				at = h.kind + "." + strings.TrimPrefix(key, "_")
			}
			switch bare := strings.TrimPrefix(key, "_"); {
			case !scheduling.PlainText(key):
				return h.refuse(at, "holds markup or control characters")
			case tableOf(scheduling.R4).Misspelled(bare) && tableOf(scheduling.STU3).Misspelled(bare):
				return h.refuse(h.kind, "has an element whose name is wrong in upper and lower case")
			}
			if err := h.value(at, key, inner); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range v {
			if err := h.value(path, name, inner); err != nil {
				return err
			}
		}
	case string:
		if name == "div" {
			return h.narrative(v)
		}
		if !scheduling.PlainText(v) {
			return h.refuse(path, "holds markup or control characters")
		}
	}
	return nil
}

// narrativeTags are what a narrative may be made of
// (https://hl7.org/fhir/R4/narrative.html#xhtml): text, lists, tables, links and
// pictures.
const narrativeTags = ` a abbr acronym address b big blockquote br caption cite code col colgroup dd dfn div dl dt em
 h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt u ul var `

// narrativeAttributes are those that only say how it looks or what it is.
const narrativeAttributes = ` abbr align alt axis border cellpadding cellspacing char charoff cite class colspan dir
 frame headers height href hreflang id lang longdesc name rel rev rowspan rules scope span src start style summary
 title type valign value width xmlns `

func (h hygiene) narrative(div string) error {
	element := h.kind + ".text"
	dec := xml.NewDecoder(strings.NewReader(div))
	dec.Entity = xml.HTMLEntity
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return h.refuse(element, "has a narrative that is not well-formed XHTML")
		}
		switch t := token.(type) {
		case xml.ProcInst, xml.Directive:
			return h.refuse(element, "has a narrative that does more than show text")
		case xml.StartElement:
			if !harmlessTag(t) {
				return h.refuse(element, "has a narrative that does more than show text")
			}
		}
	}
}

func harmlessTag(t xml.StartElement) bool {
	if !oneWord(narrativeTags, t.Name.Local) {
		return false
	}
	for _, attr := range t.Attr {
		switch name := attr.Name.Local; {
		case attr.Name.Space == "xml" || attr.Name.Space == "http://www.w3.org/XML/1998/namespace":
		case !oneWord(narrativeAttributes, name):
			return false
		case (name == "href" || name == "src" || name == "cite" || name == "longdesc") && !harmlessLink(attr.Value):
			return false
		case name == "style" && strings.ContainsAny(attr.Value, "(@\\"):
			return false
		}
	}
	return true
}

func oneWord(list, word string) bool {
	return word != "" && !strings.ContainsAny(word, " \n") && strings.Contains(strings.ReplaceAll(list, "\n", ""), " "+word+" ")
}

func harmlessLink(link string) bool {
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "", "http", "https", "mailto", "tel":
		return true
	default:
		return false
	}
}

// withoutReferences takes the addresses out of all references but those to what
// is contained: an id of ours, or of another server, names somebody else at the
// EHR, or nobody. Displays and identifiers stay; links to other Patients go.
func withoutReferences(data []byte) ([]byte, error) {
	all, err := tree(data)
	if err != nil {
		return nil, err
	}
	if top, ok := all.(map[string]any); ok {
		delete(top, "link")
		delete(top, "_link")
	}
	none := referring(func(string) (string, bool) { return "", false })
	kept, _ := none.value(all)
	return untree(kept)
}

// untree writes a tree again.
func untree(all any) ([]byte, error) {
	out, err := json.Marshal(all)
	if err != nil {
		return nil, scheduling.Fault(scheduling.Internal, err, "a resource cannot be written")
	}
	return out, nil
}

// referring says what becomes of a reference that is not to something contained:
// the address to write in its place, or false for none.
type referring func(reference string) (string, bool)

// value gives the value with its references changed; gone tells that nothing is
// left of it.
func (to referring) value(value any) (kept any, gone bool) {
	switch v := value.(type) {
	case map[string]any:
		return v, to.object(v)
	case []any:
		list := []any{}
		for _, inner := range v {
			if one, gone := to.value(inner); !gone {
				list = append(list, one)
			}
		}
		return list, len(list) == 0 && len(v) > 0
	default:
		return value, false
	}
}

func (to referring) object(v map[string]any) (gone bool) {
	changed := false
	if at, ok := v["reference"].(string); ok && !strings.HasPrefix(at, "#") {
		if address, ok := to(at); ok {
			v["reference"] = address
		} else {
			delete(v, "reference")
			delete(v, "_reference")
			delete(v, "type") // of what it led to
			changed = true
		}
	}
	for key, inner := range v {
		one, lost := to.value(inner)
		if lost {
			delete(v, key)
			changed = true
			continue
		}
		v[key] = one
	}
	_, urlOnly := v["url"]
	return changed && (len(v) == 0 || len(v) == 1 && urlOnly)
}
