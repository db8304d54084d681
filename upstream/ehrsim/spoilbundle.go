package ehrsim

import (
	"slices"
	"strconv"
	"time"
)

// spoilContent applies the content faults that struck to a Bundle.
func spoilContent(body object, rq *request) object {
	if body.str("resourceType") != "Bundle" || len(rq.hits) == 0 {
		return body
	}
	for _, way := range []struct {
		kind FaultKind
		do   func(object, *request, Fault) object
	}{
		{FaultNoSlots, noSlots},
		{FaultReversed, eachSlot(reverse)},
		{FaultNoZone, eachSlot(dropZone)},
		{FaultDangling, eachSlot(dangle)},
		{FaultTwinIDs, twins},
		{FaultWrongTotal, wrongTotal},
		{FaultCutAnswer, cutAnswer},
		{FaultEndlessPages, endlessPages},
		{FaultCirclePages, circlePages},
		{FaultForeignNext, foreignNext},
		{FaultBackNext, backNext},
	} {
		if f, ok := rq.hits[way.kind]; ok {
			body = way.do(body, rq, f)
		}
	}
	return body
}

func slotLike(e any) (object, bool) {
	entry, _ := e.(object)
	o := entry.obj("resource")
	typ := o.str("resourceType")
	return o, typ == "Slot" || typ == "Appointment"
}

// eachSlot edits every nth slot or offer.
func eachSlot(edit func(object) object) func(object, *request, Fault) object {
	return func(b object, _ *request, f Fault) object {
		var out list
		n := 0
		for _, e := range b.each("entry") {
			if o, ok := slotLike(e); ok {
				if n++; f.Every == 0 || n%f.Every == 0 {
					entry, _ := e.(object)
					e = entry.with("resource", edit(o), "")
				}
			}
			out = append(out, e)
		}
		return b.with("entry", out, "")
	}
}

func reverse(o object) object {
	start, end := o.str("start"), o.str("end")
	return o.with("start", end, "").with("end", start, "")
}

func dropZone(o object) object {
	for _, name := range []string{"start", "end"} {
		if text := o.str(name); len(text) > 19 {
			o = o.with(name, text[:19], "")
		}
	}
	return o
}

func dangle(o object) object {
	return o.with("schedule", obj("reference", "Schedule/gone-"+o.str("id")), "")
}

// twins adds, behind every nth slot, one of the same id an hour later.
func twins(b object, _ *request, f Fault) object {
	var out list
	n, added := 0, 0
	for _, e := range b.each("entry") {
		out = append(out, e)
		o, ok := slotLike(e)
		if !ok {
			continue
		}
		if n++; f.Every == 0 || n%f.Every == 0 {
			entry, _ := e.(object)
			later := o.with("start", laterBy(o.str("start"), time.Hour), "").with("end", laterBy(o.str("end"), time.Hour), "")
			out = append(out, entry.with("resource", later, ""))
			added++
		}
	}
	return addTotal(b.with("entry", out, ""), added)
}

// laterBy moves a time and keeps its form.
func laterBy(text string, by time.Duration) string {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Add(by).Format(layout)
		}
	}
	return text
}

func addTotal(b object, by int) object {
	total, _ := b.get("total").(int)
	return b.with("total", total+by, "type")
}

func wrongTotal(b object, _ *request, f Fault) object {
	setDefault(&f.By, 7)
	return addTotal(b, f.By)
}

// cutAnswer drops the second half of the matches; what was included stays.
func cutAnswer(b object, _ *request, _ Fault) object {
	matches := 0
	for _, e := range b.each("entry") {
		if isMatch(e) {
			matches++
		}
	}
	var out list
	kept := 0
	for _, e := range b.each("entry") {
		if isMatch(e) {
			if kept++; kept > matches/2 {
				continue
			}
		}
		out = append(out, e)
	}
	return withNext(b.with("entry", out, ""), "")
}

func isMatch(e any) bool {
	entry, _ := e.(object)
	return entry.obj("search").str("mode") == "match"
}

func noSlots(b object, _ *request, _ Fault) object {
	if len(b.each("entry")) == 0 {
		return b
	}
	rest := slices.DeleteFunc(slices.Clone(b.each("entry")), func(e any) bool {
		_, slot := slotLike(e)
		return slot
	})
	if len(rest) == len(b.each("entry")) {
		return b // not an answer about slots
	}
	return withNext(b.with("entry", rest, "").with("total", 0, "type"), "")
}

// pageOf is the page of an invented sequence that a request asks for.
func pageOf(rq *request) int {
	n, _ := strconv.Atoi(rq.params.Get("_page"))
	return n
}

func (rq *request) pageURL(n int) string {
	params := without(rq.params, "_page")
	params.Set("_page", strconv.Itoa(n))
	return rq.self(params)
}

// endlessPages gives every page a next; slots of later pages have other ids.
func endlessPages(b object, rq *request, _ Fault) object {
	n := pageOf(rq)
	if n > 0 {
		b = eachSlot(func(o object) object { return o.with("id", o.str("id")+"-p"+strconv.Itoa(n), "") })(b, rq, Fault{})
	}
	return withNext(b, rq.pageURL(n+1))
}

func circlePages(b object, rq *request, _ Fault) object {
	return withNext(b, rq.pageURL((pageOf(rq)+1)%3))
}

func foreignNext(b object, _ *request, f Fault) object {
	setDefault(&f.Link, "http://127.0.0.2:9/fhir/Slot?_page=1")
	return withNext(b, f.Link)
}

// backNext leads from every page but the first to the first one again, under the
// address that the server itself gave it.
func backNext(b object, rq *request, _ Fault) object {
	if !rq.params.Has(pageToken) {
		return b
	}
	params := without(rq.params, pageOffset)
	params.Set(pageOffset, "0")
	return withNext(b, rq.base+"?"+params.Encode())
}

// withNext sets the next link; empty takes it away.
func withNext(b object, url string) object {
	var links list
	for _, l := range b.each("link") {
		if link, _ := l.(object); link.str("relation") != "next" {
			links = append(links, l)
		}
	}
	if url != "" {
		links = append(links, obj("relation", "next", "url", url))
	}
	return b.with("link", links, "total")
}
