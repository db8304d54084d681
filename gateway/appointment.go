package gateway

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// appointmentID is the id in the path. An operation's name in its place is no
// id: operations are called by POST.
func (x *exchange) appointmentID() (string, error) {
	id := x.param("id")
	if strings.HasPrefix(id, "$") || strings.HasPrefix(id, "%24") {
		x.c.Set(fiber.HeaderAllow, fiber.MethodPost)
		return "", refuseHTTP(fiber.StatusMethodNotAllowed)
	}
	if !scheduling.ValidID(id) {
		return "", scheduling.Refuse(scheduling.BadRequest, "id", "not an id: [A-Za-z0-9.-]{1,64}")
	}
	return id, nil
}

// readAppointment answers with one appointment or hold of the caller's. One in
// doubt is there all the same, and says so.
func (x *exchange) readAppointment() error {
	id, err := x.appointmentID()
	if err != nil {
		return err
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	view, err := x.s.deps.Desk.Read(ctx, x.bookingCaller(), id)
	if err != nil {
		return err
	}
	x.viewHead(view)
	x.c.Response().Header.Del(fiber.HeaderLocation)
	x.c.Set(headerComplete, strconv.FormatBool(!view.Has(booking.NotReached)))
	return x.resource(fiber.StatusOK, x.appointment(view))
}
