package gateway

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// findParams writes a query as parameters of $find: those that were applied,
// and no others. It is what self and next links are made of, so a link never
// repeats a patient's name that a caller put into a parameter, and a POST is
// paged by GET.
func findParams(q scheduling.Query, strict bool) url.Values {
	v := url.Values{}
	addBound(v, "start", q.Start)
	addBound(v, "end", q.End)
	addTokens(v, "specialty", q.Specialty)
	addTokens(v, "visit-type", q.VisitType)
	addRefs(v, "practitioner", q.Practitioners)
	addRefs(v, "organization", q.Organizations)
	addRefs(v, "location-reference", q.Locations)
	for _, text := range q.LocationText {
		v.Add("location-string", text)
	}
	if q.Near != nil {
		v.Set("near", fmt.Sprintf("%s|%s|%s|m", number(q.Near.Latitude), number(q.Near.Longitude), number(q.Near.Metres)))
	}
	for _, id := range q.Sources {
		v.Add("source", escape(string(id)))
	}
	if q.MaxAge > 0 {
		v.Set("_max-age", strconv.Itoa(int(q.MaxAge/time.Second)))
	}
	if strict {
		v.Set("strict", "true")
	}
	return v
}

func addBound(v url.Values, name string, b scheduling.Bound) {
	switch {
	case !b.Set:
	case b.IsDay:
		v.Set(name, b.Day.String())
	default:
		v.Set(name, b.At.UTC().Format(time.RFC3339))
	}
}

func addTokens(v url.Values, name string, tokens []scheduling.Token) {
	for _, t := range tokens {
		if t.Scoped {
			v.Add(name, escape(t.System)+"|"+escape(t.Code))
		} else {
			v.Add(name, escape(t.Code))
		}
	}
}

// addRefs writes references as they are read: an absolute address, an
// identifier, or our id behind its type.
func addRefs(v url.Values, name string, refs []scheduling.Ref) {
	for _, r := range refs {
		switch {
		case r.URL != "":
			v.Add(name, escape(r.URL))
		case r.ID != "":
			v.Add(name, string(r.Kind)+"/"+r.ID)
		default:
			v.Add(name, escape(r.Identifier.System)+"|"+escape(r.Identifier.Value))
		}
	}
}

// escape writes a text so that its commas and bars are not search's
// (http://hl7.org/fhir/search.html#escaping).
func escape(text string) string {
	if !strings.ContainsAny(text, `\,|$`) {
		return text
	}
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(text)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// searchParams writes a directory search as parameters, as findParams does.
func searchParams(s scheduling.Search) url.Values {
	v := url.Values{}
	add := func(name string, values []string) {
		for _, value := range values {
			v.Add(name, escape(value))
		}
	}
	add("_id", s.IDs)
	addTokens(v, "identifier", s.Identifiers)
	add("name", s.Name)
	addTokens(v, "specialty", s.Specialty)
	add("address", s.Address)
	addRefs(v, "organization", s.Organizations)
	addRefs(v, "practitioner", s.Practitioners)
	addRefs(v, "location", s.Locations)
	addRefs(v, "schedule", s.Schedules)
	for _, test := range s.Start {
		bound := url.Values{}
		addBound(bound, "start", test.Bound)
		v.Add("start", test.Prefix+bound.Get("start"))
	}
	add("status", s.Status)
	for _, id := range s.Sources {
		v.Add("source", escape(string(id)))
	}
	return v
}

// link is the address of one page of a search: what was applied, the size of a
// page, and the place where it begins ("": at the beginning).
func link(address string, params url.Values, count int, cursor string) string {
	v := maps.Clone(params)
	v.Set("_count", strconv.Itoa(count))
	if cursor != "" {
		v.Set(fhir.CursorParam, cursor)
	}
	return address + "?" + v.Encode()
}

// link keeps a format that was asked for in the address: who follows the link
// may send no Accept.
func (x *exchange) link(address string, params url.Values, count int, cursor string) string {
	if format := strings.Clone(x.c.Query("_format")); format != "" {
		params = maps.Clone(params)
		params.Set("_format", format)
	}
	return link(address, params, count, cursor)
}
