package ehrsim

import (
	"net/http"
	"slices"
)

// putSlotResource answers PUT Slot/{id}.
func (s *Server) putSlotResource(rq *request) (reply, error) {
	body, err := rq.resource()
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		return t.put("Slot", rq.id, body, rq.http.Header.Get("If-Match"))
	})
}

// patchSlotResource answers PATCH Slot/{id}.
func (s *Server) patchSlotResource(rq *request) (reply, error) {
	steps, err := rq.patch()
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		sl := t.slots[rq.id]
		if sl == nil {
			return reply{}, notFound("Slot/" + rq.id + " is not known")
		}
		if err := s.ifMatch(rq.http.Header.Get("If-Match"), http.MethodPatch, sl.version); err != nil {
			return reply{}, err
		}
		next, err := s.applyPatch(s.flavour.slot(sl), steps)
		if err != nil {
			return reply{}, err
		}
		return t.writeSlot(sl, next)
	})
}

// writeSlot gives a slot the version that a client wrote, marks and all.
func (t *tx) writeSlot(sl *slot, body object) (reply, error) {
	start, err1 := parseSpan(body.str("start"), t.srv.zone)
	end, err2 := parseSpan(body.str("end"), t.srv.zone)
	status := body.str("status")
	switch {
	case body.str("id") != sl.id || body.str("resourceType") != "Slot":
		return reply{}, unprocessable("invalid", "the id cannot change")
	case err1 != nil || err2 != nil || end.from.Before(start.from):
		return reply{}, unprocessable("invalid", "start or end cannot be read")
	case !slices.Contains(statuses, status):
		return reply{}, unprocessable("code-invalid", "the status is not known")
	case body.obj("schedule").str("reference") == "":
		return reply{}, unprocessable("required", "schedule is missing")
	}
	if t.keepBusy && status == "free" {
		status = sl.status
	}
	next := t.putSlot(sl, func(n *slot) {
		n.start, n.end, n.status, n.written = start.from.UTC(), end.from.UTC(), status, true
		n.schedule, n.raw = body.obj("schedule").str("reference"), body
	})
	o := t.srv.flavour.slot(next)
	return reply{status: http.StatusOK, body: o, tagged: o}, nil
}
