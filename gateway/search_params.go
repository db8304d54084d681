package gateway

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// searchParam reads one parameter of a directory search into the search.
type searchParam func(s *scheduling.Search, value string) error

// searchParamsOf names the parameters that a type is searched by. The
// CapabilityStatement is made of the same table.
func searchParamsOf(kind scheduling.Kind) map[string]searchParam {
	params := map[string]searchParam{}
	for _, name := range searchNames(kind) {
		params[name] = searchReader(name)
	}
	return params
}

// searchNames are the parameters of a type, in the order in which they are
// told.
func searchNames(kind scheduling.Kind) []string {
	switch kind {
	case scheduling.KindPractitioner:
		return []string{"_id", "identifier", "source", "name"}
	case scheduling.KindRole, scheduling.KindSchedule:
		return []string{"_id", "identifier", "source", "specialty", "organization", "practitioner", "location"}
	case scheduling.KindLocation:
		return []string{"_id", "identifier", "source", "name", "address", "organization"}
	case scheduling.KindOrganization:
		return []string{"_id", "identifier", "source", "name", "address"}
	case scheduling.KindService:
		return []string{"_id", "identifier", "source", "name", "specialty", "organization", "location"}
	default: // Slot; none has an identifier of its own
		return []string{"_id", "source", "specialty", "organization", "practitioner", "location", "schedule", "start", "status"}
	}
}

func searchReader(name string) searchParam {
	switch name {
	case "_id":
		return readID
	case "source":
		return readSource
	case "identifier":
		return tokenInto(name, func(s *scheduling.Search) *[]scheduling.Token { return &s.Identifiers })
	case "name":
		return textInto(name, func(s *scheduling.Search) *[]string { return &s.Name })
	case "address":
		return textInto(name, func(s *scheduling.Search) *[]string { return &s.Address })
	case "status":
		return readStatus
	case "specialty":
		return tokenInto(name, func(s *scheduling.Search) *[]scheduling.Token { return &s.Specialty })
	case "organization":
		return refInto(name, scheduling.KindOrganization, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Organizations })
	case "practitioner":
		return refInto(name, scheduling.KindPractitioner, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Practitioners })
	case "location":
		return refInto(name, scheduling.KindLocation, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Locations })
	case "schedule":
		return refInto(name, scheduling.KindSchedule, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Schedules })
	default:
		return readStart
	}
}

// parseSearch reads a directory search. unknown names the parameters that the
// type does not have.
func parseSearch(kind scheduling.Kind, values url.Values) (s scheduling.Search, unknown []string, err error) {
	s.Kind = kind
	known := searchParamsOf(kind)
	for _, name := range sortedNames(values) {
		read, ok := known[name]
		if !ok {
			unknown = noteUnknown(unknown, name)
			continue
		}
		for _, list := range values[name] {
			if list == "" {
				continue // as FHIR has it, an empty parameter is none
			}
			for _, value := range splitList(list) {
				if err := read(&s, value); err != nil {
					return s, nil, err
				}
			}
		}
	}
	return s, unknown, nil
}

// plainName is a name that may be repeated to its sender.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_.:$-]{1,64}$`)

// maxUnknown is how many unknown parameters are told by name.
const maxUnknown = 20

// noteUnknown adds a parameter that the search does not have.
func noteUnknown(list []string, name string) []string {
	switch {
	case isControl(name), len(list) >= maxUnknown:
		return list
	case !plainName.MatchString(name):
		return append(list, "(unreadable name)")
	}
	return append(list, name)
}

// isControl tells whether a parameter steers the answer instead of selecting.
func isControl(name string) bool {
	switch name {
	case "_count", "_format", "_pretty", fhir.CursorParam:
		return true
	}
	return false
}

func sortedNames(values url.Values) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// splitList cuts a,b at commas that are not escaped
// (http://hl7.org/fhir/search.html#escaping).
func splitList(text string) []string {
	var list []string
	var one strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			one.WriteByte(text[i])
		case text[i] == ',':
			list = append(list, one.String())
			one.Reset()
		default:
			one.WriteByte(text[i])
		}
	}
	return append(list, one.String())
}

func readID(s *scheduling.Search, value string) error {
	if !scheduling.ValidID(value) {
		return scheduling.Refuse(scheduling.BadRequest, "_id", "parameter _id: is not an id ([A-Za-z0-9.-]{1,64})")
	}
	s.IDs = append(s.IDs, value)
	return nil
}

func readSource(s *scheduling.Search, value string) error {
	if value == "" {
		return scheduling.Refuse(scheduling.BadRequest, "source", "parameter source: is empty")
	}
	s.Sources = append(s.Sources, scheduling.SourceID(value))
	return nil
}

func textInto(name string, field func(*scheduling.Search) *[]string) searchParam {
	return func(s *scheduling.Search, value string) error {
		if strings.TrimSpace(value) == "" {
			return scheduling.Refuse(scheduling.BadRequest, name, "parameter %s: is empty", name)
		}
		*field(s) = append(*field(s), value)
		return nil
	}
}

// readStatus reads a status as a token, whatever its system.
func readStatus(s *scheduling.Search, value string) error {
	token, ok := scheduling.ParseToken(value)
	if !ok || token.Code == "" {
		return scheduling.Refuse(scheduling.BadRequest, "status", "parameter status: names no code")
	}
	s.Status = append(s.Status, token.Code)
	return nil
}

func tokenInto(name string, field func(*scheduling.Search) *[]scheduling.Token) searchParam {
	return func(s *scheduling.Search, value string) error {
		token, ok := scheduling.ParseToken(value)
		if !ok {
			return scheduling.Refuse(scheduling.BadRequest, name, "parameter %s: names no code", name)
		}
		*field(s) = append(*field(s), token)
		return nil
	}
}

func refInto(name string, kind scheduling.Kind, field func(*scheduling.Search) *[]scheduling.Ref) searchParam {
	return func(s *scheduling.Search, value string) error {
		ref, ok := parseRef(kind, value)
		if !ok {
			return scheduling.Refuse(scheduling.BadRequest, name, "parameter %s: is not a reference to a %s", name, kind)
		}
		*field(s) = append(*field(s), ref)
		return nil
	}
}

// parseRef reads an id, Type/id, an absolute address, or system|value.
func parseRef(kind scheduling.Kind, value string) (scheduling.Ref, bool) {
	if system, id, ok := strings.Cut(value, "|"); ok {
		return scheduling.Ref{Kind: kind, Identifier: scheduling.Identifier{System: system, Value: id}}, id != ""
	}
	if scheduling.ValidID(value) {
		return scheduling.Ref{Kind: kind, ID: value}, true
	}
	named, id := fhir.RefParts(value)
	ref := scheduling.Ref{Kind: kind, ID: id}
	if strings.Contains(value, "://") {
		ref.URL = value
	}
	return ref, named == kind && id != ""
}

// localize makes ids of addresses below our own bases.
func (s *Server) localize(search *scheduling.Search) {
	for _, refs := range [][]scheduling.Ref{search.Organizations, search.Practitioners, search.Locations, search.Schedules} {
		for i, ref := range refs {
			if strings.HasPrefix(ref.URL, s.root(scheduling.R4)+"/") || strings.HasPrefix(ref.URL, s.root(scheduling.STU3)+"/") {
				refs[i].URL = ""
			}
		}
	}
}

// readStart reads a date with its prefix. A space stands where a plus was sent
// without being escaped.
func readStart(s *scheduling.Search, value string) error {
	test := scheduling.TimeTest{Prefix: "eq"}
	for _, prefix := range []string{"eq", "ge", "gt", "le", "lt"} {
		if rest, ok := strings.CutPrefix(value, prefix); ok {
			test.Prefix, value = prefix, rest
		}
	}
	if day, err := scheduling.ParseDay(value); err == nil {
		test.Bound = scheduling.DayBound(day)
	} else {
		at, err := scheduling.ParseInstant(value, nil)
		if err != nil {
			return scheduling.Refuse(scheduling.BadRequest, "start", "parameter start: is not a date, or a date and time with an offset")
		}
		test.Bound = scheduling.InstantBound(at)
	}
	s.Start = append(s.Start, test)
	return nil
}
