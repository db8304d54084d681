// Package model holds FHIR resources as they are on the wire, one Go type for
// both versions that Slotgate speaks: STU3 (3.0.1) and R4 (4.0.1).
//
// Each type is the union of the two versions. Where they differ in name, the
// R4 name is used (Appointment.ReasonCode is STU3's Appointment.reason); where
// they differ in number, the list is used (ServiceCategory). Packages stu3 and
// r4 know how a union is written and read in their version.
//
// Three rules hold for every type here.
//
//   - Times stay the strings that were received. FHIR allows a date without a
//     time and, in practice, a time without a zone; only the reader of a source
//     knows the zone, so only it may turn the text into an instant.
//   - What the types do not name is not lost: elements without a field, and the
//     `_field` companions of primitives (their ids and extensions), stay in X,
//     a JSON object, and are written again.
//   - A zero field is an absent element. Booleans and integers whose zero means
//     something are pointers.
package model
