package fhir

import (
	"reflect"
	"strings"
	"testing"

	"slotgate/scheduling"
)

func TestLinesThatCannotBeReadCostNothingElse(t *testing.T) {
	t.Parallel()
	good := `{"resourceType":"Slot","id":"a","status":"free"}`
	for text, want := range map[string]struct {
		read, broken int
		slots        string
	}{
		"":   {0, 0, ""},
		good: {1, 0, ""},
		"\xEF\xBB\xBF" + good + "\r\n\r\n" + good:                   {2, 0, ""},
		good + "\n{\n" + good:                                       {2, 1, ""},
		`{"resourceType":"Slot","id":"b","start":{}}` + "\n" + good: {1, 1, "b"},
		`{"resourceType":"Slot","id":"no id!","start":{}}`:          {0, 1, ""},
		`{"resourceType":"Location","id":"b","name":[]}`:            {0, 1, ""},
		`[` + good + `]`:             {0, 1, ""},
		strings.Repeat("[", 100_000): {0, 1, ""},
	} {
		page := ReadLines(scheduling.R4, []byte(text))
		if len(page.Entries) != want.read || page.Broken.Total() != want.broken || strings.Join(page.BrokenSlots, " ") != want.slots {
			t.Errorf("%.60q: %d read, %d broken, slots %v", text, len(page.Entries), page.Broken.Total(), page.BrokenSlots)
		}
	}
}

func TestAManifestIsReadAsPublishersWriteIt(t *testing.T) {
	t.Parallel()
	m, err := ReadManifest([]byte(`{"transactionTime":"2026-02-03T12:00:00Z","request":"https://x/$bulk-publish","extra":1,
		"output":[{"type":"Slot","url":"https://x/s.ndjson","extension":{"state":["MA"],"more":{}}},{"type":"Location","url":"l.ndjson"},{"type":"Schedule","url":"s","extension":null}],"error":[]}`))
	if err != nil || len(m.Output) != 3 || m.Output[0].Extension.State[0] != "MA" || m.Output[1].URL != "l.ndjson" {
		t.Errorf("%v %+v", err, m)
	}
	for _, text := range []string{"", "null", "[]", "<html/>", `{"output":7}`, `{"transactionTime":"x"}`, `{"output":null}`, `{"output":[{"type":7}]}`} {
		if _, err := ReadManifest([]byte(text)); scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Slot","id":"a","status":"free"}` + "\n{"))
	f.Add([]byte("\xEF\xBB\xBF{\"resourceType\":\"Location\"}\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		page := ReadLines(scheduling.R4, data)
		lines := 0
		for line := range strings.Lines(string(data)) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		if got := len(page.Entries) + page.Broken.Total(); got > lines {
			t.Errorf("%d resources of %d lines", got, lines)
		}
		for _, id := range page.BrokenSlots {
			if !scheduling.ValidID(id) {
				t.Errorf("%q is no id", id)
			}
		}
	})
}

func TestALineIsReadAsTheResourceByItselfIs(t *testing.T) {
	t.Parallel()
	for _, extension := range []string{
		`[]`, `null`, `[{"url":"` + DeepLinkExtension + `","valueUrl":"https://x/\u0061"},{"url":"` + PhoneExtension + `","valueString":"1"}]`,
		`[{"url":"u","valueUri":"v"},{"url":"w","valueCoding":{"code":"c"}}]`, `[{"url":"u","extension":[{"url":"v","valueString":"w"}]}]`,
		`[{"id":"i","url":"u","valueString":null}]`, `[{}]`, `[null]`, `[{"url":7}]`, `{"url":"u"}`, `[[]]`, `"x"`,
	} {
		line := `{"resourceType":"Slot","id":"a","status":"free","extension":` + extension + `,"schedule":{"reference":"Schedule/s"}}`
		want, err := Read(scheduling.R4, JSON, []byte(line))
		page := ReadLines(scheduling.R4, []byte(line))
		if (err == nil) != (len(page.Entries) == 1) {
			t.Errorf("%s: by itself %v, as a line %+v", extension, err, page)
			continue
		}
		if err == nil && !reflect.DeepEqual(page.Entries[0].Resource, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", extension, page.Entries[0].Resource, want)
		}
	}
}
