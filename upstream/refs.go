package upstream

import (
	"regexp"
	"strings"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// refs follows the references of one page.
type refs struct {
	rule *regexp.Regexp // quirks.schedule_ref
	urns map[string]model.Resource
}

func newRefs(rule *regexp.Regexp, page *fhir.Page) *refs {
	r := &refs{rule: rule}
	for i := range page.Entries {
		e := &page.Entries[i]
		if e.Resource == nil || !strings.HasPrefix(e.FullURL, "urn:") {
			continue
		}
		if r.urns == nil {
			r.urns = map[string]model.Resource{}
		}
		r.urns[e.FullURL] = e.Resource
	}
	return r
}

// schedule is the id of the schedule that a reference names, or the schedule
// itself where it is contained. Relative, absolute and versioned references are
// read alike: a server behind a gateway writes its own name into them.
func (r *refs) schedule(ref *model.Reference, contained []model.Resource) (id string, within *model.Schedule) {
	if ref == nil {
		return "", nil
	}
	text := ref.Reference
	if r.rule != nil {
		if found := r.rule.FindStringSubmatch(text); found != nil && found[1] != "" {
			return found[1], nil
		}
	}
	if local, ok := strings.CutPrefix(text, "#"); ok {
		schedule, _ := containedIn(contained, local).(*model.Schedule)
		return "", schedule
	}
	if schedule, ok := r.urns[text].(*model.Schedule); ok {
		return schedule.ID, nil
	}
	if kind, id := fhir.RefParts(text); kind == scheduling.KindSchedule {
		return id, nil
	}
	return "", nil
}

func containedIn(contained []model.Resource, id string) model.Resource {
	for _, res := range contained {
		if res.Common().ID == id {
			return res
		}
	}
	return nil
}
