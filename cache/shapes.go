package cache

import (
	"encoding/binary"
	"strings"

	"slotgate/scheduling"
)

// A shape is all of a slot that is not its own: slots of a window share a few.
type shape struct {
	status          scheduling.SlotStatus
	serviceCategory []scheduling.Concept
	serviceType     []scheduling.Concept
	specialty       []scheduling.Concept
	appointmentType *scheduling.Concept
	comment         string
	portal          *scheduling.Portal
}

func shapeOf(s scheduling.Slot) shape {
	return shape{s.Status, s.ServiceCategory, s.ServiceType, s.Specialty, s.AppointmentType, s.Comment, s.Portal}
}

// shapeTable writes the shapes of a window, and the texts in them, each once.
//
//	texts:  count, (length, bytes)...
//	shapes: count, (status, categories, types, specialties, appointment type, comment, page, phone)...
//
// where a text is its place in the table, concepts are a count and so many, a
// concept is a count of codings (system, code, display) and a text, and the
// appointment type is a count of 0 or 1 and so many concepts.
type shapeTable struct {
	texts  map[string]int
	list   []string
	shapes map[string]int
	packed []byte
}

func newShapeTable() *shapeTable {
	return &shapeTable{texts: map[string]int{}, shapes: map[string]int{}}
}

// add gives the shape's place in the table.
func (t *shapeTable) add(s shape) int {
	b := t.appendRef(nil, string(s.status))
	b = t.appendConcepts(b, s.serviceCategory)
	b = t.appendConcepts(b, s.serviceType)
	b = t.appendConcepts(b, s.specialty)
	if s.appointmentType == nil {
		b = t.appendConcepts(b, nil)
	} else {
		b = t.appendConcepts(b, []scheduling.Concept{*s.appointmentType})
	}
	b = t.appendRef(b, s.comment)
	var portal scheduling.Portal
	if s.portal != nil {
		portal = *s.portal
	}
	b = t.appendRef(t.appendRef(b, portal.URL), portal.Phone)
	if at, ok := t.shapes[string(b)]; ok {
		return at
	}
	at := len(t.shapes)
	t.shapes[string(b)] = at
	t.packed = append(t.packed, b...)
	return at
}

func (t *shapeTable) appendRef(b []byte, text string) []byte {
	at, ok := t.texts[text]
	if !ok {
		at = len(t.list)
		t.texts[text] = at
		t.list = append(t.list, text)
	}
	return binary.AppendUvarint(b, uint64(at))
}

func (t *shapeTable) appendConcepts(b []byte, concepts []scheduling.Concept) []byte {
	b = binary.AppendUvarint(b, uint64(len(concepts)))
	for _, c := range concepts {
		b = binary.AppendUvarint(b, uint64(len(c.Codings)))
		for _, coding := range c.Codings {
			b = t.appendRef(b, coding.System)
			b = t.appendRef(b, coding.Code)
			b = t.appendRef(b, coding.Display)
		}
		b = t.appendRef(b, c.Text)
	}
	return b
}

// append writes the table with its length in front.
func (t *shapeTable) append(b []byte) []byte {
	body := binary.AppendUvarint(nil, uint64(len(t.list)))
	for _, text := range t.list {
		body = appendText(body, text)
	}
	body = binary.AppendUvarint(body, uint64(len(t.shapes)))
	body = append(body, t.packed...)
	return appendText(b, string(body))
}

// decoder reads windows. It keeps the shapes it has read: windows of a schedule
// have the same ones day after day, and their slots then share the memory. It is
// for one goroutine.
type decoder struct{ tables map[string][]shape }

// maxTables bounds what a decoder keeps.
const maxTables = 4096

func newDecoder() *decoder { return &decoder{map[string][]shape{}} }

func (d *decoder) shapes(table string) ([]shape, error) {
	if known, ok := d.tables[table]; ok {
		return known, nil
	}
	// A copy, so that what is kept does not hold the whole window's memory.
	table = strings.Clone(table)
	shapes, err := readShapes(table)
	if err != nil {
		return nil, err
	}
	if len(d.tables) >= maxTables {
		clear(d.tables)
	}
	d.tables[table] = shapes
	return shapes, nil
}

func readShapes(table string) ([]shape, error) {
	r := &reader{rest: table}
	texts := make([]string, r.count(1))
	for i := range texts {
		texts[i] = r.sized()
	}
	// A shape takes eight bytes at least: one for each of its parts.
	shapes := make([]shape, r.count(8))
	for i := range shapes {
		shapes[i] = readShape(r, texts)
	}
	return shapes, r.end()
}

func readShape(r *reader, texts []string) shape {
	s := shape{status: scheduling.SlotStatus(readRef(r, texts))}
	s.serviceCategory = readConcepts(r, texts)
	s.serviceType = readConcepts(r, texts)
	s.specialty = readConcepts(r, texts)
	if one := readConcepts(r, texts); len(one) == 1 {
		s.appointmentType = &one[0]
	} else if len(one) > 1 {
		r.fail()
	}
	s.comment = readRef(r, texts)
	portal := scheduling.Portal{URL: readRef(r, texts), Phone: readRef(r, texts)}
	if portal != (scheduling.Portal{}) {
		s.portal = &portal
	}
	return s
}

func readRef(r *reader, texts []string) string {
	at := r.index(len(texts))
	if r.bad {
		return ""
	}
	return texts[at]
}

func readConcepts(r *reader, texts []string) []scheduling.Concept {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	concepts := make([]scheduling.Concept, n)
	for i := range concepts {
		if m := r.count(3); m > 0 {
			concepts[i].Codings = make([]scheduling.Coding, m)
		}
		for j := range concepts[i].Codings {
			concepts[i].Codings[j] = scheduling.Coding{
				System: readRef(r, texts), Code: readRef(r, texts), Display: readRef(r, texts),
			}
		}
		concepts[i].Text = readRef(r, texts)
	}
	return concepts
}
