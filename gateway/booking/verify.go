package booking

import (
	"slices"

	"slotgate/scheduling"
)

// verdict is what a read of the EHR says about a booking.
type verdict string

const (
	matches verdict = "booked"  // it stands, and it is what was asked for
	notYet  verdict = "pending" // it is there, and the EHR has not decided
	voided  verdict = "void"    // the EHR took it back
	wrong   verdict = "wrong"   // it stands, and is another one than asked
)

// verify compares what the EHR shows with what was asked (law 1). What it did
// not return is named in notProved; what differs, by element, in differs.
func verify(e scheduling.Entry, a scheduling.Appointment) (v verdict, notProved []string, differs string) {
	switch {
	case a.Status.Void():
		return voided, nil, ""
	case !a.Status.Stands():
		return notYet, nil, ""
	}
	for _, check := range []struct {
		element string
		judge   func(scheduling.Entry, scheduling.Appointment) (proved, same bool)
	}{
		{"patient", comparePatients},
		{"start", compareStart},
		{"end", compareEnd},
		{"practitioner", compareActors(scheduling.KindPractitioner)},
		{"location", compareActors(scheduling.KindLocation)},
		{"slot", compareSlots},
	} {
		proved, same := check.judge(e, a)
		if proved && !same {
			return wrong, nil, check.element
		}
		if !proved {
			notProved = append(notProved, check.element)
		}
	}
	return matches, notProved, ""
}

// comparePatients is strict: without our patient, or with another, it is not
// our appointment.
func comparePatients(e scheduling.Entry, a scheduling.Appointment) (proved, same bool) {
	asked := slices.Compact(slices.Sorted(slices.Values(e.Private.Natives())))
	shown := slices.Compact(slices.Sorted(slices.Values(a.Patient)))
	return true, slices.Equal(asked, shown)
}

func compareStart(e scheduling.Entry, a scheduling.Appointment) (proved, same bool) {
	return !a.Start.IsZero(), a.Start.Equal(e.Offer.Start())
}

func compareEnd(e scheduling.Entry, a scheduling.Appointment) (proved, same bool) {
	return !a.End.IsZero(), a.End.Equal(e.Offer.End())
}

// compareActors wants one of those asked for among those shown of the kind: a
// clinic may add a room or an assistant.
func compareActors(kind scheduling.Kind) func(scheduling.Entry, scheduling.Appointment) (proved, same bool) {
	return func(e scheduling.Entry, a scheduling.Appointment) (proved, same bool) {
		asked, shown := actorIDs(e.Offer.Actors, kind), actorIDs(a.Actors, kind)
		if len(asked) == 0 {
			return true, true
		}
		for _, id := range asked {
			if slices.Contains(shown, id) {
				return true, true
			}
		}
		return len(shown) > 0, false
	}
}

func actorIDs(actors []scheduling.Actor, kind scheduling.Kind) []string {
	var ids []string
	for _, a := range actors {
		if a.Kind == kind && a.ID != "" {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

func compareSlots(e scheduling.Entry, a scheduling.Appointment) (proved, same bool) {
	if e.Offer.Slots[0].Virtual {
		return true, true // the source has no slots to name
	}
	asked := slices.Sorted(slices.Values(e.Offer.SlotIDs()))
	shown := slices.Sorted(slices.Values(a.Slots))
	return len(shown) > 0, slices.Equal(asked, shown)
}
