package gateway

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/fhir"
	"slotgate/scheduling"
)

func testCursors(tb testing.TB) *cursors {
	tb.Helper()
	c, err := newCursors([]byte("0123456789abcdef"), time.Hour, func() time.Time { return noon })
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestACursorComesBackAsItWas(t *testing.T) {
	t.Parallel()
	c := testCursors(t)
	rapid.Check(t, func(t *rapid.T) {
		at := scheduling.Cursor{ID: rapid.StringMatching(`[A-Za-z0-9.-]{1,64}`).Draw(t, "id")}
		if rapid.Bool().Draw(t, "timed") {
			at.Start = time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "seconds"), 0).UTC()
		}
		query := rapid.String().Draw(t, "query")
		got, err := c.read(query, c.make(query, at))
		if err != nil || got.ID != at.ID || !got.Start.Equal(at.Start) {
			t.Fatalf("%+v, error %v, want %+v", got, err, at)
		}
		if _, err := c.read(query+"x", c.make(query, at)); err == nil {
			t.Fatal("it is taken for another query")
		}
	})
}

// FuzzCursor looks for a cursor that nobody made.
func FuzzCursor(f *testing.F) {
	c := testCursors(f)
	good := c.make("q", scheduling.Cursor{Start: noon, ID: "abcde-fghij"})
	f.Add(good)
	f.Add(good[1:])
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := c.read("q", text)
		if err == nil && text != good {
			t.Errorf("%q was taken for %+v", text, at)
		}
		if err != nil && scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Errorf("error %v", err)
		}
	})
}

// drawQuery makes a query as ParseFind could have read it.
func drawQuery(t *rapid.T) scheduling.Query {
	text := rapid.StringMatching(`[A-Za-z0-9,|\\$+%&=][A-Za-z0-9:/ ,|\\$+%&=.-]{0,10}[A-Za-z0-9]`)
	id := rapid.StringMatching(`[A-Za-z0-9.-]{1,64}`)
	token := rapid.Custom(func(t *rapid.T) scheduling.Token {
		tok := scheduling.Token{Code: text.Draw(t, "code"), Scoped: rapid.Bool().Draw(t, "scoped")}
		if tok.Scoped {
			tok.System = rapid.OneOf(rapid.Just(""), text).Draw(t, "system")
		}
		return tok
	})
	ref := func(kind scheduling.Kind) *rapid.Generator[scheduling.Ref] {
		return rapid.Custom(func(t *rapid.T) scheduling.Ref {
			switch rapid.IntRange(0, 2).Draw(t, "form") {
			case 0:
				return scheduling.Ref{Kind: kind, ID: id.Draw(t, "id")}
			case 1:
				native := id.Draw(t, "native")
				return scheduling.Ref{Kind: kind, ID: native, URL: "https://ehr.example/a,b/" + string(kind) + "/" + native}
			default:
				return scheduling.Ref{Kind: kind, Identifier: scheduling.Identifier{System: text.Draw(t, "system"), Value: text.Draw(t, "value")}}
			}
		})
	}
	q := scheduling.Query{Start: drawBound(t, "start", 0), End: drawBound(t, "end", 400), Count: rapid.IntRange(0, 1000).Draw(t, "count")}
	q.Specialty = rapid.SliceOfN(token, 0, 3).Draw(t, "specialty")
	q.VisitType = rapid.SliceOfN(token, 0, 3).Draw(t, "visit-type")
	q.Practitioners = rapid.SliceOfN(ref(scheduling.KindPractitioner), 0, 3).Draw(t, "practitioner")
	q.Organizations = rapid.SliceOfN(ref(scheduling.KindOrganization), 0, 3).Draw(t, "organization")
	q.Locations = rapid.SliceOfN(ref(scheduling.KindLocation), 0, 3).Draw(t, "location")
	q.LocationText = rapid.SliceOfN(rapid.StringMatching(`[A-Za-z,|\\][A-Za-z ,|\\]{0,9}[A-Za-z]`), 0, 2).Draw(t, "text")
	if rapid.Bool().Draw(t, "near?") {
		q.Near = &scheduling.Near{Position: scheduling.Position{
			Latitude: rapid.Float64Range(-90, 90).Draw(t, "lat"), Longitude: rapid.Float64Range(-180, 180).Draw(t, "long"),
		}, Metres: rapid.Float64Range(1, 1e6).Draw(t, "metres")}
	}
	for _, source := range rapid.SliceOfN(id, 0, 2).Draw(t, "source") {
		q.Sources = append(q.Sources, scheduling.SourceID(source))
	}
	q.MaxAge = time.Duration(rapid.IntRange(0, 1e6).Draw(t, "max-age")) * time.Second
	return q
}

// drawBound is a bound some days from one day on.
func drawBound(t *rapid.T, name string, from int) scheduling.Bound {
	days := from + rapid.IntRange(0, 300).Draw(t, name)
	switch rapid.IntRange(0, 2).Draw(t, name+" form") {
	case 0:
		return scheduling.Bound{}
	case 1:
		return scheduling.DayBound(scheduling.Date(2026, 1, 1+days))
	default:
		return scheduling.InstantBound(time.Date(2026, 1, 1+days, 12, 30, 15, 0, time.UTC))
	}
}

// A next link must ask the same as the question whose answer it stands in.
func TestALinkAsksWhatWasAsked(t *testing.T) {
	t.Parallel()
	opts := fhir.DefaultFindOptions()
	rapid.Check(t, func(t *rapid.T) {
		q, strict := drawQuery(t), rapid.Bool().Draw(t, "strict")
		u, err := url.Parse(link("https://x/fhir/r4/Appointment/$find", findParams(q, strict), q.Count, "c"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := fhir.ParseFind(u.Query(), nil, opts)
		if err != nil {
			t.Fatalf("%v of %s", err, u)
		}
		if again.Cursor != "c" || again.Strict != strict || len(again.Unknown)+len(again.NotApplied)+len(again.Cut) > 0 {
			t.Fatalf("%+v of %s", again, u)
		}
		if !reflect.DeepEqual(findParams(again.Query, strict), findParams(q, strict)) {
			t.Fatalf("%s\nwas %+v\nis  %+v", u, q, again.Query)
		}
		if !same(again.Query.Specialty, q.Specialty) || !same(again.Query.Practitioners, q.Practitioners) ||
			!same(again.Query.LocationText, q.LocationText) || !reflect.DeepEqual(again.Query.Near, q.Near) {
			t.Fatalf("%s\nwas %+v\nis  %+v", u, q, again.Query)
		}
	})
}

func same[T any](a, b []T) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

// FuzzParseSearch reads any query as a search of any type: it never panics, and
// what it accepts is found again in its own link.
func FuzzParseSearch(f *testing.F) {
	for _, seed := range []string{
		"name=a,b&identifier=x%7Cy", "start=ge2026-11-24&start=lt2026-11-25T00:00:00Z&status=free", "schedule=Schedule/1",
		"organization=https://a/Organization/b", "_id=%00", "start=ge", "address=%5C,&specialty=%7C", "location=a%7Cb", "_count=x",
	} {
		f.Add(seed)
	}
	s, _ := newServer(f, nil)
	f.Fuzz(func(t *testing.T, query string) {
		values, err := s.parseForm(query)
		if err != nil {
			return
		}
		for _, kind := range directoryKinds() {
			search, _, err := parseSearch(kind, values)
			if err != nil {
				if scheduling.CodeOf(err) != scheduling.BadRequest {
					t.Errorf("error %v", err)
				}
				continue
			}
			again, unknown, err := parseSearch(kind, searchParams(search))
			if err != nil || len(unknown) > 0 || !reflect.DeepEqual(again, search) {
				t.Errorf("%s: error %v, unknown %v\nwas %+v\nis  %+v", kind, err, unknown, search, again)
			}
		}
	})
}
