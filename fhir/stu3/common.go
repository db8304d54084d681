package stu3

import (
	"strings"

	"slotgate/fhir/model"
)

// MetaSource is the extension that carries R4's meta.source in STU3
// (http://hl7.org/fhir/versions.html#extensions).
const MetaSource = "http://hl7.org/fhir/4.0/StructureDefinition/extension-Meta.source"

// sourceIn moves the extension to Meta.Source.
func sourceIn(b *model.Base) {
	if b.Meta == nil || b.Meta.Source != "" {
		return
	}
	for i, ext := range b.Meta.Extension {
		if ext.URL == MetaSource && ext.ValueURI != "" {
			b.Meta.Source = ext.ValueURI
			b.Meta.Extension = without(b.Meta.Extension, i)
			return
		}
	}
}

// sourceOut moves Meta.Source to the extension; b is a copy, its Meta is not.
func sourceOut(b *model.Base) {
	if b.Meta == nil || b.Meta.Source == "" {
		return
	}
	meta := *b.Meta
	meta.Extension = append([]model.Extension{{URL: MetaSource, ValueURI: meta.Source}}, meta.Extension...)
	meta.Source = ""
	b.Meta = &meta
}

func without(list []model.Extension, i int) []model.Extension {
	return append(append([]model.Extension(nil), list[:i]...), list[i+1:]...)
}

// The tables of HL7 v2 have one address in STU3 and another one in R4; inside,
// R4's is used.
const (
	tableSTU3 = "http://hl7.org/fhir/v2/"
	tableR4   = "http://terminology.hl7.org/CodeSystem/v2-"
)

func tableIn(c *model.CodeableConcept) *model.CodeableConcept { return moved(c, tableSTU3, tableR4) }

func tableOut(c *model.CodeableConcept) *model.CodeableConcept { return moved(c, tableR4, tableSTU3) }

// moved is the concept with the prefix of its codings' systems replaced; c is
// not changed.
func moved(c *model.CodeableConcept, from, to string) *model.CodeableConcept {
	if c == nil {
		return nil
	}
	for i := range c.Coding {
		table, ok := strings.CutPrefix(c.Coding[i].System, from)
		if !ok {
			continue
		}
		out := *c
		out.Coding = append([]model.Coding(nil), c.Coding...)
		out.Coding[i].System = to + table
		return moved(&out, from, to)
	}
	return c
}
