package upstream

import (
	"context"
	"net/http"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// ReadPatient reads one Patient as it is now, from no cache.
//
// Errors: as a read's; unknown-id where there is no such Patient any more;
// not-supported where the source does not let us read one.
func (c *Client) ReadPatient(ctx context.Context, id string) (scheduling.NativePatient, error) {
	within, cancel := context.WithTimeout(ctx, c.opts.Booking.ReadTimeout.Std())
	defer cancel()
	_, res, err := c.document(within, kindPatient, id, laneBook, true)
	switch {
	case refusedAs(err, http.StatusForbidden):
		return scheduling.NativePatient{}, c.readFault(scheduling.NotSupported, faultOf(err), "the source does not let its patients be read")
	case err != nil:
		return scheduling.NativePatient{}, err
	}
	patient, ok := res.(*model.Patient)
	if !ok {
		return scheduling.NativePatient{}, c.readFault(scheduling.SourceNonsense, nil, "the source shows something else than a patient")
	}
	return fhir.NativePatient(patient), nil
}
