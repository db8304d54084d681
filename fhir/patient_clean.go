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

// harmless refuses a resource with markup or control characters anywhere but in
// its narrative, and a narrative that does more than show text. It is handed on
// to people's browsers, in clinics and elsewhere.
func harmless(data []byte) error {
	all, err := tree(data)
	if err != nil {
		return err
	}
	return harmlessIn("Patient", "", all)
}

func harmlessIn(path, name string, value any) error {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			at := path
			if path == "Patient" && key != "resourceType" && scheduling.PlainText(key) {
				at = "Patient." + strings.TrimPrefix(key, "_")
			}
			if !scheduling.PlainText(key) {
				return refusePatient(at, "the patient holds markup or control characters")
			}
			if err := harmlessIn(at, key, inner); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range v {
			if err := harmlessIn(path, name, inner); err != nil {
				return err
			}
		}
	case string:
		if name == "div" {
			return harmlessNarrative(v)
		}
		if !scheduling.PlainText(v) {
			return refusePatient(path, "the patient holds markup or control characters")
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

func harmlessNarrative(div string) error {
	const element = "Patient.text"
	dec := xml.NewDecoder(strings.NewReader(div))
	dec.Entity = xml.HTMLEntity
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return refusePatient(element, "the narrative is not well-formed XHTML")
		}
		switch t := token.(type) {
		case xml.ProcInst, xml.Directive:
			return refusePatient(element, "the narrative does more than show text")
		case xml.StartElement:
			if !harmlessTag(t) {
				return refusePatient(element, "the narrative does more than show text")
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
	kept, _ := unreferred(all)
	out, err := json.Marshal(kept)
	if err != nil {
		return nil, scheduling.Fault(scheduling.Internal, err, "a patient cannot be written")
	}
	return out, nil
}

// unreferred gives the value without references; gone tells that nothing is left
// of it.
func unreferred(value any) (kept any, gone bool) {
	switch v := value.(type) {
	case map[string]any:
		return v, unreferredObject(v)
	case []any:
		var list []any
		for _, inner := range v {
			if one, gone := unreferred(inner); !gone {
				list = append(list, one)
			}
		}
		return list, len(list) == 0 && len(v) > 0
	default:
		return value, false
	}
}

func unreferredObject(v map[string]any) (gone bool) {
	changed := false
	if to, ok := v["reference"].(string); ok && !strings.HasPrefix(to, "#") {
		delete(v, "reference")
		delete(v, "_reference")
		delete(v, "type") // of what it led to
		changed = true
	}
	for key, inner := range v {
		one, lost := unreferred(inner)
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
