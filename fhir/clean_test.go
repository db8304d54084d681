package fhir

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func TestTextsOfASourceAreTakenInAsFHIRAllowsThem(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 5000)
	const dirt = `a\u0000b\u0008c\u000bd\u000ce\u001ff\ufffeg\uffffh\ti\nj\rk`
	const clean = "abcdefgh\ti\nj\rk"
	data := `{"resourceType":"Bundle","entry":[
		{"resource":{"resourceType":"Slot","id":"s","status":"free","start":"2026-12-01T08:00:00Z","end":"2026-12-01T08:15:00Z",
			"comment":"` + dirt + long + `","specialty":[{"text":"` + dirt + long + `","coding":[{"system":"u` + dirt + `","code":"` + dirt + `","display":"` + long + `"}]}]}},
		{"resource":{"resourceType":"Practitioner","id":"p","identifier":[{"value":"` + dirt + `"},{"value":"\u0001"}],"telecom":[{"value":"` + dirt + `"}],
			"name":[{"family":"` + dirt + `","given":["A","` + dirt + `"],"text":"` + long + `"}]}},
		{"resource":{"resourceType":"Location","id":"l","name":"` + dirt + long + `","description":"` + dirt + `","address":{"line":["` + dirt + `"],"city":"` + dirt + `"}}},
		{"resource":{"resourceType":"Schedule","id":"c","comment":"` + long + `","actor":[{"display":"` + dirt + `"}]}}]}`
	page, err := ReadBundle(scheduling.R4, JSON, []byte(data))
	if err != nil || page.Broken.Total() != 0 {
		t.Fatal(err, page)
	}
	slots, dir := NewSlots(nil), scheduling.NewDirectory()
	var slot scheduling.Slot
	for _, e := range page.Entries {
		if in, ok := e.Resource.(*model.Slot); ok {
			slot, _ = slots.Slot(in)
		}
		AddTo(dir, e.Resource)
	}
	p, l, c := dir.Practitioners["p"], dir.Locations["l"], dir.Schedules["c"]
	spec := slot.Specialty[0]
	for what, texts := range map[string][2]string{
		"code":        {spec.Codings[0].Code, clean},
		"system":      {spec.Codings[0].System, "u" + clean},
		"identifier":  {p.Identifiers[0].Value, clean},
		"family":      {p.Name.Family, clean},
		"given":       {strings.Join(p.Name.Given, " "), "A " + clean},
		"description": {l.Description, clean},
		"line":        {l.Address.Line[0], clean},
		"city":        {l.Address.City, clean},
		"actor":       {c.Actors[0].Display, clean},
	} {
		if texts[0] != texts[1] {
			t.Errorf("%s is %q, want %q", what, texts[0], texts[1])
		}
	}
	for what, bound := range map[string]struct {
		text string
		most int
	}{
		"a slot's comment":     {slot.Comment, 1000},
		"a schedule's comment": {c.Comment, 1000},
		"a concept's text":     {spec.Text, 500},
		"a display":            {spec.Codings[0].Display, 500},
		"a person's name":      {p.Name.Text, 500},
		"a place's name":       {l.Name, 500},
	} {
		if n := utf8.RuneCountInString(bound.text); n != bound.most {
			t.Errorf("%s has %d characters, want %d", what, n, bound.most)
		}
	}
	if len(p.Identifiers) != 1 {
		t.Errorf("an identifier without a value is kept: %+v", p.Identifiers)
	}
}

func TestPlainKeepsWhatIsAllowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, most := rapid.String().Draw(t, "in"), rapid.IntRange(0, 20).Draw(t, "most")
		out := plain(in, most)
		if utf8.RuneCountInString(out) > most || strings.IndexFunc(out, forbidden) >= 0 {
			t.Fatalf("%q becomes %q", in, out)
		}
		if plain(out, most) != out {
			t.Fatal("it is cleaned twice")
		}
		allowed := strings.Map(func(r rune) rune {
			if forbidden(r) {
				return -1
			}
			return r
		}, in)
		if !strings.HasPrefix(allowed, out) {
			t.Fatalf("%q becomes %q", in, out)
		}
	})
}
