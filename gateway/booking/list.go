package booking

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// List gives the caller's appointments of a patient, from every source at once.
// Only what was written through us by the same principal is shown (law 13), and
// to its user or a trusted caller what the source named has besides. What could
// not be reached in time is told, and shown as we knew it last.
//
// Errors: missing-data without a patient; unknown-id where it is an id of our making
// and nobody's: an empty list would say that they have no appointments; shedding.
func (d *Desk) List(ctx context.Context, c Caller, req ListRequest) (List, error) {
	if req.Patient == "" {
		return List{}, scheduling.Refuse(scheduling.MissingData, "patient", "a patient is needed")
	}
	ctx, cancel := context.WithTimeout(ctx, d.opts.ListDeadline)
	defer cancel()
	sources := d.EHRs.Sources()
	if req.Source != "" {
		sources = slices.DeleteFunc(slices.Clone(sources), func(s scheduling.SourceID) bool { return s != req.Source })
	}
	parts := make([]sourceList, len(sources)+1)
	var wg sync.WaitGroup
	wg.Go(func() { parts[len(sources)] = d.listElsewhere(ctx, c, req) })
	for i, source := range sources {
		wg.Go(func() { parts[i] = d.listSource(ctx, c, source, req) })
	}
	wg.Wait()
	var list List
	for _, part := range parts {
		if part.err != nil {
			return List{}, part.err
		}
		list.Views = append(list.Views, part.views...)
		if part.unreached != nil {
			list.Unreached = append(list.Unreached, part.unreached)
		}
	}
	if len(list.Views) == 0 && len(list.Unreached) == 0 {
		if err := d.someones(ctx, c, sources, req.Patient); err != nil {
			return List{}, err
		}
	}
	slices.SortFunc(list.Views, func(a, b View) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Entry.ID, b.Entry.ID))
	})
	return list, nil
}

// someones wants an id of our making to be that of a person of this principal's:
// after a loss of the store people may have to be registered again.
func (d *Desk) someones(ctx context.Context, c Caller, sources []scheduling.SourceID, patient string) error {
	if d.Patients == nil || len(sources) == 0 || !scheduling.OwnPatientID(patient) {
		return nil
	}
	_, _, err := d.Patients.Known(ctx, c.Principal, sources[0], patient)
	if is(err, scheduling.UnknownID) {
		return scheduling.Refuse(scheduling.UnknownID, "patient", "no patient of this id is registered here")
	}
	return nil
}

// sourceList is one source's part of a list.
type sourceList struct {
	views     []View
	unreached *scheduling.Error
	err       error // our own books could not be read
}

func (d *Desk) listSource(ctx context.Context, c Caller, source scheduling.SourceID, req ListRequest) sourceList {
	entries, err := d.Books.ByPatient(ctx, source, c.Principal, req.Patient)
	if rebuilt, ok := beingRebuilt(source, err); ok {
		return sourceList{unreached: rebuilt}
	}
	if err != nil || len(entries) == 0 {
		return sourceList{err: err}
	}
	var part sourceList
	for i, failed := range d.refreshAll(ctx, entries) {
		v := d.view(entries[i])
		if failed != nil {
			v.Notices = append(v.Notices, NotReached)
			part.unreached = unreached(source, failed)
		}
		if listed(v, req) {
			part.views = append(part.views, v)
		}
	}
	return part
}

// beingRebuilt tells that our own books of this one source cannot be read now.
func beingRebuilt(source scheduling.SourceID, err error) (*scheduling.Error, bool) {
	if !is(err, scheduling.Shedding) || scheduling.AsError(err).Source != source {
		return nil, false
	}
	e := *scheduling.AsError(err)
	e.Message = "the books of this source are being rebuilt; its appointments are missing here"
	return &e, true
}

// readsAtOnce bounds the reads of one source for one list.
const readsAtOnce = 4

// refreshAll reads what is booked and not long over, in place.
func (d *Desk) refreshAll(ctx context.Context, entries []scheduling.Entry) []error {
	errs := make([]error, len(entries))
	gate := make(chan struct{}, readsAtOnce)
	var wg sync.WaitGroup
	for i, e := range entries {
		if e.State != scheduling.EntryBooked || e.Offer.End().Before(d.now().Add(-24*time.Hour)) {
			continue
		}
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			entries[i], errs[i] = d.refresh(ctx, e)
		})
	}
	wg.Wait()
	return errs
}

// unreached says which source could not be asked, without its words.
func unreached(source scheduling.SourceID, err error) *scheduling.Error {
	e := *scheduling.AsError(err)
	e.Source, e.Who = source, scheduling.AtEHR
	if e.Code == scheduling.Internal {
		e.Code = scheduling.SourceSlow
	}
	e.Message = "the source could not be asked; shown is what we knew last"
	return &e
}

// listed holds a view against the filters. What went back to being an offer is
// no appointment.
func listed(v View, req ListRequest) bool {
	if v.Entry.State == scheduling.EntryFree || v.Status == scheduling.ApptProposed || !isOneOf(v.Status, req.Status) {
		return false
	}
	zone := v.Entry.Offer.Location()
	for _, r := range req.Dates {
		if !r.has(v.Start, zone) {
			return false
		}
	}
	for _, r := range req.Updated {
		if !r.has(v.Entry.Updated, time.UTC) {
			return false
		}
	}
	return len(req.Practitioners) == 0 || slices.ContainsFunc(req.Practitioners, func(ref scheduling.Ref) bool {
		return seesPractitioner(v.Entry, ref)
	})
}

// has tells whether t lies in the range; days are cut in the zone.
func (r DateRange) has(t time.Time, zone *time.Location) bool {
	if from := r.From; from.Set {
		at := from.At
		if from.IsDay {
			at = from.Day.Start(zone)
		}
		if t.Before(at) {
			return false
		}
	}
	if to := r.To; to.Set {
		at := to.At
		if to.IsDay {
			at = to.Day.End(zone)
		}
		return t.Before(at)
	}
	return true
}

// seesPractitioner understands our ids and the source's own.
func seesPractitioner(e scheduling.Entry, ref scheduling.Ref) bool {
	for _, a := range e.Offer.Actors {
		if a.Kind != scheduling.KindPractitioner || a.ID == "" {
			continue
		}
		if ref.ID != "" && (ref.ID == a.ID || ref.ID == scheduling.ResourceID(e.Source, scheduling.KindPractitioner, a.ID)) {
			return true
		}
	}
	return false
}
