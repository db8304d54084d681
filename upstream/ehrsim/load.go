package ehrsim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// LoadOptions say how bundles are read.
type LoadOptions struct {
	FHIR    FHIR      // version of the bundles; default stu3
	Zone    string    // IANA zone of times that name none; default UTC
	ShiftTo time.Time // not zero: move all dates by whole weeks, so that the first slot's day is after this one
}

// Dataset is what was loaded. It is never changed; servers may share it.
type Dataset struct {
	resources []object
	Weeks     int // by how many the dates were moved
}

// Count says how many resources of a type were loaded.
func (d *Dataset) Count(resourceType string) int {
	n := 0
	for _, o := range d.resources {
		if o.str("resourceType") == resourceType {
			n++
		}
	}
	return n
}

// Load reads every *.xml and *.json FHIR Bundle of a folder (transaction,
// batch, collection, searchset) and single resources too. Files that are not
// FHIR are refused with their name. Nothing is repaired: dangling references,
// times without a zone and codes without a system stay as they are.
func Load(dir string, o LoadOptions) (*Dataset, error) {
	setDefault(&o.FHIR, STU3)
	zone, err := Options{Zone: o.Zone}.location()
	if err != nil {
		return nil, fmt.Errorf("ehrsim: load: zone %q: %w", o.Zone, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("ehrsim: load: %w", err)
	}
	d := &Dataset{}
	for _, f := range files {
		if err := d.readFile(filepath.Join(dir, f.Name()), o.FHIR); err != nil {
			return nil, fmt.Errorf("ehrsim: load %s: %w", f.Name(), err)
		}
	}
	if len(d.resources) == 0 {
		return nil, fmt.Errorf("ehrsim: load: no FHIR resources in %s", dir)
	}
	if !o.ShiftTo.IsZero() {
		d.shift(o.ShiftTo, zone)
	}
	return d, nil
}

func (d *Dataset) readFile(name string, version FHIR) error {
	ext := strings.ToLower(filepath.Ext(name))
	if ext != ".xml" && ext != ".json" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var o object
	if ext == ".xml" {
		o, err = readXML(data, version)
	} else {
		o, err = readJSON(data)
	}
	if err != nil {
		return err
	}
	if o.str("resourceType") == "" {
		return errors.New("not a FHIR resource")
	}
	d.take(o)
	return nil
}

// take keeps a resource, or the resources of a bundle.
func (d *Dataset) take(o object) {
	if o.str("resourceType") != "Bundle" {
		d.resources = append(d.resources, o)
		return
	}
	for _, e := range o.each("entry") {
		entry, _ := e.(object)
		inner := entry.obj("resource")
		if inner.str("resourceType") == "" {
			continue
		}
		if inner.str("id") == "" {
			inner = inner.with("id", idOf(entry, len(d.resources)), "resourceType")
		}
		d.take(inner)
	}
}

// idOf names a resource of a transaction that has no id: by the URL it is put
// to, by its fullUrl, else by its number.
func idOf(entry object, n int) string {
	for _, s := range []string{entry.obj("request").str("url"), entry.str("fullUrl")} {
		ref := strings.TrimPrefix(s, "urn:uuid:")
		if i := strings.LastIndexByte(ref, '/'); i >= 0 || ref != s {
			return ref[i+1:]
		}
	}
	return fmt.Sprintf("loaded-%d", n+1)
}

// fill puts the resources into a store. Types that are not served are kept
// out of sight by the routes.
func (d *Dataset) fill(st *store, f flavour, zone *time.Location) {
	for _, o := range d.resources {
		if o.str("resourceType") == "Slot" {
			st.addLoaded(o, f.made, zone)
			continue
		}
		st.add(o.with("meta", withMeta(o, f.meta()), "id"))
	}
	slices.SortFunc(st.book, compareSlots)
}

// addLoaded puts a slot into the book. Times that cannot be read leave it at
// the zero time: found by reading it, never by a search for a period.
func (st *store) addLoaded(o object, now time.Time, zone *time.Location) {
	s := &slot{id: o.str("id"), schedule: o.obj("schedule").str("reference"), status: o.str("status"), version: 1, updated: now, raw: o}
	if sp, err := parseSpan(o.str("start"), zone); err == nil {
		s.start = sp.from.UTC()
	}
	if sp, err := parseSpan(o.str("end"), zone); err == nil {
		s.end = sp.from.UTC()
	}
	if old := st.slots[s.id]; old != nil {
		st.book = slices.DeleteFunc(st.book, func(b *slot) bool { return b == old })
	}
	st.slots[s.id] = s
	st.book = append(st.book, s)
}

// shiftPaths are the dates that move; ids and texts stay as they are.
var shiftPaths = map[string][]string{
	"Slot":     {"start", "end"},
	"Schedule": {"planningHorizon"},
}

// shift moves all dates by whole weeks of local wall-clock time.
func (d *Dataset) shift(to time.Time, zone *time.Location) {
	d.Weeks = d.weeksTo(civilOf(to.In(zone)), zone)
	for i, o := range d.resources {
		for _, name := range shiftPaths[o.str("resourceType")] {
			switch v := o.get(name).(type) {
			case string:
				o = o.with(name, shiftText(v, d.Weeks, zone), "")
			case object:
				o = o.with(name, v.shifted(d.Weeks, zone), "")
			}
		}
		d.resources[i] = o
	}
}

func (o object) shifted(weeks int, zone *time.Location) object {
	for _, name := range []string{"start", "end"} {
		if text := o.str(name); text != "" {
			o = o.with(name, shiftText(text, weeks, zone), "")
		}
	}
	return o
}

// weeksTo is the number of weeks, forward or back, that brings the first
// slot's day behind the given one, but no more than a week behind it.
func (d *Dataset) weeksTo(today civil, zone *time.Location) int {
	var first *civil
	for _, o := range d.resources {
		if o.str("resourceType") != "Slot" {
			continue
		}
		sp, err := parseSpan(o.str("start"), zone)
		if err != nil {
			continue
		}
		if day := civilOf(sp.from.In(zone)); first == nil || day.before(*first) {
			first = &day
		}
	}
	if first == nil {
		return 0
	}
	days := int(today.noon().Sub(first.noon()).Hours() / 24)
	if days < 0 {
		return -((-days - 1) / 7)
	}
	return days/7 + 1
}

// shiftText moves one date or dateTime: the wall clock stays, the offset
// becomes the zone's of the new day, a form without an offset stays without.
func shiftText(text string, weeks int, zone *time.Location) string {
	m := dateTime.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	if m[5] == "" {
		day, err := time.Parse(time.DateOnly, m[1])
		if err != nil {
			return text
		}
		return day.AddDate(0, 0, 7*weeks).Format(time.DateOnly) + text[len(m[1]):]
	}
	sp, err := parseSpan(text, zone)
	if err != nil {
		return text
	}
	moved := sp.from.In(zone).AddDate(0, 0, 7*weeks)
	if m[5] == "Z" {
		return moved.UTC().Format(time.RFC3339)
	}
	return moved.Format("2006-01-02T15:04:05-07:00")
}
