package fhir

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Renderer writes the answer to $find as JSON from fragments: what an offer's
// setting decides is encoded once, when its schedule is loaded, and only times
// and ids are written per offer. What it writes says the same as
// FindAnswer.Bundle does through Write; a test holds them together.
//
// It is safe for concurrent use.
type Renderer struct {
	uri func(scheduling.SourceID) string
}

// NewRenderer makes a renderer; uri names a source in meta.source, nil for
// SourceURI.
func NewRenderer(uri func(scheduling.SourceID) string) *Renderer {
	if uri == nil {
		uri = SourceURI
	}
	return &Renderer{uri: uri}
}

// Fragment is what is known of an offer before its slot is. It is immutable.
type Fragment struct {
	stu3, r4 fragment
}

// fragment is one version's text: members that each begin with a comma, or
// nothing.
type fragment struct {
	metaHead, metaTail           string // around the time of the last sync
	metaBare                     string // where there is none
	category, service, specialty string
	participants                 string
}

// Render encodes what the setting decides, for both versions: what the replica
// keeps with each schedule, and gives back as Hit.Fragment.
func (r *Renderer) Render(_ scheduling.Source, s *scheduling.Setting) any { return r.fragment(s) }

func (r *Renderer) fragment(s *scheduling.Setting) *Fragment {
	return &Fragment{stu3: r.of(scheduling.STU3, s), r4: r.of(scheduling.R4, s)}
}

func (f *Fragment) of(rel scheduling.Release) *fragment {
	if rel == scheduling.STU3 {
		return &f.stu3
	}
	return &f.r4
}

func (r *Renderer) of(rel scheduling.Release, s *scheduling.Setting) fragment {
	var f fragment
	f.metaHead, f.metaTail, f.metaBare = r.meta(rel, s.Source)
	f.category = string(appendConcepts(nil, rel, "serviceCategory", s.ServiceCategory))
	f.service = string(appendConcepts(nil, rel, "serviceType", s.ServiceType))
	f.specialty = string(appendConcepts(nil, rel, "specialty", s.Specialty))
	f.participants = string(appendParticipants(nil, participants(rel, s)))
	return f
}

// syncMark stands for the time in a rendered meta.
const syncMark = "2000-01-01T00:00:00Z"

// meta renders the metadata with the ordinary writer and cuts it at the time.
func (r *Renderer) meta(rel scheduling.Release, source scheduling.SourceID) (head, tail, bare string) {
	mark, _ := time.Parse(time.RFC3339, syncMark)
	o := Origin{Source: source, URI: r.uri(source), Synced: mark}
	head, tail = cutAt(encodeMeta(rel, o), syncMark)
	o.Synced = time.Time{}
	return head, tail, encodeMeta(rel, o)
}

// encodeMeta is the member with its comma, or "" where there is nothing to say.

func encodeMeta(rel scheduling.Release, o Origin) string {
	data, err := codecOf(rel).encode(&model.Organization{Base: model.Base{Meta: o.Meta()}})
	if err != nil {
		return ""
	}
	cur := &cursor{b: data}
	for cur.next() {
		if string(cur.name()) == "meta" {
			return `,"meta":` + string(cur.value())
		}
		cur.value()
	}
	return ""
}

// cutAt splits a text around mark. A source's URI cannot be taken for it: its
// quotes are escaped.
func cutAt(text, mark string) (head, tail string) {
	before, tail, _ := strings.Cut(text, `"valueDateTime":"`+mark+`"`)
	return before + `"valueDateTime":"`, `"` + tail
}

// Find writes the whole answer.
func (r *Renderer) Find(dst []byte, a FindAnswer) ([]byte, error) {
	dst = append(dst, `{"resourceType":"Bundle","type":"searchset","total":`...)
	dst = strconv.AppendInt(dst, int64(a.Found.Total), 10)
	dst = appendLinks(dst, a.frame().Link)
	period := appendPeriod(nil, a.Requested())
	fullURL := appendString([]byte(`{"fullUrl":`), a.Base+"/Appointment/")
	fullURL = fullURL[:len(fullURL)-1] // the id follows before the quote
	separator := `,"entry":[`
	for _, hit := range a.Found.Offers {
		dst = append(dst, separator...)
		separator = ","
		dst = append(append(dst, fullURL...), hit.ID...)
		dst = append(dst, `","resource":`...)
		dst = r.appendOffer(dst, a.Release, hit, period)
		dst = append(dst, `,"search":{"mode":"match"}}`...)
	}
	if a.Outcome != nil {
		outcome, err := Write(a.Release, JSON, a.Outcome)
		if err != nil {
			return nil, err
		}
		dst = append(append(dst, separator...), `{"resource":`...)
		dst = append(append(dst, outcome...), `,"search":{"mode":"outcome"}}`...)
		separator = ","
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return append(dst, '}'), nil
}

// Appointment writes one offer; requested is the period that was asked for.
func (r *Renderer) Appointment(dst []byte, rel scheduling.Release, hit scheduling.Hit, requested *model.Period) []byte {
	return r.appendOffer(dst, rel, hit, appendPeriod(nil, requested))
}

func (r *Renderer) appendOffer(dst []byte, rel scheduling.Release, hit scheduling.Hit, period []byte) []byte {
	whole, ok := hit.Fragment.(*Fragment)
	if !ok {
		whole = r.fragment(hit.Setting)
	}
	f := whole.of(rel)
	first := &hit.Slots[0]
	dst = append(append(dst, `{"resourceType":"Appointment","id":"`...), hit.ID...)
	dst = append(dst, '"')
	if hit.Checked.IsZero() {
		dst = append(dst, f.metaBare...)
	} else {
		dst = append(dst, f.metaHead...)
		dst = hit.Checked.UTC().AppendFormat(dst, time.RFC3339)
		dst = append(dst, f.metaTail...)
	}
	dst = appendPortal(dst, rel, first.Portal)
	dst = append(dst, `,"status":"proposed"`...)
	dst = appendOwn(dst, rel, "serviceCategory", first.ServiceCategory, f.category)
	dst = appendOwn(dst, rel, "serviceType", first.ServiceType, f.service)
	dst = appendOwn(dst, rel, "specialty", first.Specialty, f.specialty)
	if first.AppointmentType != nil {
		dst = appendConcept(dst, rel, "appointmentType", *first.AppointmentType)
	}
	dst = appendTimes(dst, hit.Offer)
	dst = appendSlots(dst, hit.Setting.Source, hit.Slots)
	if comment := offerComment(&hit.Offer); comment != "" {
		dst = appendString(append(dst, `,"comment":`...), comment)
	}
	dst = append(dst, f.participants...)
	dst = append(dst, period...)
	return append(dst, '}')
}

func appendTimes(dst []byte, o scheduling.Offer) []byte {
	zone := o.Setting.Zone
	dst = append(dst, `,"start":"`...)
	dst = o.Start().In(zone).AppendFormat(dst, time.RFC3339)
	dst = append(dst, `","end":"`...)
	dst = o.End().In(zone).AppendFormat(dst, time.RFC3339)
	dst = append(dst, '"')
	if minutes := int64(o.End().Sub(o.Start()) / time.Minute); minutes > 0 {
		dst = strconv.AppendInt(append(dst, `,"minutesDuration":`...), minutes, 10)
	}
	return dst
}

func appendSlots(dst []byte, source scheduling.SourceID, slots []scheduling.Slot) []byte {
	separator := `,"slot":[`
	for i := range slots {
		if slots[i].Virtual {
			continue
		}
		dst = append(append(dst, separator...), `{"reference":"Slot/`...)
		dst = append(dst, scheduling.ResourceID(source, scheduling.KindSlot, slots[i].ID)...)
		dst = append(dst, `"}`...)
		separator = ","
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return dst
}

// appendString writes a JSON string. Invalid UTF-8 cannot occur: whatever we
// hold was read through first.
func appendString(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		return append(dst, `""`...)
	}
	return out
}
