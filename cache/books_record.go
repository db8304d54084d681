package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"slotgate/scheduling"
)

// record is an entry as it stands in Redis.
type record struct {
	id      string
	source  scheduling.SourceID
	version uint64
	text    string // JSON, without anything that tells of a person
	sealed  string // what does; "" for nothing
	digests []string
	slots   []slotEnd
	// schedule is that of the slots' spans, "" for none.
	schedule string
	names    string // of the slots, for the feed
	used     string // see saveSource
	doubt    bool
	forget   string    // when to forget the patients, ms since 1970; "" for never
	until    time.Time // the same; zero for never
}

// slotEnd is a slot, and when its claim and fence mean nothing any more.
type slotEnd struct {
	id       string
	clear    int64  // ms since 1970
	ours     string // our id of it
	from, to string // its span, seconds since 1970; "" for none
}

// entrySlot is a slot of the entry as the scripts take it.
func entrySlot(e scheduling.Entry, slot scheduling.Slot) slotEnd {
	s := slotEnd{id: slot.ID, clear: slot.End.Add(clearAfter).UnixMilli(), ours: scheduling.ResourceID(e.Source, scheduling.KindSlot, slot.ID)}
	if span := e.Offer.Span(slot); span.Schedule != "" {
		s.from, s.to = strconv.FormatInt(span.From.Unix(), 10), strconv.FormatInt(span.To.Add(time.Second-1).Unix(), 10)
	}
	return s
}

// clearAfter is how long after its end a slot's claim and fence are kept: far
// longer than any fetch lasts. It is not offered any more since it began.
const clearAfter = 7 * 24 * time.Hour

// sealed is the part of an entry that tells of a person, or may.
type sealed struct {
	scheduling.Private
	Why string `json:"why,omitempty"` // Decision.Reason: free text
}

// Purposes of the vault.
const (
	sealEntry     = "entry"
	sealAnswer    = "answer"
	digestPatient = "patient"
	digestKey     = "idempotency-key"
)

func recordFields() []string { return []string{"e", "p"} }

// encode makes the record of an entry.
func (b *Books) encode(ctx context.Context, e scheduling.Entry) (record, error) {
	switch n := len(e.Offer.Slots); {
	case n == 0:
		return record{}, errNoSlots
	case n > maxSlots:
		return record{}, errManySlots
	case !scheduling.ValidID(e.ID):
		return record{}, fmt.Errorf("cache: %q is no id of an entry", e.ID)
	}
	rec := record{id: e.ID, source: e.Source, version: e.Version, doubt: isUnsettled(e), used: raised(e)}
	end := e.SeenEnd
	for _, slot := range e.Offer.Slots {
		rec.slots = append(rec.slots, entrySlot(e, slot))
		if span := e.Offer.Span(slot); span.Schedule != "" {
			rec.schedule = span.Schedule
		}
		if slot.End.After(end) {
			end = slot.End
		}
	}
	rec.names = packTexts(e.Offer.SlotIDs())
	if err := b.seal(ctx, e, end.Add(b.store.options.KeepPatients), &rec); err != nil {
		return record{}, err
	}
	if e.Decision != nil {
		d := *e.Decision
		d.Reason = ""
		e.Decision = &d
	}
	text, err := json.Marshal(e)
	rec.text = string(text)
	return rec, err
}

// seal puts what tells of a person into the record.
func (b *Books) seal(ctx context.Context, e scheduling.Entry, forget time.Time, rec *record) error {
	part := sealed{Private: e.Private}
	if e.Decision != nil {
		part.Why = e.Decision.Reason
	}
	if len(part.Patients) == 0 && part.Comment == "" && part.Why == "" {
		return nil
	}
	if err := b.sealing.keep(ctx, forget); err != nil {
		return err
	}
	data, err := json.Marshal(part)
	if err != nil {
		return err
	}
	rec.sealed, err = b.vault.Seal(sealEntry, data, b.store.keys.source(e.Source).entry(e.ID), "p")
	if err != nil {
		return err
	}
	rec.until = forget
	rec.forget = strconv.FormatInt(forget.UnixMilli(), 10)
	if e.State != scheduling.EntryFree {
		rec.digests = b.patientDigests(e)
	}
	return nil
}

// patientDigests are what the entry is looked up by.
func (b *Books) patientDigests(e scheduling.Entry) []string {
	var digests []string
	seen := map[string]bool{}
	for _, p := range e.Private.Patients {
		for _, id := range []string{p.Asked, p.Native} {
			if id != "" && !seen[id] {
				seen[id] = true
				digests = append(digests, b.vault.Digest(digestPatient, string(e.Source), e.Principal, id))
			}
		}
	}
	return digests
}

// decode reads the fields of recordFields; key is where they stood.
func (b *Books) decode(key string, values []any) (scheduling.Entry, error) {
	var e scheduling.Entry
	if err := json.Unmarshal([]byte(textAt(values, 0)), &e); err != nil {
		return scheduling.Entry{}, errDamaged
	}
	envelope := textAt(values, 1)
	if envelope == "" {
		return e, nil
	}
	data, err := b.vault.Unseal(sealEntry, envelope, key, "p")
	if err != nil {
		return scheduling.Entry{}, err
	}
	var part sealed
	if err := json.Unmarshal(data, &part); err != nil {
		return scheduling.Entry{}, errDamaged
	}
	e.Private = part.Private
	if e.Decision != nil {
		e.Decision.Reason = part.Why
	}
	return e, nil
}

// isUnsettled tells whether nobody knows yet whether the EHR booked or cancelled.
// What was settled as not booked is watched for a day, but it is settled; and
// whether a hold has gone is no question for a person.
func isUnsettled(e scheduling.Entry) bool {
	switch e.State {
	case scheduling.EntryDoubt:
		return true
	case scheduling.EntryBooking, scheduling.EntryCancelling:
		return e.Doubt != nil
	case scheduling.EntryNotBooked:
		return e.Doubt != nil && e.Doubt.Unresolved // what showed up since waits for a person
	default:
		return false
	}
}

// maxGeneration is how many generations raised tries.
const maxGeneration = 64

// raised tells which generation the slots of a used entry have at least: the
// one after that of its own id. So an entry that is restored in any order
// raises them as far as it did before. Of an id that is not of that kind it
// gives 0: one more than now.
func raised(e scheduling.Entry) string {
	if !e.Used {
		return ""
	}
	slots := e.Offer.SlotIDs()
	for generation := range uint32(maxGeneration) {
		if e.Offer.Rule.OfferID(e.Source, generation, slots...) == e.ID {
			return strconv.FormatUint(uint64(generation)+1, 10)
		}
	}
	return "0"
}
