// Package stu3 writes and reads the resources of package model as FHIR STU3
// (3.0.1), the version of the Argonaut Scheduling guide.
//
// wire.go holds what STU3 writes differently from the union types: elements of
// another name, or single where R4 has a list. adapter.go turns one into the
// other; what R4 added and STU3 cannot say is left out there, and nowhere else.
package stu3
