package scheduling

import "time"

// Offer is one slot, or several adjacent ones, put forward as an appointment
// that could be made. Its id is the Appointment's id from $find to cancel.
type Offer struct {
	ID      string
	Slots   []Slot // in order of time, at least one, all of one schedule
	Setting *Setting
	// Rule is what made it of its slots, nil for a slot by itself. The slots then
	// have the service types that the rule is for, and no others.
	Rule *Rule
	// Checked is the last instant at which the source confirmed it.
	Checked time.Time
}

// Start is when the appointment would begin.
func (o Offer) Start() time.Time { return o.Slots[0].Start }

// End is when it would end.
func (o Offer) End() time.Time { return o.Slots[len(o.Slots)-1].End }

// Specialty is the slot's own, else the setting's.
func (o Offer) Specialty() []Concept { return firstOf(o.Slots[0].Specialty, o.Setting.Specialty) }

// ServiceType is the slot's own, else the setting's.
func (o Offer) ServiceType() []Concept { return firstOf(o.Slots[0].ServiceType, o.Setting.ServiceType) }

// ServiceCategory is the slot's own, else the setting's.
func (o Offer) ServiceCategory() []Concept {
	return firstOf(o.Slots[0].ServiceCategory, o.Setting.ServiceCategory)
}

// Found is the answer to a Query.
type Found struct {
	Total  int   // all that match, over all pages
	Offers []Hit // this page, in order of start and id
	More   bool  // others follow the last one
	// Next is where the next page begins, where that is not behind the last
	// offer of this one; else zero.
	Next Cursor
	// Sources is every source that the query asks, in order of id.
	Sources []Freshness
	// Period is what was really searched, as instants: it is told as
	// requestedPeriod.
	From, To time.Time
}

// Hit is an offer with what was rendered for its setting beforehand; Fragment
// is whatever the renderer of the replica made, nil without one.
type Hit struct {
	Offer
	Fragment any
}

// Complete tells whether nothing that was asked for is missing.
func (f Found) Complete() bool {
	for _, source := range f.Sources {
		if !source.Complete {
			return false
		}
	}
	return true
}
