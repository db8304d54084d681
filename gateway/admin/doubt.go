package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"slotgate/scheduling"
)

// lookTime bounds one look into the books.
const lookTime = 10 * time.Second

// doubt is what the operator is told of an appointment in doubt: ids and times,
// nothing of a person.
type doubt struct {
	ID     string                `json:"id"`
	Source scheduling.SourceID   `json:"source"`
	State  scheduling.EntryState `json:"state"`
	// Native is the appointment's id at the source, where one is known or was
	// seen; Slots are the ids of its slots there.
	Native     string     `json:"native,omitempty"`
	Slots      []string   `json:"slots,omitempty"`
	Start      time.Time  `json:"start,omitzero"`
	Since      *time.Time `json:"since,omitempty"`
	Unresolved bool       `json:"unresolved"` // it waits for a decision
}

// listDoubts gives the ids of what is in doubt.
func (s *Server) listDoubts(c *fiber.Ctx) error {
	ids := []string{}
	entries, err := s.unsettled(c.UserContext())
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	if err != nil {
		return s.told(c, err)
	}
	return send(c, ids)
}

func (s *Server) unsettled(ctx context.Context) ([]scheduling.Entry, error) {
	if s.deps.Unsettled == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return s.deps.Unsettled(ctx)
}

// readDoubt tells what a person must know to look at the EHR.
func (s *Server) readDoubt(c *fiber.Ctx) error {
	entries, err := s.unsettled(c.UserContext())
	if err != nil {
		return s.told(c, err)
	}
	for _, e := range entries {
		if e.ID == c.Params("id") {
			return send(c, doubtOf(e))
		}
	}
	return fiber.ErrNotFound
}

func doubtOf(e scheduling.Entry) doubt {
	d := doubt{ID: e.ID, Source: e.Source, State: e.State, Native: e.Native}
	if len(e.Offer.Slots) > 0 {
		d.Slots, d.Start = e.Offer.SlotIDs(), e.Offer.Start()
	}
	if e.Doubt != nil {
		since := e.Doubt.Since.UTC()
		d.Since, d.Unresolved = &since, e.Doubt.Unresolved
		if d.Native == "" {
			d.Native = e.Doubt.Seen
		}
	}
	return d
}

// decision is what is posted.
type decision struct {
	Booked *bool  `json:"booked"`
	Native string `json:"native"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// maxDecision bounds who and why, in bytes.
const maxDecision = 500

// decide takes a person's decision. Who decided is logged; why is kept with the
// entry alone, since a person may name a patient there.
func (s *Server) decide(c *fiber.Ctx) error {
	in, err := readDecision(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), lookTime)
	defer cancel()
	id := strings.Clone(c.Params("id"))
	err = s.deps.Decide(ctx, id, scheduling.Decision{
		Booked: *in.Booked, Native: in.Native, By: in.By, Reason: in.Reason, At: s.deps.Now().UTC(),
	})
	if err != nil {
		return s.told(c, err)
	}
	s.deps.Logger.Info("a person decided what was in doubt", "id", id, "booked", *in.Booked, "by", in.By)
	return send(c, map[string]any{"id": id, "booked": *in.Booked})
}

// readPosted reads one JSON value that has nothing in it but what in has.
func readPosted(c *fiber.Ctx, in any) error {
	kind, _, _ := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if kind != fiber.MIMEApplicationJSON {
		return fiber.ErrUnsupportedMediaType
	}
	dec := json.NewDecoder(bytes.NewReader(c.Body()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return fiber.ErrBadRequest
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fiber.ErrBadRequest
	}
	return nil
}

func readDecision(c *fiber.Ctx) (decision, error) {
	var in decision
	if err := readPosted(c, &in); err != nil {
		return in, err
	}
	in.By, in.Reason = strings.TrimSpace(in.By), strings.TrimSpace(in.Reason)
	switch {
	case in.Booked == nil, in.By == "", in.Reason == "", len(in.By) > maxDecision, len(in.Reason) > maxDecision, len(in.Native) > maxDecision:
		return in, fiber.ErrUnprocessableEntity
	case !*in.Booked && in.Native != "":
		return in, fiber.ErrUnprocessableEntity // what was not booked has no id
	}
	return in, nil
}

// told answers with the status of an error's code. Its text is ours, and has
// nothing of a person in it.
func (s *Server) told(c *fiber.Ctx, err error) error {
	e := scheduling.AsError(err)
	status := fiber.StatusInternalServerError
	switch e.Code {
	case scheduling.UnknownID:
		status = fiber.StatusNotFound
	case scheduling.NotAcceptable:
		status = fiber.StatusConflict
	case scheduling.BadRequest:
		status = fiber.StatusUnprocessableEntity
	case scheduling.Shedding, scheduling.SourceDown, scheduling.SourceSlow, scheduling.Throttled:
		status = fiber.StatusServiceUnavailable
	}
	c.Status(status)
	return send(c, map[string]any{"status": status, "code": e.Code, "error": e.Message})
}
