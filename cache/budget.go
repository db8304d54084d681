package cache

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// How long what a node told of its calls to a source is taken to be so.
const (
	// BudgetLease is how long the calls of a node that died are counted. A node
	// that lives tells of them more often than that.
	BudgetLease = 10 * time.Second
	// BudgetSpare is how long a node may use what it was granted without asking.
	BudgetSpare = 100 * time.Millisecond

	budgetKnown = 10 * time.Minute // how long a node that makes no calls is known
	budgetPause = 15 * time.Minute // the longest that a source is left alone
)

// Budget is what may be asked of one source, by all nodes together: calls a
// second, at once and a day, in the order of the lanes (law 6). It is safe for
// concurrent use.
type Budget struct {
	store  *Store
	life   context.Context
	keys   []string
	script script
	lease  time.Duration
	spare  time.Duration
	most   time.Duration
}

// Budget gives that of a source. It asks Redis until life ends.
func (s *Store) Budget(life context.Context, source scheduling.SourceID) *Budget {
	k := s.keys.source(source)
	return &Budget{
		store: s, life: life, keys: []string{k.budget(), k.budgeted()}, script: script{"budget", redis.NewScript(budgetSource)},
		lease: BudgetLease, spare: BudgetSpare, most: s.options.BudgetWait,
	}
}

// Ask tells what a node does and wants, and gives what it may do. It takes no
// longer than redis.budget_wait.
//
// Errors: shedding: Redis did not answer in time.
func (b *Budget) Ask(r scheduling.BudgetReport) (scheduling.BudgetWord, error) {
	within, cancel := context.WithTimeout(b.life, b.most)
	defer cancel()
	list, err := b.store.run(within, b.script, b.keys, b.args(r)...).Int64Slice()
	if err != nil {
		return scheduling.BudgetWord{}, b.store.fault(err)
	}
	return budgetWord(list), nil
}

func (b *Budget) args(r scheduling.BudgetReport) []any {
	gone := 0
	if r.Gone {
		gone = 1
	}
	args := []any{
		r.Node, gone, b.lease.Milliseconds(), b.spare.Milliseconds(),
		budgetKnown.Milliseconds(), budgetPause.Milliseconds(), r.Rate, r.Places,
		r.Urgent, r.Lazy, r.Spare, r.Back,
		r.Spent, strconv.FormatFloat(r.Share, 'f', 6, 64), max(1, r.Recover.Milliseconds()), r.Pause.Milliseconds(), r.Known,
		int(r.Day.Day), r.Day.From.UnixMilli(), r.Day.To.UnixMilli(),
	}
	for _, most := range r.Day.Most {
		args = append(args, most)
	}
	for _, n := range r.Waiting {
		args = append(args, min(n, mostAsked))
	}
	return append(args, r.Number, r.Day.Spent)
}

// mostAsked bounds what one answer grants of a lane, and so how long Redis is
// busy with it.
const mostAsked = 64

func budgetWord(list []int64) scheduling.BudgetWord {
	w := scheduling.BudgetWord{Now: time.UnixMilli(list[0]).UTC(), Another: list[1] == 1}
	if w.Another {
		return w
	}
	w.Share = float64(list[2]) / 1e6
	w.Pause = time.Duration(list[3]) * time.Millisecond
	w.Places, w.Others, w.Nodes = int(list[4]), int(list[5]), int(list[6])
	w.Wait = time.Duration(list[7]) * time.Microsecond
	w.Spent, w.Spare = int(list[8]), int(list[9])
	for i := range w.Granted {
		w.Granted[i] = int(list[10+i])
	}
	return w
}
