package admin

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"slotgate/scheduling"
)

// orphan is what the operator is told of a Patient that was made at a source and
// is left without an appointment: ids and a time, nothing of a person.
type orphan struct {
	// ID is our identifier, which the Patient carries at the source.
	ID     string              `json:"id"`
	Source scheduling.SourceID `json:"source"`
	// Native is the Patient's id at the source; left out where it is not known
	// whether the source has made one, and it cannot be searched for it.
	Native string `json:"native,omitempty"`
	// Coverage is our id of the coverage that the source may lack: then the other
	// two are those of the Coverage.
	Coverage string    `json:"coverage,omitempty"`
	Since    time.Time `json:"since"`
}

// listOrphans gives those who wait for the clinic.
func (s *Server) listOrphans(c *fiber.Ctx) error {
	list := []orphan{}
	if s.deps.Orphans != nil {
		ctx, cancel := context.WithTimeout(c.UserContext(), lookTime)
		defer cancel()
		all, err := s.deps.Orphans(ctx)
		if err != nil {
			return s.told(c, err)
		}
		for _, o := range all {
			list = append(list, orphan{ID: o.ID, Source: o.Source, Native: o.Native, Coverage: o.Coverage, Since: o.Since.UTC()})
		}
	}
	return send(c, list)
}

// tick is what is posted.
type tick struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// tickOff takes it that a person has seen to one. Who did is logged; why is kept
// sealed alone, since a person may be named there.
func (s *Server) tickOff(c *fiber.Ctx) error {
	in, err := readTick(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), lookTime)
	defer cancel()
	id := strings.Clone(c.Params("id"))
	if err := s.deps.TickOff(ctx, id, in.By, in.Reason); err != nil {
		return s.told(c, err)
	}
	return send(c, map[string]any{"id": id})
}

func readTick(c *fiber.Ctx) (tick, error) {
	var in tick
	if err := readPosted(c, &in); err != nil {
		return in, err
	}
	in.By, in.Reason = strings.TrimSpace(in.By), strings.TrimSpace(in.Reason)
	if in.By == "" || in.Reason == "" || len(in.By) > maxDecision || len(in.Reason) > maxDecision {
		return in, fiber.ErrUnprocessableEntity
	}
	return in, nil
}
