package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slotgate/scheduling"
)

// slotSearch is the dialect of plain FHIR servers:
//
//	GET Slot?status=free&start=ge..&start=lt..&_include=Slot:schedule&_count=..
//
// in pages, by next links or by _offset (http://hl7.org/fhir/slot.html#search).
type slotSearch struct{}

// schedulesPerCall keeps URLs below what proxies accept.
const schedulesPerCall = 25

func (slotSearch) fetch(ctx context.Context, c *Client, scope scheduling.Scope) (*harvest, string, error) {
	local := c.local.Load()
	h, cut, err := c.gather(ctx, scheduling.KindSlot, c.slotQuestions(scope))
	if err != nil || local || !h.local() {
		return h, cut, err
	}
	c.local.Store(true)
	if !c.folds(scope.Days) {
		return h, cut, nil
	}
	return c.gather(ctx, scheduling.KindSlot, c.slotQuestions(scope))
}

func (c *Client) slotQuestions(scope scheduling.Scope) (questions []question) {
	for _, p := range c.foldPeriods(scope.Days) {
		if len(scope.Schedules) == 0 || c.rule != nil {
			// Where references must be mended, the server's own search by
			// schedule would not find what we mean.
			questions = append(questions, c.slotQuestion(p, nil))
			continue
		}
		for some := range slices.Chunk(scope.Schedules, schedulesPerCall) {
			questions = append(questions, c.slotQuestion(p, some))
		}
	}
	return questions
}

func (c *Client) slotQuestion(p period, schedules []string) question {
	quirks := &c.opts.Quirks
	query := url.Values{}
	if *quirks.StatusSearch && !p.every {
		query.Set("status", "free")
	}
	if quirks.DateOnly {
		query["start"] = []string{"ge" + (p.days.From - 1).String(), "lt" + (p.days.To + 1).String()}
	} else {
		query["start"] = []string{"ge" + instant(p.from), "lt" + instant(p.to)}
	}
	if len(schedules) > 0 {
		query.Set("schedule", "Schedule/"+strings.Join(schedules, ",Schedule/"))
	}
	c.addIncludes(query)
	if quirks.PageSize > 0 {
		query.Set("_count", strconv.Itoa(quirks.PageSize))
	}
	quirks.set(query)
	return question{op: "slots", kind: scheduling.KindSlot, method: http.MethodGet, url: resolve(c.base, "Slot", query), paged: true}
}

// addIncludes writes _include:iterate as STU3 called it.
func (c *Client) addIncludes(query url.Values) {
	iterate := "_include:iterate"
	if c.source.Release == scheduling.STU3 {
		iterate = "_include:recurse"
	}
	for _, value := range c.opts.Quirks.Include {
		if further, ok := strings.CutPrefix(value, "iterate:"); ok {
			query.Add(iterate, further)
		} else {
			query.Add("_include", value)
		}
	}
}
