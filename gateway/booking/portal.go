package booking

import "slotgate/scheduling"

// takes refuses what cannot be held or booked at the source through us. Where a
// slot tells the clinic's own page or phone, the refusal names it: that is the
// way on for the patient.
func takes(can scheduling.Abilities, offer scheduling.OfferRecord) error {
	err := writable(can)
	if err == nil && can.OneSlot && len(offer.Slots) > 1 {
		return &scheduling.Error{
			Code: scheduling.NotSupported, Who: scheduling.AtEHR, Source: can.Source, Message: "this source books one slot at a time, and this appointment takes several",
		}
	}
	if err == nil || len(offer.Slots) == 0 || offer.Slots[0].Portal == nil {
		return err
	}
	told := scheduling.AsError(err)
	return &scheduling.Error{
		Code: told.Code, Who: told.Who, Source: told.Source, Err: told,
		Message: told.Message + "; " + wayOn(*offer.Slots[0].Portal),
	}
}

// wayOn says where the patient can book.
func wayOn(p scheduling.Portal) string {
	switch {
	case p.URL == "":
		return "book by phone: " + p.Phone
	case p.Phone == "":
		return "book at " + p.URL
	default:
		return "book at " + p.URL + " or by phone: " + p.Phone
	}
}
