package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// errInvalid is at the root of everything that Check finds.
var errInvalid = errors.New("fhir: not a valid resource")

// instant as FHIR wants it written: seconds and an offset are required
// (https://hl7.org/fhir/R4/datatypes.html#instant).
var instantForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// checker collects what is wrong with a resource, by path.
type checker struct {
	rel    scheduling.Release
	path   []string
	faults []string
}

// Check tells what keeps a resource from being written: ids that are none,
// required elements that are missing, codes that the version does not have,
// instants without an offset. Resources of types without fields pass.
func Check(rel scheduling.Release, res model.Resource) error {
	c := &checker{rel: rel}
	c.resource(res)
	if len(c.faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errInvalid, strings.Join(c.faults, "; "))
}

func (c *checker) fault(element, what string) {
	c.faults = append(c.faults, strings.Join(append(slices.Clone(c.path), element), ".")+" "+what)
}

func (c *checker) within(name string, check func()) {
	c.path = append(c.path, name)
	check()
	c.path = c.path[:len(c.path)-1]
}

func (c *checker) need(element string, there bool) {
	if !there {
		c.fault(element, "is missing")
	}
}

// named tells whether a reference says anything.
func named(ref *model.Reference) bool {
	if ref == nil {
		return false
	}
	return ref.Reference != "" || ref.Display != "" || len(ref.Extension) > 0 ||
		(ref.Identifier != nil && ref.Identifier.Value != "")
}

// needText is need for a text of a resource: a primitive may have an extension
// (`_element`) in the place of its value.
func (c *checker) needText(base *model.Base, element, value string) {
	// An extension may say why there is no value; an empty one says nothing.
	said := bytes.Contains(base.X, []byte(`"_`+element+`"`)) && !bytes.Contains(base.X, []byte(`"_`+element+`":{}`))
	c.need(element, value != "" || said)
}

func (c *checker) code(element, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.fault(element, "is not a code of this version")
	}
}

func (c *checker) instant(element, value string) {
	if value != "" && !instantForm.MatchString(value) {
		c.fault(element, "is not an instant")
	}
}

func (c *checker) resource(res model.Resource) {
	if res == nil {
		c.fault("resource", "is missing")
		return
	}
	base := res.Common()
	c.within(res.ResourceType(), func() {
		if base.ID != "" && !scheduling.ValidID(base.ID) {
			c.fault("id", "is not an id")
		}
		if base.Meta != nil {
			c.instant("meta.lastUpdated", base.Meta.LastUpdated)
		}
		for _, inner := range base.Contained {
			c.within("contained", func() { c.resource(inner) })
		}
		c.extensions(base.Extension)
		c.byType(res)
	})
}

func (c *checker) extensions(list []model.Extension) {
	for _, ext := range list {
		c.need("extension.url", ext.URL != "")
	}
}

func (c *checker) byType(res model.Resource) {
	switch r := res.(type) {
	case *model.Slot:
		c.slot(r)
	case *model.Schedule:
		c.need("actor", len(r.Actor) > 0)
		for i := range r.Actor {
			c.need("actor", named(&r.Actor[i]))
		}
	case *model.Appointment:
		c.appointment(r)
	case *model.Bundle:
		c.bundle(r)
	case *model.Parameters:
		c.parameters(r.Parameter)
	case *model.OperationOutcome:
		c.outcome(r)
	case *model.CapabilityStatement:
		c.capability(r)
	case *model.OperationDefinition:
		c.operation(r)
	case *model.Coverage:
		if c.rel == scheduling.R4 {
			c.needText(&r.Base, "status", r.Status)
			c.need("beneficiary", named(r.Beneficiary))
			c.need("payor", len(r.Payor) > 0)
		}
	case *model.Subscription:
		c.needText(&r.Base, "status", r.Status)
		c.needText(&r.Base, "criteria", r.Criteria)
		c.need("channel", r.Channel != nil)
	case *model.Location:
		c.code("status", r.Status, "active", "suspended", "inactive")
	case *model.Practitioner:
		c.code("gender", r.Gender, "male", "female", "other", "unknown")
	case *model.RelatedPerson:
		c.need("patient", named(r.Patient))
		c.code("gender", r.Gender, "male", "female", "other", "unknown")
	case *model.Patient:
		c.code("gender", r.Gender, "male", "female", "other", "unknown")
	}
}
