package check

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream"
)

const (
	// lagMax is how long a held slot is watched until it is gone from what the
	// source offers: some servers answer searches from a cache for a minute.
	lagMax  = 90 * time.Second
	lagStep = 250 * time.Millisecond
	// lagNone is what passes for no lag at all.
	lagNone = time.Second
	// checkHold is how long the slot is asked to be held.
	checkHold = 2 * time.Minute
)

// Write holds one free slot, as far off as there is one, looks what the source
// makes of it, and releases it. It books nothing and names no patient. The rows
// are hold, exclusive, lag and release, and cancel where that cannot be done.
func Write(ctx context.Context, client *upstream.Client) []Row {
	w := &writing{run: run{ctx: ctx, client: client, source: client.Source()}}
	if client.Options().Readonly {
		w.add("hold", false, WithQuirk, "the source is readonly by configuration: nothing was tried")
		return w.rows
	}
	if !w.find() {
		return w.rows
	}
	if w.hold() {
		w.exclusive()
		w.lag()
		w.release()
	}
	if w.client.Can().NoCancel {
		w.add("cancel", false, WithQuirk, "nothing can be cancelled there: PATCH of an appointment is 501; quirks.cancel says otherwise")
	}
	return w.rows
}

// writing is one run of Write.
type writing struct {
	run
	offer scheduling.OfferRecord
	day   scheduling.Day
	held  scheduling.Hold
}

// find looks for the last free slot of the farthest days that have one.
func (w *writing) find() bool {
	zone := w.source.Zone
	if zone == nil {
		zone = time.UTC
	}
	today := scheduling.DayOf(w.client.Now(), zone)
	far := max(scheduling.Day(w.source.Horizon), searchDays)
	for _, from := range []scheduling.Day{far - searchDays, far / 2, 2} {
		got, err := w.client.Fetch(w.ctx, scheduling.Scope{Days: scheduling.Days{From: today + from, To: today + from + searchDays}})
		if err != nil {
			w.fail("hold", false, err)
			return false
		}
		if w.choose(got) {
			return true
		}
	}
	w.add("hold", false, WithQuirk, "no free slot was found to try with")
	return false
}

// choose takes the last slot of an answer.
func (w *writing) choose(got scheduling.Fetched) bool {
	dir, _, err := w.client.Directory(w.ctx)
	if err != nil {
		return false
	}
	dir.Merge(got.Found)
	resolver := scheduling.NewResolver(w.source.ID, dir, w.source.Zone)
	var last scheduling.Slot
	for key, slots := range got.Windows {
		for _, slot := range slots {
			if slot.Start.After(last.Start) {
				last, w.day = slot, key.Day
			}
		}
	}
	setting, reason := resolver.Setting(last.Schedule)
	if last.ID == "" || reason != "" {
		return false
	}
	w.offer = scheduling.OfferRecord{
		Slots: []scheduling.Slot{last}, Schedule: last.Schedule, Zone: setting.Zone.String(),
		Actors:          dir.Schedules[last.Schedule].Actors,
		ServiceCategory: last.ServiceCategory, ServiceType: last.ServiceType, Specialty: last.Specialty, AppointmentType: last.AppointmentType,
	}
	return true
}

func (w *writing) hold() bool {
	answer, err := w.client.Hold(w.ctx, scheduling.HoldCall{Offer: w.offer, Identifier: "check-" + rand.Text(), Length: checkHold})
	switch code := scheduling.CodeOf(err); {
	case code == scheduling.NotSupported && w.source.Dialect == upstream.Epic:
		w.add("hold", false, WithQuirk, "the dialect knows no holds: slots are hidden from our own callers only")
		return false
	case code == scheduling.NotSupported:
		w.add("hold", false, WithQuirk, "the source holds nothing: slots are hidden from our own callers only; quirks.hold: none spares asking")
		return false
	case code == scheduling.InDoubt:
		w.add("hold", false, DoesNot, "the answer was lost; see whether slot %s is still free at the source", w.offer.Slots[0].ID)
		return false
	case err != nil:
		w.fail("hold", false, err)
		return false
	}
	w.held = scheduling.Hold{By: scheduling.HeldByEHR, Native: answer.Native, ETag: answer.ETag}
	if answer.Length == 0 {
		w.add("hold", false, WithQuirk, "the source does not say how long it holds; set booking.hold_default to what it does")
		return true
	}
	w.add("hold", false, Works, "for %v", answer.Length.Round(time.Second))
	return true
}

// exclusive tries to take what is held.
func (w *writing) exclusive() {
	if w.source.Dialect == upstream.Slots {
		w.ifMatch()
		return
	}
	second, err := w.client.Hold(w.ctx, scheduling.HoldCall{Offer: w.offer, Identifier: "check-" + rand.Text(), Length: checkHold})
	switch {
	case scheduling.CodeOf(err) == scheduling.SlotTaken:
		w.add("exclusive", false, Works, "the source refuses a second hold")
	case err != nil:
		w.fail("exclusive", false, err)
	case second.Native == w.held.Native:
		w.add("exclusive", false, WithQuirk, "the source gives the same hold again to the same login; it cannot be told who refuses a second one")
	default:
		w.add("exclusive", false, DoesNot, "the source holds a slot twice; set quirks.exclusive: gateway")
		_ = w.client.Release(w.ctx, scheduling.ReleaseCall{Offer: w.offer, Hold: scheduling.Hold{Native: second.Native, ETag: second.ETag}})
	}
}

// ifMatch finds out whether a slot can be written under a version that is gone.
func (w *writing) ifMatch() {
	heeded, err := w.client.HeedsIfMatch(w.ctx, w.offer.Slots[0].ID)
	switch {
	case err != nil:
		w.fail("exclusive", false, err)
	case heeded:
		w.add("exclusive", false, Works, "If-Match is heeded; quirks.exclusive: ehr may be said")
	default:
		w.add("exclusive", false, DoesNot, "If-Match is not heeded; set quirks.book: plain and quirks.exclusive: gateway")
	}
}

// lag is how long the held slot is still offered.
func (w *writing) lag() {
	began := time.Now()
	for time.Since(began) < lagMax {
		offered, err := w.offered()
		if err != nil {
			w.fail("lag", false, err)
			return
		}
		if !offered {
			w.sayLag(time.Since(began))
			return
		}
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(lagStep):
		}
	}
	w.add("lag", false, DoesNot, "a held slot is still offered after %v", lagMax)
}

func (w *writing) sayLag(lag time.Duration) {
	if lag < lagNone {
		w.add("lag", false, Works, "a held slot is gone at once from what the source offers")
		return
	}
	w.add("lag", false, WithQuirk, "a held slot was offered for another %v; set booking.lag to that, rounded up", lag.Round(100*time.Millisecond))
}

func (w *writing) offered() (bool, error) {
	got, err := w.client.Fetch(w.ctx, scheduling.Scope{
		Days: scheduling.Days{From: w.day, To: w.day + 1}, Schedules: []string{w.offer.Schedule},
	})
	if err != nil {
		return false, err
	}
	for _, slots := range got.Windows {
		if slices.ContainsFunc(slots, func(s scheduling.Slot) bool { return s.ID == w.offer.Slots[0].ID }) {
			return true, nil
		}
	}
	return false, nil
}

func (w *writing) release() {
	err := w.client.Release(w.ctx, scheduling.ReleaseCall{Offer: w.offer, Hold: w.held})
	if err != nil {
		w.fail("release", false, err)
		return
	}
	offered, err := w.offered()
	switch {
	case err != nil:
		w.fail("release", false, err)
	case !offered:
		w.add("release", false, WithQuirk, "released, and not offered again yet")
	default:
		w.add("release", false, Works, "the slot is offered again")
	}
}
