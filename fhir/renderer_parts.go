package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// The append functions write the few datatypes that vary from offer to offer,
// just as the ordinary writer does: no empty objects, no empty lists.

// appendOwn writes the slot's own concepts, else what its setting has.
func appendOwn(dst []byte, rel scheduling.Release, name string, own []scheduling.Concept, fragment string) []byte {
	if len(own) == 0 {
		return append(dst, fragment...)
	}
	return appendConcepts(dst, rel, name, own)
}

// appendConcepts writes a member with a list of concepts; the one concept that
// there is room for where STU3 has no list.
func appendConcepts(dst []byte, rel scheduling.Release, name string, list []scheduling.Concept) []byte {
	single := rel == scheduling.STU3 && name == "serviceCategory"
	start := len(dst)
	dst = appendName(dst, name)
	if !single {
		dst = append(dst, '[')
	}
	n := 0
	for i := range list {
		if !says(list[i]) {
			continue
		}
		if n > 0 {
			if single {
				break
			}
			dst = append(dst, ',')
		}
		dst = appendConceptBody(dst, rel, &list[i])
		n++
	}
	if n == 0 {
		return dst[:start]
	}
	if !single {
		dst = append(dst, ']')
	}
	return dst
}

func appendConcept(dst []byte, rel scheduling.Release, name string, c scheduling.Concept) []byte {
	if !says(c) {
		return dst
	}
	return appendConceptBody(appendName(dst, name), rel, &c)
}

func appendName(dst []byte, name string) []byte {
	dst = append(append(dst, ',', '"'), name...)
	return append(dst, '"', ':')
}

// says tells whether anything is in a concept.
func says(c scheduling.Concept) bool {
	if c.Text != "" {
		return true
	}
	for i := range c.Codings {
		if c.Codings[i] != (scheduling.Coding{}) {
			return true
		}
	}
	return false
}

func appendConceptBody(dst []byte, rel scheduling.Release, c *scheduling.Concept) []byte {
	dst = append(dst, '{')
	separator := `"coding":[`
	for i := range c.Codings {
		if c.Codings[i] == (scheduling.Coding{}) {
			continue
		}
		dst = append(dst, separator...)
		separator = ","
		dst = appendCoding(dst, rel, &c.Codings[i])
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	dst = appendText(dst, "text", c.Text)
	return append(dst, '}')
}

func appendCoding(dst []byte, rel scheduling.Release, c *scheduling.Coding) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "system", systemOut(rel, c.System))
	dst = appendText(dst, "code", c.Code)
	dst = appendText(dst, "display", c.Display)
	return append(dst, '}')
}

// appendText writes a member with a string, after a comma where one is due.
func appendText(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, '"'), name...)
	return appendString(append(dst, '"', ':'), text)
}

func appendParticipants(dst []byte, list []model.AppointmentParticipant) []byte {
	separator := `,"participant":[`
	for i := range list {
		dst = append(append(dst, separator...), `{"actor":{`...)
		dst = appendText(dst, "reference", list[i].Actor.Reference)
		dst = appendText(dst, "display", list[i].Actor.Display)
		dst = append(dst, `},"required":"required","status":"needs-action"}`...)
		separator = ","
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return dst
}

// appendPeriod writes the member requestedPeriod.
func appendPeriod(dst []byte, p *model.Period) []byte {
	if p == nil {
		return dst
	}
	dst = append(dst, `,"requestedPeriod":[{`...)
	dst = appendText(dst, "start", p.Start)
	dst = appendText(dst, "end", p.End)
	return append(dst, '}', ']')
}

func appendLinks(dst []byte, links []model.BundleLink) []byte {
	separator := `,"link":[`
	for _, l := range links {
		dst = append(append(dst, separator...), '{')
		dst = appendText(dst, "relation", l.Relation)
		dst = appendText(dst, "url", l.URL)
		dst = append(dst, '}')
		separator = ","
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return dst
}
