package gateway

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// The real desk is one; the one here keeps what it was asked.
var _ Desk = (*booking.Desk)(nil)

// fakeDesk is a desk with a small book of its own. It checks what every desk
// relies on, and keeps what it was asked.
type fakeDesk struct {
	tb     testing.TB
	finder Finder
	now    func() time.Time

	mu      sync.Mutex
	entries map[string]scheduling.Entry
	holds   []booking.HoldRequest
	books   []booking.BookRequest
	cancels []booking.CancelRequest
	lists   []booking.ListRequest
	callers []booking.Caller
	// bend changes each view; fail is each answer's error.
	bend func(*booking.View)
	fail error
	list booking.List
}

var principalForm = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// enter checks who asks and how, and notes it.
func (d *fakeDesk) enter(ctx context.Context, c booking.Caller) error {
	if !principalForm.MatchString(c.Principal) || c.Holds <= 0 {
		d.tb.Errorf("caller %+v", c)
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 30*time.Second {
		d.tb.Error("a desk without a deadline")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.callers = append(d.callers, c)
	return d.fail
}

func (d *fakeDesk) Hold(ctx context.Context, c booking.Caller, req booking.HoldRequest) (booking.View, error) {
	if err := d.enter(ctx, c); err != nil {
		return booking.View{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holds = append(d.holds, req)
	e, err := d.take(c, req.Target)
	if err != nil {
		return booking.View{}, err
	}
	if e.State != "" && e.State != scheduling.EntryFree && e.State != scheduling.EntryHeld {
		return booking.View{}, scheduling.Refuse(scheduling.SlotTaken, "", "the slot is taken")
	}
	e.State, e.Private = scheduling.EntryHeld, private(req.Patients, "")
	v := d.save(c, e)
	v.Expires, v.Created = d.now().Add(5*time.Minute), req.ByResource
	return d.bent(v), nil
}

func (d *fakeDesk) Book(ctx context.Context, c booking.Caller, req booking.BookRequest) (booking.View, error) {
	if err := d.enter(ctx, c); err != nil {
		return booking.View{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.books = append(d.books, req)
	if len(req.Patients) == 0 {
		d.tb.Error("a booking without a patient")
	}
	e, err := d.take(c, req.Target)
	if err != nil {
		return booking.View{}, err
	}
	if e.State == scheduling.EntryCancelled {
		return booking.View{}, scheduling.Refuse(scheduling.UsedID, "id", "this id was used up")
	}
	e.State, e.Private, e.Used = scheduling.EntryBooked, private(req.Patients, req.Comment), true
	v := d.save(c, e)
	v.Created = req.ByResource
	return d.bent(v), nil
}

func (d *fakeDesk) Cancel(ctx context.Context, c booking.Caller, req booking.CancelRequest) (booking.View, error) {
	if err := d.enter(ctx, c); err != nil {
		return booking.View{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancels = append(d.cancels, req)
	e, ok := d.entries[req.ID]
	switch {
	case !ok || e.Principal != c.Principal:
		return booking.View{}, scheduling.Refuse(scheduling.UnknownID, "id", "no appointment of yours has this id")
	case req.IfMatch != 0 && req.IfMatch != e.Version:
		return booking.View{}, &scheduling.Error{Code: scheduling.NotAcceptable, Message: "changed", Err: booking.ErrVersion}
	}
	if req.Check != nil {
		if err := req.Check(view(e, d.now())); err != nil {
			return booking.View{}, err
		}
	}
	switch e.State {
	case scheduling.EntryHeld:
		e.State = scheduling.EntryFree
	case scheduling.EntryBooked:
		e.State, e.Reason = scheduling.EntryCancelled, req.Reason
	default:
		return d.bent(view(e, d.now())), nil
	}
	return d.bent(d.save(c, e)), nil
}

func (d *fakeDesk) Read(ctx context.Context, c booking.Caller, id string) (booking.View, error) {
	if err := d.enter(ctx, c); err != nil {
		return booking.View{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[id]
	if !ok || e.Principal != c.Principal {
		return booking.View{}, scheduling.Refuse(scheduling.UnknownID, "id", "no appointment of yours has this id")
	}
	return d.bent(view(e, d.now())), nil
}

func (d *fakeDesk) List(ctx context.Context, c booking.Caller, req booking.ListRequest) (booking.List, error) {
	if err := d.enter(ctx, c); err != nil {
		return booking.List{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lists = append(d.lists, req)
	list := d.list
	for _, e := range d.entries {
		named := slices.ContainsFunc(e.Private.Patients, func(p scheduling.PatientRef) bool { return p.Asked == req.Patient })
		if e.Principal == c.Principal && named {
			list.Views = append(list.Views, d.bent(view(e, d.now())))
		}
	}
	slices.SortFunc(list.Views, func(a, b booking.View) int { return strings.Compare(place(a), place(b)) })
	return list, nil
}

func place(v booking.View) string { return v.Start.UTC().Format(time.RFC3339) + v.Entry.ID }

// take finds the offer that is meant.
func (d *fakeDesk) take(c booking.Caller, t booking.Target) (scheduling.Entry, error) {
	if t.ID == "" && len(t.Slots) > 0 {
		t.ID = d.bySlot(t.Slots[0])
	}
	if e, ok := d.entries[t.ID]; ok {
		if e.Principal != c.Principal {
			return e, scheduling.Refuse(scheduling.SlotTaken, "", "the slot is taken")
		}
		return e, nil
	}
	hit, ok := d.finder.Offer(t.ID)
	switch {
	case !ok:
		return scheduling.Entry{}, scheduling.Refuse(scheduling.UnknownID, "id", "there is no such offer")
	case !t.Start.IsZero() && !t.Start.Equal(hit.Start()):
		return scheduling.Entry{}, scheduling.Refuse(scheduling.NotAcceptable, "start", "not the offer's start")
	}
	s := hit.Setting
	e := scheduling.Entry{ID: hit.ID, Source: s.Source, Created: d.now(), Offer: scheduling.OfferRecord{
		Slots: hit.Slots, Schedule: s.Schedule.ID, Zone: s.Zone.String(), Specialty: s.Specialty, ServiceType: s.ServiceType,
	}}
	for _, p := range s.Practitioners {
		e.Offer.Actors = append(e.Offer.Actors, scheduling.Actor{Kind: scheduling.KindPractitioner, ID: p.ID, Display: p.Name.Display()})
	}
	if s.Role != nil {
		e.Offer.Actors = append(e.Offer.Actors, scheduling.Actor{Kind: scheduling.KindRole, ID: s.Role.ID})
	}
	for _, l := range s.Locations {
		e.Offer.Actors = append(e.Offer.Actors, scheduling.Actor{Kind: scheduling.KindLocation, ID: l.ID, Display: l.Name})
	}
	return e, nil
}

// bySlot is the offer of our id of a slot.
func (d *fakeDesk) bySlot(slot string) string {
	found, err := d.finder.Find(scheduling.Query{Count: 1000})
	if err != nil {
		d.tb.Error(err)
	}
	for _, hit := range found.Offers {
		if scheduling.ResourceID(hit.Setting.Source, scheduling.KindSlot, hit.Slots[0].ID) == slot {
			return hit.ID
		}
	}
	return "no-such-offer"
}

func (d *fakeDesk) save(c booking.Caller, e scheduling.Entry) booking.View {
	e.Principal, e.Updated = c.Principal, d.now()
	e.Version++
	d.entries[e.ID] = e
	return view(e, d.now())
}

func (d *fakeDesk) bent(v booking.View) booking.View {
	if d.bend != nil {
		d.bend(&v)
	}
	return v
}

func view(e scheduling.Entry, now time.Time) booking.View {
	return booking.View{Entry: e, Status: e.Status(), Start: e.Offer.Start(), End: e.Offer.End(), Now: now}
}

func private(patients []string, comment string) scheduling.Private {
	p := scheduling.Private{Comment: comment}
	for _, id := range patients {
		p.Patients = append(p.Patients, scheduling.PatientRef{Asked: id, Native: "native-" + id})
	}
	return p
}

// withDesk is a gateway that books at a desk of its own.
func withDesk(t *testing.T, bend func(*Options, *Deps)) (*world, *fakeDesk) {
	t.Helper()
	desk := &fakeDesk{tb: t, entries: map[string]scheduling.Entry{}}
	w := start(t, func(o *Options, d *Deps) {
		desk.finder, desk.now = d.Finder, d.Now
		d.Desk, d.PrincipalKey = desk, []byte("the key of all principals")
		for i := range d.Sources {
			d.Sources[i].Base = "https://" + string(d.Sources[i].ID) + ".example.org/fhir"
		}
		if bend != nil {
			bend(o, d)
		}
	})
	return w, desk
}

const siteKey = "Authorization: Bearer site-key"

// anOffer is the id of the nth open offer of a source.
func (w *world) anOffer(source scheduling.SourceID, n int) scheduling.Hit {
	w.t.Helper()
	found, err := w.replica.Find(scheduling.Query{Count: n + 1, Sources: []scheduling.SourceID{source}})
	if err != nil || len(found.Offers) <= n {
		w.t.Fatalf("%d offers: %v", len(found.Offers), err)
	}
	return found.Offers[n]
}
