// Package fhir is the front door to FHIR: everything else in Slotgate speaks
// package scheduling, and comes here to read what an EHR or a caller sent and
// to write what they are to get.
//
// # Two versions, two formats
//
// STU3 (3.0.1) and R4 (4.0.1), JSON and XML. Reading goes
//
//	bytes -> (XML: fhirxml to JSON) -> stu3 or r4 wire types -> model.Resource
//
// and writing the same way back. Package model holds one union type per
// resource; packages stu3 and r4 hold only what differs; package fhirxml turns
// the two formats into each other by a table of every type's elements.
//
// # Tolerant and strict
//
// What real servers send is read tolerantly: unknown elements and types are
// kept, a broken entry of a page costs that entry only and is counted. What we
// write is checked first: ids, required elements, codes and instants.
//
// What comes from anyone is hostile until read: nesting, duplicate names,
// invalid UTF-8, XML entities and DTDs are refused before any type sees them.
//
// # Errors
//
// Every error is a *scheduling.Error whose text is ours: it never repeats what
// was sent.
package fhir
