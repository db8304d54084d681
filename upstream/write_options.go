package upstream

import (
	"errors"
	"fmt"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
)

// IdentifierSystem is the system of our own identifier on the appointments that
// we make, and of our mark on slots that we book. HoldSystem is that of our mark
// on slots that we hold: as long as a slot bears it, nothing was booked there by
// us, and it can be freed.
const (
	IdentifierSystem = "urn:slotgate:appointment"
	HoldSystem       = "urn:slotgate:hold"
)

// Booking are the times and choices of holding and booking at one source.
type Booking struct {
	// CallTimeout is the longest time for one call that changes something, the
	// waiting for the source's budget included; default: 20s.
	CallTimeout config.Duration `yaml:"call_timeout"`
	// ReadTimeout is that of reading one appointment or slot; default: 10s.
	ReadTimeout config.Duration `yaml:"read_timeout"`
	// Settle is how long after an unanswered call *not booked* may be said at
	// the earliest: longer than the slowest commit; default: 2m.
	Settle config.Duration `yaml:"settle"`
	// Lag is how far the source's searches are behind its writes; default: 0.
	Lag config.Duration `yaml:"lag"`
	// HoldDefault is the length of a hold where the source does not say;
	// default: 5m.
	HoldDefault config.Duration `yaml:"hold_default"`
	// HoldMax is the length of a hold with all renewals; default: 15m.
	HoldMax config.Duration `yaml:"hold_max"`
	// GatewayHolds: where the source cannot hold, a slot is hidden from our own
	// callers, and told so; default: true. false: not supported.
	GatewayHolds *bool `yaml:"gateway_holds"`
	// LateCancel: a booking that appears after it was told as not booked is
	// cancelled; default: true. false: it is told.
	LateCancel *bool `yaml:"late_cancel"`
}

// SetDefaults fills in what was not given.
func (b *Booking) SetDefaults() {
	setDefault(&b.CallTimeout, config.Duration(20*time.Second))
	setDefault(&b.ReadTimeout, config.Duration(10*time.Second))
	setDefault(&b.Settle, config.Duration(2*time.Minute))
	setDefault(&b.HoldDefault, config.Duration(5*time.Minute))
	setDefault(&b.HoldMax, config.Duration(15*time.Minute))
	setDefault(&b.GatewayHolds, ref(true))
	setDefault(&b.LateCancel, ref(true))
}

func ref[T any](value T) *T { return &value }

// settleMargin is what settle must leave after the call: the clock of another
// gateway, and the way back.
const settleMargin = config.Duration(2 * time.Second)

// Validate tells everything that is wrong. Each message begins with the key.
func (b *Booking) Validate() error {
	return errors.Join(
		need("call_timeout", b.CallTimeout > 0, "is %v; write a duration such as 20s", b.CallTimeout),
		need("read_timeout", b.ReadTimeout > 0, "is %v; write a duration such as 10s", b.ReadTimeout),
		need("settle", b.Settle >= b.CallTimeout+settleMargin, "is %v; write call_timeout and %v or more", b.Settle, settleMargin),
		need("lag", b.Lag >= 0 && b.Lag < b.Settle, "is %v; write a duration below settle", b.Lag),
		need("hold_default", b.HoldDefault > 0, "is %v; write a duration such as 5m", b.HoldDefault),
		need("hold_max", b.HoldMax >= b.HoldDefault, "is %v; write hold_default or more", b.HoldMax),
	)
}

// auto leaves a choice to the source's CapabilityStatement and the dialect.
const auto = "auto"

// The ways to book at a slots source (quirks.book), best first.
const (
	BookTransaction = "transaction" // slot and appointment in one transaction
	BookConditional = "conditional" // the slot with If-Match, then the appointment
	BookPlain       = "plain"       // the appointment; then it is seen who came first
)

// Writes are the quirks of holding, booking and cancelling.
type Writes struct {
	// Hold is ehr (the source holds slots), none or auto; default: auto.
	Hold string `yaml:"hold"`
	// Name is how an argonaut or ihe source is told which appointment is meant: id
	// (of the one that it proposed), resource, or auto: argonaut by id where there
	// is one, ihe by resource.
	Name string `yaml:"name"`
	// Book is how a slots source is booked: transaction, conditional, plain or
	// auto; default: auto.
	Book string `yaml:"book"`
	// Exclusive says who refuses the second booking of a slot: ehr, gateway
	// (among our own callers only) or auto; default: auto.
	Exclusive string `yaml:"exclusive"`
	// Search is how appointments are found: identifier, patient, none or auto;
	// default: auto.
	Search string `yaml:"search"`
	// Reschedule is book-first, move (slots and ihe only), cancel-first or auto:
	// move for ihe, else book-first. Default: auto.
	Reschedule string `yaml:"reschedule"`
	// Cancel is how an appointment is changed to cancelled: patch, put, none (not
	// at all) or auto; default: auto.
	Cancel string `yaml:"cancel"`
	// Patch is the format of a PATCH: json, xml, fhirpath or auto; default: auto.
	Patch string `yaml:"patch"`
	// SlotReads: the state of a slot can be read by its id: yes, no or auto;
	// default: auto.
	SlotReads string `yaml:"slot_reads"`
	// IfMatch: writes name the version that they change, where it is known;
	// default: true.
	IfMatch *bool `yaml:"if_match"`
	// Identifier: our identifier is put on appointments; default: true. A source of
	// dialect epic takes none.
	Identifier *bool `yaml:"identifier"`
	// Patients is how many one appointment takes; default: 0, any number. At an
	// epic source it is always one.
	Patients int `yaml:"patients"`
	// Overlap says whether a claim hides what overlaps with it on the same
	// schedule: hide, allow (parallel slots are meant to be booked by several), or
	// auto: hide where the schedule is of a practitioner. Default: auto.
	Overlap string `yaml:"overlap"`
	// Bookable: holds and bookings can be made at all; default: true.
	Bookable *bool `yaml:"bookable"`
}

// SetDefaults fills in what was not given.
func (w *Writes) SetDefaults() {
	for _, choice := range []*string{&w.Hold, &w.Name, &w.Book, &w.Exclusive, &w.Search, &w.Cancel, &w.Patch, &w.SlotReads, &w.Reschedule, &w.Overlap} {
		setDefault(choice, auto)
	}
	setDefault(&w.IfMatch, ref(true))
	setDefault(&w.Identifier, ref(true))
	setDefault(&w.Bookable, ref(true))
}

// Validate tells everything that is wrong. Each message begins with the key.
func (w *Writes) Validate() error {
	return errors.Join(
		need("hold", oneOf(w.Hold, auto, "ehr", "none"), "is %q; write auto, ehr or none", w.Hold),
		need("name", oneOf(w.Name, auto, "id", "resource"), "is %q; write auto, id or resource", w.Name),
		need("book", oneOf(w.Book, auto, BookTransaction, BookConditional, BookPlain), "is %q; write auto, transaction, conditional or plain", w.Book),
		need("exclusive", oneOf(w.Exclusive, auto, "ehr", "gateway"), "is %q; write auto, ehr or gateway", w.Exclusive),
		need("search", oneOf(w.Search, auto, "identifier", "patient", "none"), "is %q; write auto, identifier, patient or none", w.Search),
		need("reschedule", oneOf(w.Reschedule, auto, string(scheduling.BookFirst), string(scheduling.Move), string(scheduling.CancelFirst)),
			"is %q; write auto, book-first, move or cancel-first", w.Reschedule),
		need("cancel", oneOf(w.Cancel, auto, "patch", "put", "none"), "is %q; write auto, patch, put or none", w.Cancel),
		need("patch", oneOf(w.Patch, auto, "json", "xml", "fhirpath"), "is %q; write auto, json, xml or fhirpath", w.Patch),
		need("slot_reads", oneOf(w.SlotReads, auto, "yes", "no"), "is %q; write auto, yes or no", w.SlotReads),
		need("overlap", oneOf(w.Overlap, auto, string(scheduling.OverlapHide), string(scheduling.OverlapAllow)), "is %q; write auto, hide or allow", w.Overlap),
		need("patients", w.Patients >= 0, "is %d; write 0 or more", w.Patients),
	)
}

// oneSlot: an appointment of the dialect is of one slot. Epic books what its $find
// proposed, by its id alone.
func (o *Options) oneSlot() bool { return o.Dialect == Epic }

// books finds rules of the clinic by which offers would be made that the dialect
// cannot book. Each message begins with the number of the rule and its key.
func (o *Options) books(rules scheduling.Rules) error {
	var errs []error
	for n := range rules {
		if o.oneSlot() && rules[n].Minutes > 0 {
			errs = append(errs, fmt.Errorf("[%d].minutes: a source of dialect %s books one slot at a time; leave it out", n, o.Dialect))
		}
	}
	return errors.Join(errs...)
}

// checkWays finds quirks that the dialect cannot have.
func (o *Options) checkWays() error {
	w := &o.Quirks.Writes
	return within("quirks", errors.Join(
		need("reschedule", w.Reschedule != string(scheduling.Move) || o.Dialect == Slots || o.Dialect == IHE, "move is for the dialects slots and ihe only"),
		need("hold", w.Hold != "ehr" || o.Dialect != Epic, "nothing can be held at an epic source; leave it out"),
		need("patients", w.Patients <= 1 || o.Dialect != Epic, "is %d; an epic source books one", w.Patients),
		need("book", w.Book == auto || o.Dialect == Slots, "is for the slots dialect only; remove it"),
		need("name", w.Name == auto || o.Dialect == Argonaut || o.Dialect == IHE, "is for the dialects argonaut and ihe only; remove it"),
	))
}
