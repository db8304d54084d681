package fhir

import (
	"math"
	"strconv"
	"strings"
	"time"

	"slotgate/scheduling"
)

// bound reads start or end: a dateTime of any precision.
func (f *finder) bound(v value) error {
	if err := f.once(v); err != nil {
		return err
	}
	b, ok := parseBound(strings.TrimSpace(v.text), v.name == "end")
	if !ok {
		return bad(v.name, "is not a date, or a date and time with an offset")
	}
	if v.name == "start" {
		f.Query.Start = b
	} else {
		f.Query.End = b
	}
	return nil
}

// parseBound reads a FHIR dateTime. A year or a month is its first day as a
// start, its last one as an end. A time must have an offset: places have zones
// of their own, and nobody could say which one is meant.
func parseBound(text string, last bool) (scheduling.Bound, bool) {
	for _, p := range []struct {
		layout              string
		years, months, days int // how long it lasts
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {time.DateOnly, 0, 0, 1}} {
		if len(text) != len(p.layout) {
			continue
		}
		t, err := time.Parse(p.layout, text)
		if err != nil {
			return scheduling.Bound{}, false
		}
		if last {
			t = t.AddDate(p.years, p.months, p.days-1)
		}
		y, m, d := t.Date()
		return scheduling.DayBound(scheduling.Date(y, m, d)), true
	}
	at, err := scheduling.ParseInstant(text, nil)
	if err != nil {
		return scheduling.Bound{}, false
	}
	return scheduling.InstantBound(at), true
}

// Distances are cut to half the way around the earth.
const (
	defaultMetres = 50_000
	farthest      = 20_037_508
)

// near reads lat|long|distance|unit (http://hl7.org/fhir/R4/location.html#positional);
// the distance is 50 km and the unit km where they are not given.
func (f *finder) near(v value) error {
	if err := f.once(v); err != nil {
		return err
	}
	parts := strings.Split(v.text, "|")
	if len(parts) < 2 || len(parts) > 4 {
		return bad(v.name, "is latitude|longitude|distance|unit")
	}
	lat, ok1 := finite(parts[0])
	lon, ok2 := finite(parts[1])
	near := scheduling.Near{Position: scheduling.Position{Latitude: lat, Longitude: lon}, Metres: defaultMetres}
	if !ok1 || !ok2 || !near.Valid() {
		return bad(v.name, "names no position in degrees")
	}
	if len(parts) > 2 && parts[2] != "" {
		unit := ""
		if len(parts) == 4 {
			unit = parts[3]
		}
		metres, ok := distance(parts[2], unit)
		if !ok {
			return bad(v.name, "needs a distance greater than 0 in km, m or mi")
		}
		near.Metres = min(metres, farthest)
	}
	f.Query.Near = &near
	return nil
}

func finite(text string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func distance(text, unit string) (metres float64, ok bool) {
	n, ok := finite(text)
	if !ok || n <= 0 {
		return 0, false
	}
	switch strings.ToLower(strings.TrimSpace(unit)) {
	case "", "km":
		return n * 1000, true
	case "m":
		return n, true
	case "mi", "[mi_i]", "[mi_us]", "mile", "miles":
		return n * 1609.344, true
	}
	return 0, false
}

func (f *finder) source(v value) error {
	for _, part := range v.parts() {
		id := strings.TrimSpace(unescape(part))
		if id == "" || len(id) > 64 {
			return bad(v.name, "is not the id of a source")
		}
		f.Query.Sources = append(f.Query.Sources, scheduling.SourceID(id))
	}
	return nil
}

func (f *finder) count(v value) error {
	if err := f.once(v); err != nil {
		return err
	}
	n, err := strconv.ParseUint(v.text, 10, 31)
	if err != nil {
		return bad(v.name, "is not a number from 0 up")
	}
	f.Query.Count = int(n)
	if f.Query.Count > f.opts.MaxCount {
		f.Query.Count = f.opts.MaxCount
		f.Cut = note(f.Cut, v.name)
	}
	return nil
}

// maxAge reads _max-age in whole seconds.
func (f *finder) maxAge(v value) error {
	if err := f.once(v); err != nil {
		return err
	}
	n, err := strconv.ParseUint(v.text, 10, 31)
	if err != nil {
		return bad(v.name, "is not a number of seconds")
	}
	// 0 means "as configured" in a Query; what is asked for here is the opposite.
	f.Query.MaxAge = max(time.Duration(n)*time.Second, time.Nanosecond)
	return nil
}

func (f *finder) strict(v value) error {
	if err := f.once(v); err != nil {
		return err
	}
	switch v.text {
	case "true":
		f.Strict = true
	case "false":
	default:
		return bad(v.name, "is true or false")
	}
	return nil
}
