package upstream

import (
	"context"
	"net/http"

	"slotgate/scheduling"
)

// staleVersion is a version that no slot has.
const staleVersion = `W/"slotgate-0"`

// HeedsIfMatch finds out whether the source refuses to write a slot under a
// version that it does not have. The slot is written as it is: where the
// condition is not heeded, nothing changes but its version.
//
// Errors: those of writes and reads; not-supported where slots cannot be written.
func (c *Client) HeedsIfMatch(ctx context.Context, slot string) (bool, error) {
	ctx, cancel := c.withinCall(ctx)
	defer cancel()
	s, err := c.readSlot(ctx, slot, laneHold, false)
	if err != nil {
		return false, c.unsent(err)
	}
	res, err := s.with(nil)
	if err != nil {
		return false, c.unsent(err)
	}
	_, err = c.write(ctx, order{
		kind: scheduling.CallHold, lane: laneHold, method: http.MethodPut, path: "Slot/" + s.id, resource: res, ifMatch: staleVersion,
	})
	switch {
	case err == nil:
		return false, nil
	case refusedAs(err, http.StatusPreconditionFailed, http.StatusConflict):
		return true, nil
	default:
		return false, err
	}
}
