package model

// Typed is a resource as JSON has it: its type, then its elements. It is what
// is handed to the encoder, since a Resource itself does not carry its name.
type Typed[T any] struct {
	ResourceType string `json:"resourceType"`
	Body         *T     `json:",embed"`
}

// Open gives an empty resource of a type and the value to decode it into. Both
// are nil for a type that this package has no fields for.
func Open(resourceType string) (res Resource, into any) {
	res = New(resourceType)
	return res, Plain(res)
}

// Plain is the resource with its type in front, as both versions write it. The
// version packages override it where a version differs.
func Plain(res Resource) any {
	switch r := res.(type) {
	case *Slot:
		return typed(res, r)
	case *Schedule:
		return typed(res, r)
	case *Appointment:
		return typed(res, r)
	case *Bundle:
		return typed(res, r)
	case *Parameters:
		return typed(res, r)
	case *OperationOutcome:
		return typed(res, r)
	case *Practitioner:
		return typed(res, r)
	case *PractitionerRole:
		return typed(res, r)
	case *Location:
		return typed(res, r)
	case *Organization:
		return typed(res, r)
	}
	return plainRest(res)
}

func plainRest(res Resource) any {
	switch r := res.(type) {
	case *HealthcareService:
		return typed(res, r)
	case *Patient:
		return typed(res, r)
	case *RelatedPerson:
		return typed(res, r)
	case *Coverage:
		return typed(res, r)
	case *Subscription:
		return typed(res, r)
	case *CapabilityStatement:
		return typed(res, r)
	case *OperationDefinition:
		return typed(res, r)
	case *Raw:
		return r.JSON
	}
	return nil
}

func typed[T any](res Resource, body *T) *Typed[T] {
	return &Typed[T]{ResourceType: res.ResourceType(), Body: body}
}
