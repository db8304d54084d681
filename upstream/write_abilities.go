package upstream

import (
	"context"
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// traits is what a source's CapabilityStatement tells of its writes.
type traits struct {
	ops         bool // it lists operations at all
	hold        bool // among them $hold
	transaction bool
	types       bool                      // it lists resource types at all
	slot        *model.CapabilityResource // nil: not told
	appt        *model.CapabilityResource
	coverage    *model.CapabilityResource
	patch       []string // patchFormat
	until       time.Time
}

const (
	learntFor  = 24 * time.Hour
	learnAgain = time.Minute // after a failure
)

// learnt is what is known; never nil.
func (c *Client) learnt() *traits {
	if t := c.traits.Load(); t != nil {
		return t
	}
	return &traits{}
}

// Learn reads the CapabilityStatement, unless that was done lately, for whoever
// wants to know how the source is treated before anything is done there.
func (c *Client) Learn(ctx context.Context) { c.learn(ctx, laneRead) }

// learn reads the CapabilityStatement, unless that was done lately. A source
// without one is taken as its dialect says.
func (c *Client) learn(ctx context.Context, l lane) *traits {
	known := c.learnt()
	if c.now().Before(known.until) {
		return known
	}
	within, cancel := context.WithTimeout(ctx, c.opts.Booking.ReadTimeout.Std()/2)
	defer cancel()
	statement, err := c.metadata(within, l)
	if err != nil {
		again := *known
		again.until = c.now().Add(learnAgain)
		c.traits.Store(&again)
		return &again
	}
	known = newTraits(statement)
	known.until = c.now().Add(learntFor)
	c.traits.Store(known)
	return known
}

func newTraits(statement *model.CapabilityStatement) *traits {
	t := &traits{patch: statement.PatchFormat, hold: hasOperation(statement, "hold")}
	t.ops = t.hold || hasOperation(statement, "book") || hasOperation(statement, "find")
	for i := range statement.Rest {
		rest := &statement.Rest[i]
		t.transaction = t.transaction || slices.ContainsFunc(rest.Interaction, func(one model.CapabilityInteraction) bool { return one.Code == "transaction" })
		t.types = t.types || len(rest.Resource) > 0
		for j := range rest.Resource {
			switch rest.Resource[j].Type {
			case "Slot":
				t.slot = &rest.Resource[j]
			case "Appointment":
				t.appt = &rest.Resource[j]
			case "Coverage":
				t.coverage = &rest.Resource[j]
			}
		}
	}
	return t
}

// can tells whether a resource has an interaction; unknown where nothing is told.
func can(r *model.CapabilityResource, interaction string, unknown bool) bool {
	if r == nil || len(r.Interaction) == 0 {
		return unknown
	}
	return slices.ContainsFunc(r.Interaction, func(one model.CapabilityInteraction) bool { return one.Code == interaction })
}

func searches(r *model.CapabilityResource, param string, unknown bool) bool {
	if r == nil || len(r.SearchParam) == 0 {
		return unknown
	}
	return slices.ContainsFunc(r.SearchParam, func(one model.CapabilitySearchParam) bool { return one.Name == param })
}

// guarded: updates of a slot honour If-Match, by the source's own word.
func (t *traits) guarded() bool { return t.slot != nil && t.slot.Versioning == "versioned-update" }

// createsOnce: the source says that it knows If-None-Exist for appointments.
func (t *traits) createsOnce() bool { return ConditionalCreate(t.appt) }

// bookWay is how a slots source is booked.
func (c *Client) bookWay(t *traits) string {
	switch way := c.opts.Quirks.Book; {
	case way != auto:
		return way
	case c.plainUntil.Load() > c.now().UnixNano(), !can(t.slot, "update", true):
		return BookPlain
	case t.transaction && t.guarded():
		return BookTransaction
	default:
		return BookConditional
	}
}

func (c *Client) holdWay(t *traits) scheduling.HoldWay {
	switch way := c.opts.Quirks.Hold; {
	case way == "ehr":
		return scheduling.HoldEHR
	case way == "none", c.opts.Dialect == Epic, (c.opts.Dialect == Argonaut || c.opts.Dialect == IHE) && t.ops && !t.hold:
		return scheduling.HoldNone
	case c.opts.Dialect == Slots && c.bookWay(t) == BookPlain:
		return scheduling.HoldNone
	default:
		return scheduling.HoldEHR
	}
}

func (c *Client) exclusive(t *traits) bool {
	switch c.opts.Quirks.Exclusive {
	case "ehr":
		return true
	case "gateway":
		return false
	default:
		return c.opts.Dialect == Argonaut || c.opts.Dialect == IHE || c.opts.Dialect == Slots && t.guarded() && c.bookWay(t) != BookPlain
	}
}

// searchWays tells how appointments can be searched.
func (c *Client) searchWays(t *traits) (identifier, patient bool) {
	switch c.opts.Quirks.Search {
	case "none":
		return false, false
	case "identifier":
		return true, searches(t.appt, "patient", true)
	case "patient":
		return false, true
	default:
		if !can(t.appt, "search-type", true) {
			return false, false
		}
		return c.identifies() && searches(t.appt, "identifier", c.opts.Dialect == Slots), searches(t.appt, "patient", true)
	}
}

func (c *Client) readsSlots(t *traits) bool {
	if choice := c.opts.Quirks.SlotReads; choice != auto {
		return choice == "yes"
	}
	return c.opts.Dialect != Epic && can(t.slot, "read", c.opts.Dialect == Slots)
}

// cancels tells whether the source lets us cancel at all.
func (c *Client) cancels(t *traits) bool {
	switch c.opts.Quirks.Cancel {
	case "none":
		return false
	case auto:
		return c.opts.Dialect != Epic || can(t.appt, "patch", false)
	default:
		return true
	}
}

// identifies: our identifier stands on the appointments that we make.
func (c *Client) identifies() bool { return c.opts.Dialect != Epic && *c.opts.Quirks.Identifier }

// patients is how many one appointment takes; 0: any number.
func (c *Client) patients() int {
	if c.opts.Dialect == Epic {
		return 1
	}
	return c.opts.Quirks.Patients
}

func (c *Client) rescheduleWay() scheduling.RescheduleWay {
	switch way := c.opts.Quirks.Reschedule; {
	case way != auto:
		return scheduling.RescheduleWay(way)
	case c.opts.Dialect == IHE:
		return scheduling.Move
	default:
		return scheduling.BookFirst
	}
}

// patchFormat is json, xml, fhirpath, or "" where an appointment is PUT.
func (c *Client) patchFormat(t *traits) string {
	quirks := &c.opts.Quirks.Writes
	switch {
	case quirks.Cancel == "put", quirks.Cancel == auto && !can(t.appt, "patch", c.opts.Dialect == Argonaut):
		return ""
	case quirks.Patch != auto:
		return quirks.Patch
	case len(t.patch) == 0 || t.patches("json-patch"):
		return "json"
	case t.patches("xml-patch"):
		return "xml"
	case t.patches("fhir"):
		return "fhirpath"
	default:
		return "json"
	}
}

func (t *traits) patches(word string) bool {
	return slices.ContainsFunc(t.patch, func(format string) bool { return strings.Contains(format, word) })
}

// Can tells what the source can do, and how it is to be treated. What its
// CapabilityStatement tells counts from the first call on.
func (c *Client) Can() scheduling.Abilities {
	t, b := c.learnt(), &c.opts.Booking
	identifier, patient := c.searchWays(t)
	if c.opts.Dialect == Links {
		return scheduling.Abilities{Source: c.source.ID, Readonly: c.opts.Readonly, Paused: c.opts.Paused}
	}
	return scheduling.Abilities{
		Source:       c.source.ID,
		Bookable:     *c.opts.Quirks.Bookable,
		Readonly:     c.opts.Readonly,
		Paused:       c.opts.Paused,
		Hold:         c.holdWay(t),
		GatewayHolds: *b.GatewayHolds,
		Exclusive:    c.exclusive(t),
		Search:       identifier || patient,
		Slots:        c.readsSlots(t),
		Conditional:  c.opts.Dialect == Slots && *c.opts.Quirks.Identifier && t.createsOnce(),
		Reschedule:   c.rescheduleWay(),
		NoCancel:     !c.cancels(t),
		LateCancel:   *b.LateCancel,
		Patients:     c.patients(),
		OneSlot:      c.opts.oneSlot(),
		HoldsOne:     c.opts.Dialect == IHE,
		Overlap:      scheduling.Overlap(c.opts.Quirks.Overlap),
		Rules:        c.source.Rules,
		CallTimeout:  b.CallTimeout.Std(),
		ReadTimeout:  b.ReadTimeout.Std(),
		Settle:       b.Settle.Std(),
		Lag:          b.Lag.Std(),
		HoldDefault:  b.HoldDefault.Std(),
		HoldMax:      b.HoldMax.Std(),
	}
}
