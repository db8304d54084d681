package fhir

import (
	"regexp"
	"strconv"
	"strings"
)

// Paths are read as far as a patch of an Appointment may go. What goes farther
// becomes a step whose name no element has, and is refused as such.

// The conditions by which a participant is picked, in FHIRPath and in XPath.
var (
	byActor      = regexp.MustCompile(`^where\(\s*actor\.reference\s*=\s*'([^']*)'\s*\)$`)
	byActorXPath = regexp.MustCompile(`^(?:\w+:)?actor/(?:\w+:)?reference/@value\s*=\s*(?:'([^']*)'|"([^"]*)")$`)
)

// fhirPath reads Appointment.participant[0].status and
// Appointment.participant.where(actor.reference = 'Patient/1').status.
func fhirPath(text string) []step {
	var path []step
	for _, part := range cutOutside(strings.TrimSpace(text), '.') {
		if m := byActor.FindStringSubmatch(part); m != nil && len(path) > 0 && path[len(path)-1].index == anyIndex {
			path[len(path)-1].actor = m[1]
			continue
		}
		name, inside := cutBracket(part)
		s := step{name: name, index: anyIndex}
		if inside != "" {
			s = numbered(name, inside, 0)
		}
		path = append(path, s)
	}
	return path
}

// xPath reads f:Appointment/f:participant[2]/f:status/@value, with or without
// a prefix. attribute tells that it ends in @value.
func xPath(text string) (path []step, attribute bool) {
	parts := cutOutside(strings.TrimPrefix(strings.TrimSpace(text), "/"), '/')
	if last := len(parts) - 1; parts[last] == "@value" {
		parts, attribute = parts[:last], true
	}
	for _, part := range parts {
		name, inside := cutBracket(part)
		if _, after, ok := strings.Cut(name, ":"); ok {
			name = after
		}
		s := step{name: name, index: anyIndex}
		if m := byActorXPath.FindStringSubmatch(strings.TrimSpace(inside)); m != nil {
			s.actor = m[1] + m[2]
		} else if inside != "" {
			s = numbered(name, inside, 1)
		}
		path = append(path, s)
	}
	return path, attribute
}

// numbered is a step with a place in a list, counted from first.
func numbered(name, inside string, first int) step {
	i, err := strconv.ParseUint(strings.TrimSpace(inside), 10, 16)
	if err != nil || int(i) < first {
		return step{name: name + "[" + inside + "]", index: anyIndex}
	}
	return step{name: name, index: int(i) - first}
}

// cutBracket cuts name[inside].
func cutBracket(part string) (name, inside string) {
	if head, rest, ok := strings.Cut(part, "["); ok && strings.HasSuffix(rest, "]") {
		return head, strings.TrimSuffix(rest, "]")
	}
	return part, ""
}

// cutOutside cuts at separators that stand outside of brackets and quotes.
func cutOutside(text string, separator byte) []string {
	var parts []string
	from, depth, quote := 0, 0, byte(0)
	for i := range len(text) {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == separator && depth == 0:
			parts = append(parts, text[from:i])
			from = i + 1
		}
	}
	return append(parts, text[from:])
}
