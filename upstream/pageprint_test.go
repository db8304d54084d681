package upstream

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// bodyOf is a page as servers write it.
func bodyOf(id, at, next string, entries ...string) string {
	link := ""
	if next != "" {
		link = fmt.Sprintf(`,{"relation":"next","url":%q}`, next)
	}
	return fmt.Sprintf(`{"resourceType":"Bundle","id":%q,"meta":{"lastUpdated":%q},"type":"searchset","total":2,`+
		`"link":[{"relation":"self","url":"https://ehr.example.org/fhir/Slot?x=%s"}%s],"entry":[%s]}`, id, at, id, link, strings.Join(entries, ","))
}

func entryOf(id, version, start string) string {
	return fmt.Sprintf(`{"fullUrl":"https://ehr.example.org/fhir/Slot/%[1]s","resource":{"resourceType":"Slot","id":%[1]q,`+
		`"meta":{"versionId":%[2]q,"lastUpdated":"2026-01-0%[2]sT00:00:00Z","profile":["p"]},"schedule":{"reference":"Schedule/s"},`+
		`"status":"free","start":%[3]q,"end":"2026-02-03T10:00:00Z","comment":"a \"quoted\" \\ text"},"search":{"mode":"match"}}`, id, version, start)
}

const nine, half = "2026-02-03T09:00:00Z", "2026-02-03T09:30:00Z"

func TestAPageIsKnownByWhatItSays(t *testing.T) {
	t.Parallel()
	p := printer{seed: maphash.MakeSeed()}
	one := bodyOf("b1", "2026-02-03T08:00:00Z", "https://ehr.example.org/fhir?_getpages=1", entryOf("a", "1", nine), entryOf("b", "1", half))
	for name, tc := range map[string]struct {
		body string
		same bool
	}{
		"itself":                         {one, true},
		"given later":                    {bodyOf("b2", "2026-02-03T08:01:00Z", "https://ehr.example.org/fhir?_getpages=2", entryOf("a", "1", nine), entryOf("b", "1", half)), true},
		"records that were only touched": {bodyOf("b1", "", "x", entryOf("a", "2", nine), entryOf("b", "3", half)), true},
		"within Parameters":              {`{"resourceType":"Parameters","parameter":[{"name":"return","resource":` + one + `}]}`, false},
		"a byte order mark before it":    {"\ufeff" + one, true},
		"no further page":                {bodyOf("b1", "2026-02-03T08:00:00Z", "", entryOf("a", "1", nine), entryOf("b", "1", half)), false},
		"a slot gone":                    {bodyOf("b1", "2026-02-03T08:00:00Z", "x", entryOf("a", "1", nine)), false},
		"a slot moved":                   {bodyOf("b1", "2026-02-03T08:00:00Z", "x", entryOf("a", "1", nine), entryOf("b", "1", nine)), false},
		"another slot":                   {bodyOf("b1", "2026-02-03T08:00:00Z", "x", entryOf("a", "1", nine), entryOf("c", "1", half)), false},
		"another total":                  {strings.Replace(one, `"total":2`, `"total":3`, 1), false},
		"another profile":                {strings.Replace(one, `["p"]`, `["q"]`, 1), false},
		"in another order":               {bodyOf("b1", "2026-02-03T08:00:00Z", "x", entryOf("b", "1", half), entryOf("a", "1", nine)), false},
		"another meta of its own":        {strings.Replace(one, `"meta":{`, `"meta":{"tag":[{"code":"SUBSETTED"}],`, 1), false},
		"an outcome besides":             {bodyOf("b1", "", "x", entryOf("a", "1", nine), entryOf("b", "1", half), `{"resource":{"resourceType":"OperationOutcome","issue":[]}}`), false},
	} {
		want, _ := p.print([]byte(one))
		got, ok := p.print([]byte(tc.body))
		if !ok || (got.sum == want.sum) != tc.same {
			t.Errorf("%s: read %v, the same %v, want %v", name, ok, got.sum == want.sum, tc.same)
		}
	}
	if got, _ := p.print([]byte(one)); got.next != "https://ehr.example.org/fhir?_getpages=1" || got.valid != "2026-02-03T08:00:00Z" {
		t.Errorf("next %q, valid %q", got.next, got.valid)
	}
}

func TestTemporaryIdsAreNotWhatAPageSays(t *testing.T) {
	t.Parallel()
	one, two := bodyOf("b", "", "", entryOf("t1", "1", nine)), bodyOf("b", "", "", entryOf("t2", "1", nine))
	seed := maphash.MakeSeed()
	for temporary, want := range map[bool]bool{true: true, false: false} {
		p := printer{seed: seed, temporary: temporary}
		a, _ := p.print([]byte(one))
		b, _ := p.print([]byte(two))
		if (a.sum == b.sum) != want {
			t.Errorf("temporary %v: the same %v", temporary, a.sum == b.sum)
		}
	}
}

func TestWhatIsNoWholeJSONObjectIsNotKnownAgain(t *testing.T) {
	t.Parallel()
	p := printer{seed: maphash.MakeSeed()}
	whole := bodyOf("b1", nine, "x", entryOf("a", "1", nine))
	for i := range len(whole) - 1 {
		if _, ok := p.print([]byte(whole[:i])); ok {
			t.Fatalf("cut after %d bytes it is still known", i)
		}
	}
	for _, body := range []string{
		"", " ", "null", "[]", `"x"`, "<Bundle/>", "{", "{]", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}}`, `{"a":1} x`, `{"a" 1}`, `{,}`,
		`{"entry":[}`, `{"entry":[{]}`, `{"entry":[{"resource":{"meta":{"lastUpdated"}}}]}`, `{"link":5}`, `{"link":[{"relation":5}]}`, `{"a":"\"}`,
	} {
		if _, ok := p.print([]byte(body)); ok {
			t.Errorf("%.60q is known", body)
		}
	}
}

// FuzzAPageThatIsKnownAgainSaysTheSame changes one byte of a page: wherever it is
// still the same to us, it is the same to the decoder.
func FuzzAPageThatIsKnownAgainSaysTheSame(f *testing.F) {
	whole := bodyOf("b1", nine, "https://ehr.example.org/fhir?_getpages=1", entryOf("a", "1", nine), entryOf("b", "1", half))
	for i := 0; i < len(whole); i += 7 {
		f.Add([]byte(whole), i, byte('0'))
		f.Add([]byte(whole), i, byte('"'))
		f.Add([]byte(whole), i, byte('}'))
	}
	f.Add([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","resource":`+whole+`}]}`), 90, byte('x'))
	f.Add([]byte(`{"resourceType":"OperationOutcome","id":"x","issue":[{"severity":"error","code":"too-costly"}]}`), 50, byte('x'))
	f.Add([]byte(strings.Repeat(`{"parameter":[{"resource":`, 5000)+"1"+strings.Repeat("}]}", 5000)), 0, byte('{'))
	f.Fuzz(func(t *testing.T, body []byte, at int, c byte) {
		p := printer{seed: maphash.MakeSeed()}
		before, ok := p.print(body)
		if !ok || len(body) == 0 {
			return
		}
		other := append([]byte{}, body...)
		other[((at%len(body))+len(body))%len(body)] = c
		after, ok := p.print(other)
		if !ok || after.sum != before.sum {
			return
		}
		one, err := fhir.ReadBundle(scheduling.R4, fhir.JSON, body)
		if err != nil {
			return // it was never applied
		}
		two, err := fhir.ReadBundle(scheduling.R4, fhir.JSON, other)
		if err != nil {
			return // broken where it does not count
		}
		if (one.Next() != "") != (two.Next() != "") || !reflect.DeepEqual(essence(one), essence(two)) {
			t.Errorf("taken for the same:\n%s\n%s", body, other)
		}
	})
}

// essence is all that counts of a page.
func essence(page *fhir.Page) *fhir.Page {
	page.Bundle.Link, page.Bundle.ID, page.Bundle.Meta = nil, "", nil
	page.Bundle.Identifier, page.Bundle.Timestamp = nil, ""
	for i := range page.Entries {
		if res := page.Entries[i].Resource; res != nil {
			strip(res)
		}
	}
	return page
}

func strip(res model.Resource) {
	if meta := res.Common().Meta; meta != nil {
		meta.LastUpdated, meta.VersionID = "", ""
	}
}

func BenchmarkAPageThatHasNotChanged(b *testing.B) {
	var entries []string
	for i := range 500 {
		entries = append(entries, entryOf(fmt.Sprint("slot-", i), "1", nine))
	}
	body := []byte(bodyOf("b1", nine, "x", entries...))
	p := printer{seed: maphash.MakeSeed()}
	b.Run("known again by its hash", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, ok := p.print(body); !ok {
				b.Fatal("not known")
			}
		}
	})
	b.Run("decoded", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			h := newHarvest(scheduling.KindSlot, nil, 100_000)
			page, err := fhir.ReadBundle(scheduling.R4, fhir.JSON, body)
			if err != nil || h.page(page) != "" {
				b.Fatal(err)
			}
		}
	})
}
