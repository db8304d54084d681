package stu3

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// R4 moved the code systems that HL7 itself keeps to terminology.hl7.org
// (https://hl7.org/fhir/R4/terminologies-systems.html). What a person or their
// insurance is described by goes from one release to the other, so its codings
// get R4's names inside, and STU3's outside. Other systems, such as SNOMED CT or
// the NPI, have one name in both.
const (
	oldSystems = "http://hl7.org/fhir/"
	newSystems = "http://terminology.hl7.org/CodeSystem/"
)

// renamed are the systems that moved, without what all have in front: those of
// the tables of HL7 v2 and v3 beside them follow a rule.
func renamed() [][2]string {
	return [][2]string{
		{"policyholder-relationship", "subscriber-relationship"},
		{"coverage-selfpay", "coverage-selfpay"},
		{"organization-type", "organization-type"},
		{"contactentity-type", "contactentity-type"},
		{"data-absent-reason", "data-absent-reason"},
	}
}

// Moved tells whether the code systems of a resource of this type are renamed.
func Moved(resourceType string) bool {
	switch resourceType {
	case "Patient", "RelatedPerson", "Coverage":
		return true
	}
	return false
}

// SystemsIn gives STU3's code systems in a resource the names that R4 has.
func SystemsIn(resource jsontext.Value) (jsontext.Value, error) {
	return renameSystems(resource, oldSystems, systemIn)
}

// SystemsOut is SystemsIn turned round.
func SystemsOut(resource jsontext.Value) (jsontext.Value, error) {
	return renameSystems(resource, newSystems, systemOut)
}

func systemIn(system string) string {
	name, ok := strings.CutPrefix(system, oldSystems)
	if !ok {
		return system
	}
	for _, pair := range renamed() {
		if name == pair[0] {
			return newSystems + pair[1]
		}
	}
	for _, table := range []string{"v2", "v3"} {
		if code, ok := strings.CutPrefix(name, table+"/"); ok && code != "" {
			return newSystems + table + "-" + code
		}
	}
	return system
}

func systemOut(system string) string {
	name, ok := strings.CutPrefix(system, newSystems)
	if !ok {
		return system
	}
	for _, pair := range renamed() {
		if name == pair[1] {
			return oldSystems + pair[0]
		}
	}
	for _, table := range []string{"v2", "v3"} {
		if code, ok := strings.CutPrefix(name, table+"-"); ok && code != "" {
			return oldSystems + table + "/" + code
		}
	}
	return system
}

// renameSystems copies a resource, and every system in it under its other name.
// One in which none can be is given back.
func renameSystems(resource jsontext.Value, prefix string, rename func(string) string) (jsontext.Value, error) {
	// A slash may be written as \/, which hides the prefix.
	if !bytes.Contains(resource, []byte(prefix)) && !bytes.Contains(resource, []byte(`\`)) {
		return resource, nil
	}
	options := jsontext.AllowDuplicateNames(true) // looked at when the text was first read
	dec := jsontext.NewDecoder(bytes.NewReader(resource), options)
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, options)
	for dec.PeekKind() != 0 {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		isSystem := tok.Kind() == '"' && tok.String() == "system" && isName(dec)
		if err := enc.WriteToken(tok); err != nil {
			return nil, err
		}
		if !isSystem || dec.PeekKind() != '"' {
			continue
		}
		if tok, err = dec.ReadToken(); err != nil {
			return nil, err
		}
		if err := enc.WriteToken(jsontext.String(rename(tok.String()))); err != nil {
			return nil, err
		}
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// isName tells whether the token read last is the name of a member.
func isName(dec *jsontext.Decoder) bool {
	kind, n := dec.StackIndex(dec.StackDepth())
	return kind == '{' && n%2 == 1
}
