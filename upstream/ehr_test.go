package upstream_test

import (
	"slotgate/gateway/booking"
	"slotgate/upstream"
)

// The desk books through this client.
var _ booking.EHR = (*upstream.Client)(nil)
