// Package r4 writes and reads the resources of package model as FHIR R4
// (4.0.1). The union types follow R4's names and numbers, so there is little to
// adapt: what only STU3 has is left out.
package r4
