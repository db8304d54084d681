package fhir

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Page is one page of a source's answer, read as far as it can be.
type Page struct {
	// Bundle is the page without entries: type, total, links.
	Bundle model.Bundle
	// Entries are those that could be read, in their order. Outcomes among
	// them are in Outcomes instead.
	Entries []model.BundleEntry
	// Outcomes are the OperationOutcomes found among the entries, or that came
	// in the Bundle's place: warnings, or the reason for an empty answer.
	Outcomes []*model.OperationOutcome
	// Broken counts entries that could not be read (scheduling.BadResource).
	Broken scheduling.Tally
	// BrokenSlots are the ids of the Slots among them, where they can be seen.
	BrokenSlots []string
	// Valid is when the page was true, as its source says; zero: it says nothing.
	Valid time.Time
	// Dropped counts elements of XML that the version does not know.
	Dropped int
}

// Next is the address of the next page as it was written, or "".
func (p *Page) Next() string { return p.Bundle.LinkURL("next") }

// Failed tells whether one of the outcomes is an error.
func (p *Page) Failed() bool {
	for _, o := range p.Outcomes {
		if o.Failed() {
			return true
		}
	}
	return false
}

// ReadBundle reads a page of a source's answer tolerantly: an entry that cannot
// be read is counted and costs nothing else. A Parameters resource that holds
// the Bundle as its `return` is opened; an OperationOutcome in the Bundle's
// place is a page without entries.
//
// Errors: scheduling.BadRequest when there is no such page in data at all.
func ReadBundle(rel scheduling.Release, f Format, data []byte) (*Page, error) {
	c, given := codecOf(rel), data
	data, dropped, err := toJSON(rel, f, data)
	if err != nil {
		return c.mendedPage(f, given, err)
	}
	switch model.TypeOf(data) {
	case "Bundle":
	case "Parameters":
		if data = returned(data); data == nil {
			return nil, unreadable("the Parameters hold no Bundle", nil)
		}
	case "OperationOutcome":
		return outcomePage(c, data)
	default:
		return nil, unreadable("the body is not a Bundle", nil)
	}
	page, err := c.page(data, nil)
	if err != nil {
		return nil, err
	}
	page.Dropped = dropped
	return page, nil
}

// mendedPage reads a page that is not good JSON as a whole, for the reason why.
func (c *codec) mendedPage(f Format, given []byte, why error) (*Page, error) {
	if f != JSON {
		return nil, why
	}
	mended, raw, ok := mend(given)
	if !ok {
		return nil, why
	}
	switch typeOf(mended) {
	case "Bundle":
		return c.page(mended, raw)
	case "Parameters":
		if from, to, ok := returnedIn(mended); ok {
			return c.page(mended[from:to], raw[from:to])
		}
	}
	return nil, why
}

// returned finds the Bundle that an operation returned within Parameters.
func returned(data []byte) []byte {
	var p struct {
		Parameter []struct {
			Name     string         `json:"name"`
			Resource jsontext.Value `json:"resource"`
		} `json:"parameter"`
	}
	if json.Unmarshal(data, &p) != nil {
		return nil
	}
	for _, one := range p.Parameter {
		if one.Name == "return" && model.TypeOf(one.Resource) == "Bundle" {
			return one.Resource
		}
	}
	return nil
}

func outcomePage(c *codec, data []byte) (*Page, error) {
	res, err := c.decode(data)
	if err != nil {
		return nil, unreadable("the OperationOutcome cannot be read", err)
	}
	return &Page{Outcomes: []*model.OperationOutcome{res.(*model.OperationOutcome)}, Broken: scheduling.Tally{}}, nil
}
