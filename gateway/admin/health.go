package admin

import (
	"github.com/gofiber/fiber/v2"

	"slotgate/scheduling"
)

// livez says that the process runs. It asks nobody: a restart mends nothing
// that is broken elsewhere.
func (s *Server) livez(c *fiber.Ctx) error { return c.SendString("ok\n") }

// readyz says that $find may be sent here: the first load of every source came
// to an end, good or bad, or has had its time. It does not look at Redis: the
// replica answers without.
func (s *Server) readyz(c *fiber.Ctx) error {
	if why := s.notReady(); why != "" {
		return s.unready(c, why)
	}
	return c.SendString("ok\n")
}

func (s *Server) notReady() string {
	switch {
	case len(s.deps.Replica.Sources()) < len(*s.sources.Load()):
		return "the replica does not know every source yet"
	case s.deps.Replica.Ready(), s.deps.Now().Sub(s.started) >= s.opts.ReadyAfter:
		return ""
	default:
		return "not every source was tried yet"
	}
}

// writesReady says whether holds and bookings would be taken.
func (s *Server) writesReady(c *fiber.Ctx) error {
	err := error(scheduling.Fault(scheduling.Shedding, nil, "holds and bookings are not served"))
	if s.deps.Writes != nil {
		err = s.deps.Writes(c.UserContext())
	}
	if err != nil {
		return s.unready(c, scheduling.AsError(err).Message)
	}
	return c.SendString("ok\n")
}

func (s *Server) unready(c *fiber.Ctx, why string) error {
	c.Set(fiber.HeaderRetryAfter, "1")
	return c.Status(fiber.StatusServiceUnavailable).SendString(why + "\n")
}
