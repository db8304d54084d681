package upstream

import (
	"slices"
	"time"

	"slotgate/scheduling"
)

// A source that writes times without offsets is asked for the days on which the
// clocks are put back in a way of its own: by their neighbours, booked ones too,
// are the times told apart that occur twice (law 9).

// foldMargin is how far such a day's question reaches beyond it: where the clocks
// are put back at midnight, the neighbours are on the eve.
const foldMargin = time.Hour

// local tells whether a time came without an offset.
func (h *harvest) local() bool {
	return slices.ContainsFunc(h.records, func(r *record) bool { return r.start != "" })
}

// folds tells whether the clocks are put back on one of the days, in any of the
// source's zones.
func (c *Client) folds(days scheduling.Days) bool {
	zones := c.zones()
	for day := days.From; day < days.To; day++ {
		if foldsOn(day, zones) {
			return true
		}
	}
	return false
}

func foldsOn(day scheduling.Day, zones []*time.Location) bool {
	return slices.ContainsFunc(zones, func(zone *time.Location) bool {
		return zone != nil && (day+1).Start(zone).Sub(day.Start(zone)) > 24*time.Hour
	})
}

// foldPeriods are the periods of a scope's days, where a day on which the clocks
// are put back is one of its own, in front: questions may overlap, and twins are
// told apart by the order in which they first came.
func (c *Client) foldPeriods(days scheduling.Days) []period {
	if !c.local.Load() || !c.folds(days) {
		return c.periods(days, c.opts.Quirks.MaxDays)
	}
	var out, folds []period
	zones, from := c.zones(), days.From
	for day := days.From; day < days.To; day++ {
		if !foldsOn(day, zones) {
			continue
		}
		if from < day {
			out = append(out, c.periods(scheduling.Days{From: from, To: day}, c.opts.Quirks.MaxDays)...)
		}
		fold := c.periods(scheduling.Days{From: day, To: day + 1}, 1)[0]
		fold.from, fold.to, fold.every = fold.from.Add(-foldMargin), fold.to.Add(foldMargin), true
		folds, from = append(folds, fold), day+1
	}
	if from < days.To {
		out = append(out, c.periods(scheduling.Days{From: from, To: days.To}, c.opts.Quirks.MaxDays)...)
	}
	return append(folds, out...)
}
