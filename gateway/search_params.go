package gateway

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// searchParam reads one parameter of a directory search into the search.
type searchParam func(s *scheduling.Search, value string) error

// searchParamsOf names the parameters that a type is searched by. The
// CapabilityStatement is made of the same table.
func searchParamsOf(kind scheduling.Kind) map[string]searchParam {
	params := map[string]searchParam{
		"_id": readID, "identifier": tokenInto(func(s *scheduling.Search) *[]scheduling.Token { return &s.Identifiers }),
		"source": readSource,
	}
	for _, name := range searchNames(kind) {
		params[name] = searchReader(name)
	}
	return params
}

// searchNames are the parameters that only some types have.
func searchNames(kind scheduling.Kind) []string {
	switch kind {
	case scheduling.KindPractitioner:
		return []string{"name", "specialty", "organization", "location"}
	case scheduling.KindRole:
		return []string{"specialty", "organization", "practitioner", "location"}
	case scheduling.KindLocation:
		return []string{"name", "address", "organization"}
	case scheduling.KindOrganization:
		return []string{"name", "address"}
	case scheduling.KindService:
		return []string{"name", "specialty", "organization", "location"}
	case scheduling.KindSchedule:
		return []string{"specialty", "organization", "practitioner", "location"}
	default:
		return []string{"specialty", "organization", "practitioner", "location", "schedule", "start", "status"}
	}
}

func searchReader(name string) searchParam {
	switch name {
	case "name":
		return textInto(name, func(s *scheduling.Search) *[]string { return &s.Name })
	case "address":
		return textInto(name, func(s *scheduling.Search) *[]string { return &s.Address })
	case "status":
		return textInto(name, func(s *scheduling.Search) *[]string { return &s.Status })
	case "specialty":
		return tokenInto(func(s *scheduling.Search) *[]scheduling.Token { return &s.Specialty })
	case "organization":
		return refInto(scheduling.KindOrganization, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Organizations })
	case "practitioner":
		return refInto(scheduling.KindPractitioner, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Practitioners })
	case "location":
		return refInto(scheduling.KindLocation, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Locations })
	case "schedule":
		return refInto(scheduling.KindSchedule, func(s *scheduling.Search) *[]scheduling.Ref { return &s.Schedules })
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
			if !isControl(name) {
				unknown = append(unknown, name)
			}
			continue
		}
		for _, list := range values[name] {
			for _, value := range splitList(list) {
				if err := read(&s, value); err != nil {
					return s, nil, err
				}
			}
		}
	}
	return s, unknown, nil
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
		return scheduling.Refuse(scheduling.BadRequest, "_id", "not an id: [A-Za-z0-9.-]{1,64}")
	}
	s.IDs = append(s.IDs, value)
	return nil
}

func readSource(s *scheduling.Search, value string) error {
	if value == "" {
		return scheduling.Refuse(scheduling.BadRequest, "source", "empty")
	}
	s.Sources = append(s.Sources, scheduling.SourceID(value))
	return nil
}

func textInto(name string, field func(*scheduling.Search) *[]string) searchParam {
	return func(s *scheduling.Search, value string) error {
		if strings.TrimSpace(value) == "" {
			return scheduling.Refuse(scheduling.BadRequest, name, "empty")
		}
		*field(s) = append(*field(s), value)
		return nil
	}
}

func tokenInto(field func(*scheduling.Search) *[]scheduling.Token) searchParam {
	return func(s *scheduling.Search, value string) error {
		token, ok := scheduling.ParseToken(value)
		if !ok {
			return scheduling.Refuse(scheduling.BadRequest, "", "a token names neither a system nor a code")
		}
		*field(s) = append(*field(s), token)
		return nil
	}
}

func refInto(kind scheduling.Kind, field func(*scheduling.Search) *[]scheduling.Ref) searchParam {
	return func(s *scheduling.Search, value string) error {
		ref, err := parseRef(kind, value)
		if err != nil {
			return err
		}
		*field(s) = append(*field(s), ref)
		return nil
	}
}

// parseRef reads an id, Type/id, an absolute address, or system|value.
func parseRef(kind scheduling.Kind, value string) (scheduling.Ref, error) {
	if system, id, ok := strings.Cut(value, "|"); ok && id != "" {
		return scheduling.Ref{Kind: kind, Identifier: scheduling.Identifier{System: system, Value: id}}, nil
	}
	if scheduling.ValidID(value) {
		return scheduling.Ref{Kind: kind, ID: value}, nil
	}
	named, id := fhir.RefParts(value)
	if named != kind || id == "" {
		return scheduling.Ref{}, scheduling.Refuse(scheduling.BadRequest, "", "not a reference to a %s", kind)
	}
	if strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://") {
		return scheduling.Ref{Kind: kind, URL: value}, nil
	}
	return scheduling.Ref{Kind: kind, ID: id}, nil
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
		at, err := scheduling.ParseInstant(value, time.UTC)
		if err != nil {
			return scheduling.Refuse(scheduling.BadRequest, "start", "not a date: [eq|ge|gt|le|lt]YYYY-MM-DD[Thh:mm:ss+zz:zz]")
		}
		test.Bound = scheduling.InstantBound(at)
	}
	s.Start = append(s.Start, test)
	return nil
}
