package fhir

import (
	"net/url"
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// FindOptions bound what one $find may ask.
type FindOptions struct {
	// DefaultCount is the number of offers where none is asked for.
	DefaultCount int
	// MaxCount is the largest number; more is cut to it, and told.
	MaxCount int
	// MaxValues is how many values all parameters may have together.
	MaxValues int
	// Bases are our own base URLs: a reference below one of them is ours.
	Bases []string
}

// DefaultFindOptions are the contract's: 20 offers, 1000 at most.
func DefaultFindOptions() FindOptions {
	return FindOptions{DefaultCount: 20, MaxCount: 1000, MaxValues: 200}
}

// Find is what a caller of $find asked.
type Find struct {
	Query scheduling.Query
	// Strict: rather no answer than one that is not complete (strict=true).
	Strict bool
	// Cursor is the opaque text of a next link, as it came; whoever made it
	// reads it into Query.After.
	Cursor string
	// Patient is the id of the Patient of ours who is to be seen, as a clinic's
	// rules ask (patient-reference); "" where none was named. What a
	// patient-resource tells of them stands in Query.Person.
	Patient string
	// Unknown are the parameters that nobody here knows.
	Unknown []string
	// NotApplied are those that are understood but cannot be judged from a
	// cache: reasons, coverage, patients.
	NotApplied []string
	// Cut are those that were brought down to what is allowed.
	Cut []string
}

// CursorParam is the parameter of a next link that holds the cursor.
const CursorParam = "_cursor"

// maxText is how long one value may be, in bytes; a coding's system is the
// longest thing that anyone has reason to send.
const maxText = 1024

// maxUnknown is how many unknown parameters are told by name.
const maxUnknown = 20

// ParseFind reads the parameters of Appointment/$find: those of the URL, those
// of the body (nil for none), or both together.
//
// Errors: scheduling.BadRequest naming the parameter, never its value.
func ParseFind(query url.Values, body *model.Parameters, opts FindOptions) (Find, error) {
	f := &finder{opts: opts}
	f.Query.Count = opts.DefaultCount
	if err := f.collect(query, body); err != nil {
		return Find{}, err
	}
	for _, v := range f.values {
		if err := f.apply(v); err != nil {
			return Find{}, err
		}
	}
	if err := f.period(); err != nil {
		return Find{}, err
	}
	return f.Find, nil
}

// finder builds a Find from values in the order in which they came.
type finder struct {
	Find
	opts   FindOptions
	values []value
	seen   map[string]string // the text of parameters that may come once
	people int               // how many were named as who is to be seen
}

// apply puts one value where it belongs.
func (f *finder) apply(v value) error {
	if len(v.text) > maxText {
		return bad(v.name, "a value is too long")
	}
	switch v.name {
	case "start", "end":
		return f.bound(v)
	case "specialty":
		return v.tokens(&f.Query.Specialty)
	case "visit-type", "service-type":
		return v.tokens(&f.Query.VisitType)
	case "practitioner", "provider":
		return f.ref(v, &f.Query.Practitioners, scheduling.KindPractitioner, scheduling.KindRole)
	case "organization":
		return f.ref(v, &f.Query.Organizations, scheduling.KindOrganization)
	case "location-reference":
		return f.ref(v, &f.Query.Locations, scheduling.KindLocation)
	case "location-string":
		return f.place(v)
	case "location":
		if v.isReference() {
			return f.ref(v, &f.Query.Locations, scheduling.KindLocation)
		}
		return f.place(v)
	}
	return f.applyOurs(v)
}

// applyOurs is for what the specifications do not have, or that is not judged.
func (f *finder) applyOurs(v value) error {
	switch v.name {
	case "near":
		return f.near(v)
	case "source":
		return f.source(v)
	case "_count":
		return f.count(v)
	case "_max-age":
		return f.maxAge(v)
	case "strict":
		return f.strict(v)
	case CursorParam:
		f.Cursor = v.text
		return f.once(v)
	case "_format", "_pretty":
		// about the answer's form: read elsewhere
	case "patient-resource":
		f.person(v)
	case "patient-reference":
		f.patient(v)
	case "reason", "coverage", "patient-id", "insurance-reference", "referral-identifier", "timing", "indications":
		f.NotApplied = note(f.NotApplied, v.name)
	default:
		f.Unknown = note(f.Unknown, shown(v.name))
	}
	return nil
}

func note(list []string, name string) []string {
	if slices.Contains(list, name) || len(list) >= maxUnknown {
		return list
	}
	return append(list, name)
}

// shown is a parameter's name as it may be repeated to its sender: only what
// looks like a name.
func shown(name string) string {
	if len(name) == 0 || len(name) > 64 {
		return "(unreadable name)"
	}
	for i := range len(name) {
		c := name[i]
		if !strings.ContainsRune("-_.:$", rune(c)) && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return "(unreadable name)"
		}
	}
	return name
}

// once refuses a second, different value of a parameter that has one.
func (f *finder) once(v value) error {
	if f.seen == nil {
		f.seen = map[string]string{}
	}
	before, again := f.seen[v.name]
	if again && before != v.text {
		return bad(v.name, "is given twice")
	}
	f.seen[v.name] = v.text
	return nil
}

func bad(param, message string) error {
	return scheduling.Refuse(scheduling.BadRequest, shown(param), "parameter %s: %s", shown(param), message)
}

// place takes a part of an address.
func (f *finder) place(v value) error {
	text := strings.TrimSpace(v.text)
	if text == "" {
		return bad(v.name, "a part of an address is needed")
	}
	f.Query.LocationText = append(f.Query.LocationText, text)
	return nil
}

// period refuses a period that ends before it starts, wherever the places are:
// a day begins at most 14 hours before and ends at most 12 hours after it does
// in UTC.
func (f *finder) period() error {
	q := &f.Query
	if !q.Start.Set || !q.End.Set {
		return nil
	}
	reversed := false
	switch {
	case q.Start.IsDay && q.End.IsDay:
		reversed = q.End.Day < q.Start.Day
	case q.Start.IsDay:
		first, _ := scheduling.Days{From: q.Start.Day, To: q.Start.Day + 1}.Span()
		reversed = q.End.At.Before(first)
	case q.End.IsDay:
		_, last := scheduling.Days{From: q.End.Day, To: q.End.Day + 1}.Span()
		reversed = last.Before(q.Start.At)
	default:
		reversed = q.End.At.Before(q.Start.At)
	}
	if reversed {
		return bad("end", "is before start")
	}
	return nil
}
