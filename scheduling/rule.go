package scheduling

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule is one of a clinic's own rules for a visit type: which slots make one
// appointment of it, when that may begin, and for whom it is. Argonaut
// Scheduling, Scenario 3, lets a source share them; here they come from the
// configuration. It is immutable.
//
// An EHR says which slots are open, not what a visit needs: a new patient may
// take three slots of a quarter of an hour, which the EHR publishes one by one.
type Rule struct {
	// VisitTypes are the service types that it is for, as the slot names them,
	// else its schedule. None: for all that no other rule of the source is for,
	// also slots without a service type.
	VisitTypes []Token `json:"visitTypes,omitempty"`
	// Minutes is how long an appointment must last: as many adjacent slots of one
	// schedule as it takes from the start of the first to the end of the last. It
	// takes all of the last. 0: one slot, whatever its length.
	Minutes int `json:"minutes,omitempty"`
	// Gap is the longest pause between two slots that still are adjacent.
	Gap time.Duration `json:"gap,omitempty"`
	// Every: an appointment begins only at whole multiples of it since midnight,
	// by the clock on the wall of the place (whole minutes). 0: at any slot's start.
	Every time.Duration `json:"every,omitempty"`
	// Lead: it is not offered later than this before it begins. 0: until it begins.
	Lead time.Duration `json:"lead,omitempty"`
	// Until: it is not offered farther ahead than this. 0: as far as slots are known.
	Until time.Duration `json:"until,omitempty"`
	// Patients is for whom it is.
	Patients Patients `json:"patients,omitempty"`
	// Ages are those of the patient on the day of the appointment.
	Ages Ages `json:"ages,omitzero"`
}

// Patients says whether a visit is for those whom the clinic has seen.
type Patients string

// The kinds of patients.
const (
	AnyPatients   Patients = ""
	NewPatients   Patients = "new"
	KnownPatients Patients = "known"
)

// Ages are whole years, both ends included. To 0: no end.
type Ages struct {
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}

// MaxOfferSlots is how many slots one offer is made of at most.
const MaxOfferSlots = 48

// Asks tells that it depends on the patient whether the rule admits.
func (r *Rule) Asks() bool { return r != nil && (r.Patients != AnyPatients || r.Ages != Ages{}) }

// Key tells rules of one source apart in the ids of offers: the visit types and
// for whom it is. It is "" for a rule (and for none) whose offers of a slot need
// no other id than that slot's own. Times are not in it: an id outlives a
// clinic's new lead.
func (r *Rule) Key() string {
	if r == nil || len(r.VisitTypes) == 0 && !r.Asks() {
		return ""
	}
	parts := []string{string(r.Patients), strconv.Itoa(r.Ages.From), strconv.Itoa(r.Ages.To)}
	for _, t := range r.VisitTypes {
		parts = append(parts, t.String())
	}
	slices.Sort(parts[3:])
	return strings.Join(parts, "\x00")
}

// OfferID is the id of the offer that the rule makes of these slots, in their
// order of time; r may be nil: a slot by itself. generation is the highest of
// the slots': when an offer is used up, those of all its slots are raised above
// it, so that an id is never used for two bookings.
func (r *Rule) OfferID(source SourceID, generation uint32, slots ...string) string {
	key := r.Key()
	if key == "" {
		return OfferID(source, generation, slots...)
	}
	return offerID("Appointment by rule", source, generation, append([]string{key}, slots...))
}

// Timely refuses a start that the rule does not offer now: too soon, or too far
// ahead. What is held was timely when it was held.
//
// Errors: not-acceptable.
func (r *Rule) Timely(start, now time.Time) error {
	switch {
	case r == nil:
		return nil
	case r.Lead > 0 && start.Before(now.Add(r.Lead)):
		return Refuse(NotAcceptable, "start", "this clinic takes appointments of this kind %s ahead or earlier", spoken(r.Lead))
	case r.Until > 0 && start.After(now.Add(r.Until)):
		return Refuse(NotAcceptable, "start", "this clinic takes appointments of this kind %s ahead at most", spoken(r.Until))
	default:
		return nil
	}
}

// Admits refuses a patient for whom the visit is not; start is the appointment's,
// zone its place's. What is not known of the patient speaks against nobody: the
// clinic will see. The text of the refusal tells the rule, nothing of the patient.
//
// Errors: not-acceptable.
func (r *Rule) Admits(p Person, start time.Time, zone *time.Location) error {
	switch {
	case r == nil:
		return nil
	case r.Patients == NewPatients && p.Standing == Seen:
		return Refuse(NotAcceptable, "patient", "this clinic offers it to new patients only")
	case r.Patients == KnownPatients && p.Standing == Stranger:
		return Refuse(NotAcceptable, "patient", "this clinic offers it only to patients whom it knows already")
	case !r.Ages.has(p.Born, DayOf(start, zone)):
		return Refuse(NotAcceptable, "patient", "this clinic offers it to patients %s", r.Ages)
	default:
		return nil
	}
}

// Period is when the rule's appointments may begin that are offered now to this
// person at a place in the zone: from from (included) to to (not included; zero:
// no end). It is what Timely and Admits allow; ok is false where that is nothing.
func (r *Rule) Period(p Person, zone *time.Location, now time.Time) (from, to time.Time, ok bool) {
	from = now
	if r == nil {
		return from, to, true
	}
	if r.Patients == NewPatients && p.Standing == Seen || r.Patients == KnownPatients && p.Standing == Stranger {
		return from, to, false
	}
	from = now.Add(r.Lead)
	if r.Until > 0 {
		to = now.Add(r.Until + 1) // that instant itself is allowed
	}
	first, last, known := birthDays(p.Born)
	if known && r.Ages.From > 0 {
		from = later(from, turns(first, r.Ages.From).Start(zone))
	}
	if known && r.Ages.To > 0 {
		if end := turns(last, r.Ages.To+1).Start(zone); to.IsZero() || end.Before(to) {
			to = end
		}
	}
	return from, to, to.IsZero() || from.Before(to)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// String tells the ages in words: "of 18 years or older".
func (a Ages) String() string {
	switch {
	case a.To == 0:
		return "of " + strconv.Itoa(a.From) + " years or older"
	case a.From == 0:
		return "up to the age of " + strconv.Itoa(a.To)
	default:
		return "of " + strconv.Itoa(a.From) + " to " + strconv.Itoa(a.To) + " years"
	}
}

// Said tells people for whom and when the rule's appointments are, "" where
// there is nothing to say: "For new patients only. For patients of 18 years or
// older. To be booked 2 hours ahead or earlier."
func (r *Rule) Said() string {
	if r == nil {
		return ""
	}
	var said []string
	switch r.Patients {
	case NewPatients:
		said = append(said, "For new patients only.")
	case KnownPatients:
		said = append(said, "Only for patients whom the clinic knows.")
	}
	if r.Ages != (Ages{}) {
		said = append(said, "For patients "+r.Ages.String()+".")
	}
	if r.Lead > 0 {
		said = append(said, "To be booked "+spoken(r.Lead)+" ahead or earlier.")
	}
	return strings.Join(said, " ")
}

// spoken is a length of time as people say it, in the largest whole unit.
func spoken(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int64(d / unit.long); d%unit.long == 0 && n > 0 {
			if n > 1 {
				unit.name += "s"
			}
			return strconv.FormatInt(n, 10) + " " + unit.name
		}
	}
	return d.String()
}
