package scheduling

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
)

// Kind is a type of the directory.
type Kind string

// The kinds of the directory, named as FHIR names them.
const (
	KindSlot         Kind = "Slot"
	KindSchedule     Kind = "Schedule"
	KindPractitioner Kind = "Practitioner"
	KindRole         Kind = "PractitionerRole"
	KindLocation     Kind = "Location"
	KindOrganization Kind = "Organization"
	KindService      Kind = "HealthcareService"
)

// Ids that we give are digests: opaque, the same on every node, stable over
// refreshes and restarts, and without a table that could be lost. The part
// before the hyphen belongs to the source, so that one look tells whose books
// hold the rest.

var idText = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// SourceTag is the part of every id that belongs to the source (5 characters).
func SourceTag(source SourceID) string { return digest(5, "source", string(source)) }

// ResourceID is our id of a source's resource: 26 characters.
func ResourceID(source SourceID, kind Kind, id string) string {
	return SourceTag(source) + "-" + digest(20, string(kind), string(source), id)
}

// OfferID is the id of the offer of these slots, in their order of time: the
// Appointment id from $find to cancel. generation grows each time an offer of
// the same slots was used up, so that an id is never used for two bookings. What
// a rule makes has ids by Rule.OfferID.
func OfferID(source SourceID, generation uint32, slots ...string) string {
	return offerID("Appointment", source, generation, slots)
}

func offerID(kind string, source SourceID, generation uint32, slots []string) string {
	var gen [4]byte
	binary.BigEndian.PutUint32(gen[:], generation)
	parts := append([]string{kind, string(source), string(gen[:])}, slots...)
	return SourceTag(source) + "-" + digest(20, parts...)
}

// ValidID tells whether id could be a FHIR id ([A-Za-z0-9.-]{1,64}).
func ValidID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		ok := c == '-' || c == '.' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !ok {
			return false
		}
	}
	return true
}

// digest is length characters (32 at most) that depend on every part and on
// where it ends. Ids are made for every slot of every load, so it allocates
// nothing but its result.
func digest(length int, parts ...string) string {
	var room [256]byte
	buf := room[:0]
	for _, part := range parts {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(part)))
		buf = append(buf, part...)
	}
	sum := sha256.Sum256(buf)
	var text [56]byte // of 32 bytes in base 32
	idText.Encode(text[:], sum[:])
	return string(text[:length])
}
