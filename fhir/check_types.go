package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func (c *checker) slot(r *model.Slot) {
	c.need("schedule", named(r.Schedule))
	c.needText(&r.Base, "status", r.Status)
	c.needText(&r.Base, "start", r.Start)
	c.needText(&r.Base, "end", r.End)
	c.code("status", r.Status, "busy", "free", "busy-unavailable", "busy-tentative", "entered-in-error")
	c.instant("start", r.Start)
	c.instant("end", r.End)
}

func (c *checker) appointment(r *model.Appointment) {
	c.needText(&r.Base, "status", r.Status)
	// checked-in and waitlist are R4's; the adapter says them otherwise in STU3.
	c.code("status", r.Status, "proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow",
		"entered-in-error", "checked-in", "waitlist")
	c.instant("start", r.Start)
	c.instant("end", r.End)
	// Constraint app-2: either start and end are given, or neither.
	if (r.Start == "") != (r.End == "") {
		c.fault("start", "and end go together")
	}
	c.need("participant", len(r.Participant) > 0)
	for _, p := range r.Participant {
		c.within("participant", func() {
			c.need("status", p.Status != "")
			c.code("status", p.Status, "accepted", "declined", "tentative", "needs-action")
			c.code("required", p.Required, "required", "optional", "information-only")
			c.need("actor", named(p.Actor) || len(p.Type) > 0) // constraint app-1
		})
	}
}

func (c *checker) bundle(r *model.Bundle) {
	c.needText(&r.Base, "type", r.Type)
	c.code("type", r.Type, "document", "message", "transaction", "transaction-response", "batch",
		"batch-response", "history", "searchset", "collection")
	if r.Total != nil && r.Type != "searchset" && r.Type != "history" {
		c.fault("total", "is for searches and histories only") // constraint bdl-1
	}
	for _, l := range r.Link {
		c.need("link.relation", l.Relation != "")
		c.need("link.url", l.URL != "")
	}
	for _, e := range r.Entry {
		c.within("entry", func() { c.entry(r, e) })
	}
}

func (c *checker) entry(b *model.Bundle, e model.BundleEntry) {
	if e.Search != nil {
		c.code("search.mode", e.Search.Mode, "match", "include", "outcome")
		if b.Type != "searchset" {
			c.fault("search", "is for searches only") // constraint bdl-2
		}
	}
	if e.Resource != nil {
		c.resource(e.Resource)
		return
	}
	// Constraint bdl-5: an entry without a resource has a request or response.
	c.need("resource", e.Request != nil || e.Response != nil)
}

func (c *checker) parameters(list []model.Parameter) {
	for _, p := range list {
		c.within("parameter", func() {
			c.need("name", p.Name != "")
			if p.Resource != nil {
				c.resource(p.Resource)
			}
			c.parameters(p.Part)
		})
	}
}

func (c *checker) outcome(r *model.OperationOutcome) {
	c.need("issue", len(r.Issue) > 0)
	for _, i := range r.Issue {
		c.within("issue", func() {
			c.need("severity", i.Severity != "")
			c.code("severity", i.Severity, "fatal", "error", "warning", "information")
			c.need("code", i.Code != "")
			c.code("code", i.Code, "invalid", "structure", "required", "value", "invariant", "security",
				"login", "unknown", "expired", "forbidden", "suppressed", "processing", "not-supported",
				"duplicate", "not-found", "too-long", "code-invalid", "extension", "too-costly",
				"business-rule", "conflict", "incomplete", "transient", "lock-error", "no-store",
				"exception", "timeout", "throttled", "informational", "multiple-matches", "deleted")
			if c.rel == scheduling.STU3 {
				// R4 added these two.
				if i.Code == "multiple-matches" || i.Code == "deleted" {
					c.fault("code", "is not a code of this version")
				}
			}
		})
	}
}

func (c *checker) capability(r *model.CapabilityStatement) {
	c.needText(&r.Base, "status", r.Status)
	c.code("status", r.Status, "draft", "active", "retired", "unknown")
	c.needText(&r.Base, "date", r.Date)
	c.needText(&r.Base, "kind", r.Kind)
	c.needText(&r.Base, "fhirVersion", r.FHIRVersion)
	c.need("format", len(r.Format) > 0)
	for _, rest := range r.Rest {
		c.need("rest.mode", rest.Mode != "")
		for _, res := range rest.Resource {
			c.need("rest.resource.type", res.Type != "")
		}
	}
}

func (c *checker) operation(r *model.OperationDefinition) {
	c.needText(&r.Base, "name", r.Name)
	c.needText(&r.Base, "status", r.Status)
	c.code("status", r.Status, "draft", "active", "retired", "unknown")
	c.needText(&r.Base, "kind", r.Kind)
	c.code("kind", r.Kind, "operation", "query")
	c.needText(&r.Base, "code", r.Code)
	c.need("system", r.System != nil)
	c.need("type", r.Type != nil)
	c.need("instance", r.Instance != nil)
	for _, p := range r.Parameter {
		c.need("parameter.name", p.Name != "")
		c.code("parameter.use", p.Use, "in", "out")
		c.need("parameter.min", p.Min != nil)
		c.need("parameter.max", p.Max != "")
	}
}
