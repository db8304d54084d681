package admin

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"slotgate/scheduling"
)

// errNoWrites is told while nothing can be held or booked at all.
var errNoWrites = errors.New("holds and bookings are not served")

// livez says that the process runs. It asks nobody: a restart mends nothing
// that is broken elsewhere.
func (s *Server) livez(c *fiber.Ctx) error { return c.SendString("ok\n") }

// readyz says that $find may be sent here. It does not look at Redis: the
// replica answers without.
func (s *Server) readyz(c *fiber.Ctx) error {
	if why := s.notReady(); why != "" {
		return s.unready(c, why)
	}
	return c.SendString("ok\n")
}

func (s *Server) notReady() string {
	if !s.deps.Replica.Ready() {
		return "the replica does not answer yet"
	}
	if s.deps.Now().Sub(s.started) >= s.opts.ReadyAfter {
		return ""
	}
	if s.firstLoads() {
		return ""
	}
	return "not every source was tried yet"
}

// firstLoads tells whether every source's first load came to an end, good or
// bad.
func (s *Server) firstLoads() bool {
	tried := map[scheduling.SourceID]bool{}
	for _, f := range s.deps.Replica.Sources() {
		st := f.Status
		tried[f.Source] = !st.Loaded.IsZero() || st.Failures > 0 || !st.ErrorAt.IsZero() || st.Incomplete
	}
	for _, src := range s.deps.Sources {
		if !tried[src.ID] {
			return false
		}
	}
	return true
}

// writesReady says whether holds and bookings would be taken.
func (s *Server) writesReady(c *fiber.Ctx) error {
	err := errNoWrites
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
