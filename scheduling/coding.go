package scheduling

import "strings"

// Coding is one code of one code system. An empty System is what some servers
// send for a code that everyone in the house knows.
type Coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code,omitempty"`
	Display string `json:"display,omitempty"`
}

// Concept is one meaning said in one or more code systems (CodeableConcept).
type Concept struct {
	Codings []Coding `json:"coding,omitempty"`
	Text    string   `json:"text,omitempty"`
}

// Identifier is a name that a registry gave: an NPI, a clinic's number.
type Identifier struct {
	Use    string `json:"use,omitempty"`
	System string `json:"system,omitempty"`
	Value  string `json:"value,omitempty"`
}

// NPISystem is the identifier system of the US National Provider Identifier.
const NPISystem = "http://hl7.org/fhir/sid/us-npi"

// Token is a token of FHIR search (http://hl7.org/fhir/search.html#token):
//
//	code          any system           Token{Code: "code"}
//	system|code   that system          Token{System: "system", Code: "code", Scoped: true}
//	|code         no system            Token{Code: "code", Scoped: true}
//	system|       any code of it       Token{System: "system", Scoped: true}
type Token struct {
	System string
	Code   string
	Scoped bool // a system (perhaps the empty one) was asked for
}

// ParseToken reads a token. It is false for one that asks for nothing ("", "|").
func ParseToken(text string) (Token, bool) {
	system, code, scoped := strings.Cut(text, "|")
	if !scoped {
		system, code = "", text
	}
	t := Token{System: system, Code: code, Scoped: scoped}
	return t, system != "" || code != ""
}

// String is the token as it is written in a search.
func (t Token) String() string {
	if !t.Scoped {
		return t.Code
	}
	return t.System + "|" + t.Code
}

// Matches tells whether c is asked for by t. A coding that came without a
// system answers to every system: real servers forget it, and their patients
// would look in vain.
func (t Token) Matches(c Coding) bool {
	if t.Code != "" && t.Code != c.Code {
		return false
	}
	if !t.Scoped {
		return true
	}
	return t.System == c.System || (c.System == "" && t.Code != "")
}

// MatchesAny tells whether one of the codings of the concepts is asked for.
func (t Token) MatchesAny(concepts []Concept) bool {
	for _, concept := range concepts {
		for _, coding := range concept.Codings {
			if t.Matches(coding) {
				return true
			}
		}
	}
	return false
}
