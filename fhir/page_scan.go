package fhir

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// pageReader reads one page in one walk. Slots of a page hardly differ from
// each other: the same specialty, type and schedule come again and again. So a
// member that was read once is not read again where it stands in the same
// bytes; the slots then share it, and nobody may change it.
type pageReader struct {
	codec *codec
	page  *Page
	known map[string]model.Resource // by the member as written, with its name
	buf   []byte
	// raw is the page as it came where data is a mended copy of it, else nil.
	raw, data []byte
}

func (c *codec) page(data, raw []byte) (*Page, error) {
	r := &pageReader{raw: raw, data: data, codec: c, page: &Page{Broken: scheduling.Tally{}}, known: map[string]model.Resource{}}
	if err := r.bundle(data); err != nil {
		return nil, unreadable("the Bundle cannot be read", err)
	}
	return r.page, nil
}

// bundle reads everything but the entries as usual, and walks those.
func (r *pageReader) bundle(data []byte) error {
	cur := &cursor{b: data}
	cur.space()
	head, lists := []byte{'{'}, 0
	for cur.next() {
		start := cur.i
		if string(cur.name()) == "entry" && cur.b[cur.i] == '[' {
			if lists++; lists > 1 {
				return errMember
			}
			r.entries(cur)
			continue
		}
		cur.value()
		if len(head) > 1 {
			head = append(head, ',')
		}
		head = append(head, data[start:cur.i]...)
	}
	head = append(head, '}')
	if r.raw != nil && !jsontext.Value(head).IsValid() {
		return errMember
	}
	res, err := r.codec.decode(head)
	if err != nil {
		return err
	}
	r.page.Bundle = *res.(*model.Bundle)
	return nil
}

func (r *pageReader) entries(cur *cursor) {
	for cur.next() {
		start := cur.i
		if cur.b[start] != '{' || r.raw != nil && !r.good(start) {
			r.broken(cur.value())
			continue
		}
		r.entry(cur)
	}
}

// good tells whether the value at this place was good before it was mended.
func (r *pageReader) good(start int) bool {
	// What is read and what came are of the same length.
	cur := &cursor{b: r.data, i: start}
	cur.value()
	return jsontext.Value(r.raw[start:cur.i]).IsValid()
}

func (r *pageReader) broken(entry []byte) {
	r.page.Broken.Add(scheduling.BadResource, 1)
	if entry[0] != '{' {
		return
	}
	if id := slotIn(entry); id != "" {
		r.page.BrokenSlots = append(r.page.BrokenSlots, id)
	}
}

// entry reads one entry. What cannot be read makes it broken, and nothing else.
func (r *pageReader) entry(cur *cursor) {
	var out model.BundleEntry
	good, start := true, cur.i
	for cur.next() {
		switch name := string(cur.name()); name {
		case "resource":
			good = r.resource(&out, cur) && good
		case "fullUrl":
			good = setText(&out.FullURL, cur.value()) && good
		default:
			good = r.about(&out, name, cur.value()) && good
		}
	}
	if !good {
		r.broken(cur.b[start:cur.i])
		return
	}
	if outcome, ok := out.Resource.(*model.OperationOutcome); ok {
		r.page.Outcomes = append(r.page.Outcomes, outcome)
		return
	}
	r.page.Entries = append(r.page.Entries, out)
}

// about reads what an entry says of its resource; "search" is nearly always the
// same few bytes.
func (r *pageReader) about(out *model.BundleEntry, name string, raw []byte) bool {
	switch name {
	case "search":
		if string(raw) == `{"mode":"match"}` {
			out.Search = &model.BundleSearch{Mode: "match"}
			return true
		}
		return json.Unmarshal(raw, &out.Search, r.codec.read) == nil
	case "request":
		return json.Unmarshal(raw, &out.Request, r.codec.read) == nil
	case "response":
		return json.Unmarshal(raw, &out.Response, r.codec.read) == nil
	case "link":
		return json.Unmarshal(raw, &out.Link, r.codec.read) == nil
	}
	return true // ids, extensions: nothing that a page is read for
}

// resource reads the resource at the cursor, and moves behind it in any case.
func (r *pageReader) resource(out *model.BundleEntry, cur *cursor) bool {
	if cur.b[cur.i] != '{' {
		return cur.value()[0] == 'n' // null is an absent one
	}
	var err error
	switch typeOf(cur.b[cur.i:]) {
	case "Slot":
		out.Resource, err = r.slot(cur)
	case "Appointment":
		out.Resource, err = r.appointment(cur)
	default:
		out.Resource, err = r.codec.decode(cur.value())
	}
	return err == nil
}

// typeOf is model.TypeOf for what a cursor may walk; more may follow the
// object.
func typeOf(object []byte) string {
	cur := &cursor{b: object}
	for cur.next() {
		name := cur.name()
		raw := cur.value()
		if string(name) == "resourceType" {
			kind, _ := textOf(raw)
			return kind
		}
	}
	return ""
}

// member reads one member of a resource by itself, or finds it among those
// that were read before.
func (r *pageReader) member(kind string, member []byte) (model.Resource, error) {
	if res, ok := r.known[string(member)]; ok && res.ResourceType() == kind {
		return res, nil
	}
	r.buf = append(append(append(r.buf[:0], `{"resourceType":"`...), kind...), `",`...)
	r.buf = append(append(r.buf, member...), '}')
	res, err := r.codec.decode(r.buf)
	if err == nil {
		r.known[string(member)] = res
	}
	return res, err
}
