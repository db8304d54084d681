package fhir

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Manifest is what a publisher says of its files
// (https://github.com/smart-on-fhir/smart-scheduling-links: $bulk-publish).
type Manifest struct {
	TransactionTime string         `json:"transactionTime"` // instant
	Output          []ManifestFile `json:"output"`
}

// ManifestFile is one file of resources of one type, a line each.
type ManifestFile struct {
	Type      string `json:"type"`
	URL       string `json:"url"`
	Extension struct {
		State []string `json:"state"` // of the USA, whose places are in it
	} `json:"extension"`
}

// ReadManifest reads a publisher's manifest. What it does not know is left out.
//
// Errors: scheduling.BadRequest when it is none.
func ReadManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return m, unreadable("the body is not a manifest", err)
	}
	if m.Output == nil {
		return m, unreadable("the manifest has no output", nil)
	}
	return m, nil
}

// ReadLines reads a file of resources, one a line (NDJSON), as tolerantly as a
// page: a line that cannot be read is counted and costs nothing else.
func ReadLines(rel scheduling.Release, data []byte) *Page {
	r := &pageReader{codec: codecOf(rel), page: &Page{Broken: scheduling.Tally{}}, known: map[string]model.Resource{}}
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			r.line(rel, line)
		}
	}
	return r.page
}

// line reads one resource as an entry of a page is read.
func (r *pageReader) line(rel scheduling.Release, line []byte) {
	good, _, err := toJSON(rel, JSON, line)
	if err == nil {
		var out model.BundleEntry
		cur := &cursor{b: good}
		cur.space()
		if r.resource(&out, cur) {
			r.page.Entries = append(r.page.Entries, out)
			return
		}
	}
	r.page.Broken.Add(scheduling.BadResource, 1)
	if err != nil || typeOf(good) != "Slot" {
		return
	}
	if id := idIn(good); id != "" {
		r.page.BrokenSlots = append(r.page.BrokenSlots, id)
	}
}
