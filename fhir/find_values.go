package fhir

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// value is one value of one parameter, whichever way it came.
type value struct {
	name string
	// text is a primitive, or a token as search writes it (escaped).
	text string
	// inURL: commas in it mean OR (http://hl7.org/fhir/search.html#combining).
	inURL bool
	// ref is set for a valueReference.
	ref *model.Reference
	// res is the resource of a parameter that has one.
	res model.Resource
	// exact holds tokens of a valueCoding or valueCodeableConcept, which need no
	// reading; an identifier's is here too.
	exact []scheduling.Token
}

// collect gathers all values. An empty one in a URL is none, as FHIR says.
func (f *finder) collect(query url.Values, body *model.Parameters) error {
	alternatives := 0
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, text := range query[name] {
			if text != "" {
				f.values = append(f.values, value{name: name, text: text, inURL: true})
				alternatives += strings.Count(text, ",")
			}
		}
		if len(f.values)+alternatives > f.opts.MaxValues {
			return tooMany()
		}
	}
	if body == nil {
		return nil
	}
	if len(body.Parameter)+len(f.values) > f.opts.MaxValues {
		return tooMany()
	}
	for i := range body.Parameter {
		f.values = append(f.values, valuesOf(&body.Parameter[i])...)
	}
	return nil
}

func tooMany() error {
	return scheduling.Refuse(scheduling.BadRequest, "", "there are too many parameters")
}

// valuesOf gives the values of a parameter of a body: one, whichever value[x]
// carries it. One that carries none that we read counts by its name alone.
func valuesOf(p *model.Parameter) []value {
	v := value{name: p.Name, res: p.Resource}
	switch {
	case p.ValueReference != nil:
		v.ref = p.ValueReference
		v.text = p.ValueReference.Reference
	case p.ValueIdentifier != nil:
		v.exact = []scheduling.Token{identifierToken(p.ValueIdentifier)}
		v.text = v.exact[0].String()
	case p.ValueCoding != nil:
		v.exact = []scheduling.Token{codingToken(p.ValueCoding)}
	case p.ValueCodeableConcept != nil:
		for i := range p.ValueCodeableConcept.Coding {
			v.exact = append(v.exact, codingToken(&p.ValueCodeableConcept.Coding[i]))
		}
	case len(p.Texts()) > 0:
		v.text = p.Texts()[0]
	default:
		v.text = scalar(p)
	}
	return []value{v}
}

// scalar is the text of a number or boolean.
func scalar(p *model.Parameter) string {
	for _, n := range []*int{p.ValueInteger, p.ValuePositiveInt, p.ValueUnsignedInt} {
		if n != nil {
			return strconv.Itoa(*n)
		}
	}
	if p.ValueBoolean != nil {
		return strconv.FormatBool(*p.ValueBoolean)
	}
	return string(p.ValueDecimal)
}

func codingToken(c *model.Coding) scheduling.Token {
	return scheduling.Token{System: System(c.System), Code: c.Code, Scoped: c.System != ""}
}

func identifierToken(i *model.Identifier) scheduling.Token {
	return scheduling.Token{System: System(i.System), Code: i.Value, Scoped: true}
}

// tokens reads codes into list.
func (v value) tokens(list *[]scheduling.Token) error {
	found := v.exact
	if v.ref != nil {
		return bad(v.name, "is a code, not a reference")
	}
	if found == nil {
		for _, part := range v.parts() {
			token, ok := parseToken(part)
			if !ok {
				return bad(v.name, "is not a code (system|code, code or |code)")
			}
			found = append(found, token)
		}
	}
	for _, token := range found {
		if token.Code == "" && token.System == "" {
			return bad(v.name, "names no code")
		}
	}
	if len(found) == 0 {
		return bad(v.name, "names no code")
	}
	*list = append(*list, found...)
	return nil
}

// parts are the alternatives in one value: a comma that is not escaped
// separates them in a URL.
func (v value) parts() []string {
	if !v.inURL {
		return []string{v.text}
	}
	return splitUnescaped(v.text, ',', -1)
}

// parseToken reads a token with search's escapes (\| \, \$ \\).
func parseToken(text string) (scheduling.Token, bool) {
	parts := splitUnescaped(strings.TrimSpace(text), '|', 2)
	if len(parts) == 1 {
		code := unescape(parts[0])
		return scheduling.Token{Code: code}, code != ""
	}
	t := scheduling.Token{System: System(unescape(parts[0])), Code: unescape(parts[1]), Scoped: true}
	return t, t.System != "" || t.Code != ""
}

// splitUnescaped splits at separators without a backslash before them, in n
// parts at most (-1: any number).
func splitUnescaped(s string, separator byte, n int) []string {
	var parts []string
	from := 0
	for i := 0; i < len(s) && len(parts)+1 != n; i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,|$\`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
