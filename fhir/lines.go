package fhir

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	page := &Page{Broken: scheduling.Tally{}}
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		res, err := Read(rel, JSON, line)
		if err == nil {
			page.Entries = append(page.Entries, model.BundleEntry{Resource: res})
			continue
		}
		page.Broken.Add(scheduling.BadResource, 1)
		if line[0] != '{' || !jsontext.Value(line).IsValid() || typeOf(line) != "Slot" {
			continue
		}
		if id := idIn(line); id != "" {
			page.BrokenSlots = append(page.BrokenSlots, id)
		}
	}
	return page
}
