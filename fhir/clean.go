package fhir

import (
	"math"
	"strings"
	"unicode/utf8"
)

// How many characters of a source's texts are kept: what is longer is no name,
// and no remark that anybody reads on a list of appointments.
const (
	maxName    = 500
	maxComment = 1000
)

// plain takes out of a source's text what FHIR's string may not hold
// (https://hl7.org/fhir/R4/datatypes.html#string; in XML it could not even be
// written), and what is beyond most characters.
func plain(s string, most int) string {
	if isPlain(s) && (len(s) <= most || utf8.RuneCountInString(s) <= most) {
		return s
	}
	out := make([]rune, 0, min(len(s), most))
	for _, r := range s {
		if len(out) == most {
			break
		}
		if !forbidden(r) {
			out = append(out, r)
		}
	}
	return string(out)
}

// isPlain is quick about the texts that are as they should be.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0xEF { // the first byte of U+FFFE and U+FFFF
			return strings.IndexFunc(s, forbidden) < 0
		}
	}
	return true
}

func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func name(s string) string    { return plain(s, maxName) }
func comment(s string) string { return plain(s, maxComment) }

// text is for codes, and values, which lose their meaning when cut.
func text(s string) string { return plain(s, math.MaxInt) }

// each is the list with every text cleaned; a list that is clean is given back.
func each(list []string, clean func(string) string) []string {
	for i, s := range list {
		if clean(s) == s {
			continue
		}
		out := append([]string(nil), list...)
		for j := i; j < len(out); j++ {
			out[j] = clean(out[j])
		}
		return out
	}
	return list
}
