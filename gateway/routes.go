package gateway

import (
	"github.com/gofiber/fiber/v2"

	"slotgate/gateway/auth"
	"slotgate/scheduling"
)

// releases are the FHIR bases that are served.
func releases() []scheduling.Release { return []scheduling.Release{scheduling.R4, scheduling.STU3} }

// directoryKinds are the types that are read and searched from the cache.
func directoryKinds() []scheduling.Kind {
	return []scheduling.Kind{
		scheduling.KindPractitioner, scheduling.KindRole, scheduling.KindLocation, scheduling.KindOrganization,
		scheduling.KindService, scheduling.KindSchedule, scheduling.KindSlot,
	}
}

// routes says what is served. What the CapabilityStatement tells must agree; a
// test looks.
func (s *Server) routes() {
	s.app.Use(s.edge)
	s.app.Get("/.well-known/jwks.json", s.route("/.well-known/jwks.json", auth.Open, (*exchange).jwks))
	s.serveNotices()
	for _, rel := range releases() {
		s.fhirBase(rel)
	}
}

// fhirBase registers one FHIR base.
func (s *Server) fhirBase(rel scheduling.Release) {
	base := "/fhir/" + string(rel)
	get := func(path string, right auth.Right, handle handler) {
		s.app.Get(base+path, s.route(base+path, right, handle))
	}
	post := func(path string, right auth.Right, handle handler) {
		s.app.Post(base+path, s.route(base+path, right, handle))
	}
	get("/metadata", auth.Open, (*exchange).metadata)
	get("/.well-known/smart-configuration", auth.Open, (*exchange).smartConfiguration)
	get("/OperationDefinition", auth.Open, (*exchange).searchOperations)
	get("/OperationDefinition/:id", auth.Open, (*exchange).readOperation)
	// Both spellings of $, and before any :id, which would take %24find for one.
	for _, find := range []string{"$find", "%24find"} {
		s.app.Get(base+"/Appointment/"+find, s.route(base+"/Appointment/$find", auth.Find, (*exchange).findByGet))
		s.app.Post(base+"/Appointment/"+find, s.route(base+"/Appointment/$find", auth.Find, (*exchange).findByPost))
	}
	if s.deps.Desk != nil {
		s.serveDesk(base)
	}
	if s.deps.Patients != nil {
		s.servePatients(base)
	}
	if s.deps.Coverages != nil {
		s.serveCoverages(base)
	}
	for _, kind := range directoryKinds() {
		search := func(x *exchange) error { return x.search(kind) }
		get("/"+string(kind), auth.Directory, search)
		post("/"+string(kind)+"/_search", auth.Directory, search)
		get("/"+string(kind)+"/:id", auth.Directory, func(x *exchange) error { return x.read(kind) })
	}
}

// handler answers an exchange, or gives the error to answer with.
type handler func(*exchange) error

// serveDesk registers what needs the desk, on one base.
func (s *Server) serveDesk(base string) {
	add := func(method, path, template string, handle handler) {
		s.app.Add(method, base+path, s.private(base+template, handle))
	}
	for name, handle := range map[string]handler{"hold": (*exchange).hold, "book": (*exchange).book} {
		for _, dollar := range []string{"$", "%24"} {
			add(fiber.MethodPost, "/Appointment/"+dollar+name, "/Appointment/$"+name, handle)
			add(fiber.MethodPost, "/Appointment/:id/"+dollar+name, "/Appointment/:id/$"+name, handle)
		}
	}
	add(fiber.MethodPost, "/Appointment/_search", "/Appointment/_search", (*exchange).listAppointments)
	for _, method := range []string{fiber.MethodGet, fiber.MethodHead} {
		add(method, "/Appointment", "/Appointment", (*exchange).listAppointments)
		add(method, "/Appointment/:id", "/Appointment/:id", (*exchange).readAppointment)
	}
	add(fiber.MethodPatch, "/Appointment/:id", "/Appointment/:id", (*exchange).patch)
}

// private is a route to what is one principal's alone: its errors may tell of a
// patient, and are logged by their kind.
func (s *Server) private(template string, handle handler) fiber.Handler {
	return s.route(template, auth.Book, func(x *exchange) error {
		x.private = true
		if err := x.readUser(); err != nil {
			return err
		}
		return handle(x)
	})
}

// route puts what every handler needs before it: the template's name, the
// caller, a format that both sides speak.
func (s *Server) route(template string, right auth.Right, handle handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x, ok := c.Locals(exchangeKey{}).(*exchange)
		if !ok {
			return fiber.ErrInternalServerError
		}
		x.route = template
		if err := x.access(right); err != nil {
			return err
		}
		if _, ok := x.negotiate(); !ok {
			return refuseHTTP(fiber.StatusNotAcceptable)
		}
		return handle(x)
	}
}
