package gateway

import (
	"cmp"
	"fmt"
	"slices"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// finds is what one request is answered from.
type finds interface {
	Find(q scheduling.Query) (scheduling.Found, error)
}

// looksIn is what was prefetched, with the answers of the sources whose slots
// are not kept where the query asks one of them.
func (x *exchange) looksIn(a *asked) finds {
	live := x.s.deps.Live
	if live == nil || !live.Concerns(a.Query) {
		return x.s.deps.Finder
	}
	page := live.Ask(x.ctx, a.Query)
	a.parts = page.Cut
	return page
}

// shown counts what is shown where people look for it, and keeps where it leads
// that is not kept itself.
func (x *exchange) shown(offers []scheduling.Hit) {
	live := x.s.deps.Live
	if live == nil {
		x.counted(offers)
		return
	}
	kept := make([]scheduling.Hit, 0, len(offers))
	for _, o := range offers {
		if !live.Live(o.Setting.Source) {
			kept = append(kept, o)
		}
	}
	x.counted(kept)
	if len(kept) < len(offers) {
		live.Remember(x.ctx, offers)
	}
}

func (x *exchange) counted(offers []scheduling.Hit) {
	if x.s.deps.Demand != nil && len(offers) > 0 {
		x.s.deps.Demand.Shown(offers)
	}
}

// toldParts tells of which sources this page has some days only.
func toldParts(parts []scheduling.SourceID, sources []scheduling.Freshness) []model.OutcomeIssue {
	var issues []model.OutcomeIssue
	for _, f := range sources {
		if slices.Contains(parts, f.Source) {
			issues = append(issues, fhir.Told("warning", "too-costly", fmt.Sprintf(
				"%s: is asked live, for a part of the period at a time: next links go on with the rest, and total counts the part alone",
				cmp.Or(f.Name, string(f.Source))), "end"))
		}
	}
	return issues
}

// liveSlot reads a Slot whose source keeps nothing with us. One that is not
// there any more is unknown.
func (x *exchange) liveSlot(kind scheduling.Kind, id string) (scheduling.Record, bool, error) {
	if x.s.deps.Live == nil || kind != scheduling.KindSlot {
		return scheduling.Record{}, false, nil
	}
	record, ok, err := x.s.deps.Live.Slot(x.ctx, id)
	if scheduling.CodeOf(err) == scheduling.SlotTaken {
		return record, false, nil
	}
	return record, ok, err
}
