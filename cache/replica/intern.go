package replica

import (
	"encoding/binary"

	"slotgate/scheduling"
)

// noSet is the number of the empty list of concepts: "see the schedule".
const noSet = 0

// internLimit is how many different lists and extras a source may collect
// before its books are packed anew, so that what is no longer used can go.
const internLimit = 1 << 16

// extra is what few slots have beside times and ids. Equal ones are one.
type extra struct {
	virtual         bool
	specialty       int32 // numbers of sets
	serviceType     int32
	category        []scheduling.Concept
	appointmentType *scheduling.Concept
	comment         string
	portal          *scheduling.Portal
}

// interner numbers the lists of concepts of a source, and finds equal extras.
// Only the writer of the source uses it; states keep the list as it was.
type interner struct {
	sets   [][]scheduling.Concept // by number; only ever appended to
	byKey  map[string]int32
	extras map[string]*extra
	key    []byte
}

func newInterner() *interner {
	return &interner{
		sets:   [][]scheduling.Concept{nil},
		byKey:  map[string]int32{},
		extras: map[string]*extra{},
	}
}

func (in *interner) size() int { return max(len(in.sets), len(in.extras)) }

// set is the number of a list of concepts.
func (in *interner) set(concepts []scheduling.Concept) int32 {
	if len(concepts) == 0 {
		return noSet
	}
	in.key = appendConcepts(in.key[:0], concepts)
	if n, ok := in.byKey[string(in.key)]; ok {
		return n
	}
	n := int32(len(in.sets))
	in.sets = append(in.sets, concepts)
	in.byKey[string(in.key)] = n
	return n
}

// extraOf is the slot's extra, nil where it has nothing of its own.
func (in *interner) extraOf(slot *scheduling.Slot) *extra {
	plain := !slot.Virtual && slot.Comment == "" && slot.AppointmentType == nil && slot.Portal == nil &&
		len(slot.ServiceCategory)+len(slot.ServiceType)+len(slot.Specialty) == 0
	if plain {
		return nil
	}
	specialty, serviceType := in.set(slot.Specialty), in.set(slot.ServiceType)
	key := in.key[:0]
	key = binary.AppendVarint(key, int64(specialty))
	key = binary.AppendVarint(key, int64(serviceType))
	key = appendConcepts(key, slot.ServiceCategory)
	key = appendFlag(key, slot.Virtual)
	key = appendFlag(key, slot.AppointmentType != nil)
	if slot.AppointmentType != nil {
		key = appendConcepts(key, []scheduling.Concept{*slot.AppointmentType})
	}
	key = appendText(key, slot.Comment)
	if slot.Portal != nil {
		key = appendText(appendText(key, slot.Portal.URL), slot.Portal.Phone)
	}
	in.key = key
	if x, ok := in.extras[string(in.key)]; ok {
		return x
	}
	x := &extra{
		virtual: slot.Virtual, specialty: specialty, serviceType: serviceType,
		category: slot.ServiceCategory, appointmentType: slot.AppointmentType, comment: slot.Comment, portal: slot.Portal,
	}
	in.extras[string(in.key)] = x
	return x
}

func appendConcepts(key []byte, concepts []scheduling.Concept) []byte {
	key = binary.AppendUvarint(key, uint64(len(concepts)))
	for _, concept := range concepts {
		key = binary.AppendUvarint(key, uint64(len(concept.Codings)))
		for _, c := range concept.Codings {
			key = appendText(appendText(appendText(key, c.System), c.Code), c.Display)
		}
		key = appendText(key, concept.Text)
	}
	return key
}

func appendText(key []byte, text string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(text))), text...)
}

func appendFlag(key []byte, set bool) []byte {
	if set {
		return append(key, 1)
	}
	return append(key, 0)
}
