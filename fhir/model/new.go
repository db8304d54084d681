package model

// New gives an empty resource of a type, or nil for a type that this package
// has no fields for.
func New(resourceType string) Resource {
	switch resourceType {
	case "Slot":
		return new(Slot)
	case "Schedule":
		return new(Schedule)
	case "Appointment":
		return new(Appointment)
	case "Bundle":
		return new(Bundle)
	case "Parameters":
		return new(Parameters)
	case "OperationOutcome":
		return new(OperationOutcome)
	case "Practitioner":
		return new(Practitioner)
	case "PractitionerRole":
		return new(PractitionerRole)
	case "Location":
		return new(Location)
	case "Organization":
		return new(Organization)
	case "HealthcareService":
		return new(HealthcareService)
	case "Patient":
		return new(Patient)
	case "RelatedPerson":
		return new(RelatedPerson)
	case "Coverage":
		return new(Coverage)
	case "Subscription":
		return new(Subscription)
	case "CapabilityStatement":
		return new(CapabilityStatement)
	case "OperationDefinition":
		return new(OperationDefinition)
	}
	return nil
}
