package cache_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// asking is a report of a node that never lacks tokens.
func asking(node string, places int, waiting ...int) scheduling.BudgetReport {
	now := time.Now()
	r := scheduling.BudgetReport{
		Node: node, Number: int(reports.Add(1)), Known: 1, Rate: 10_000, Places: places, Share: 1, Recover: time.Minute,
		Day: scheduling.BudgetDay{Day: scheduling.DayOf(now, time.UTC), From: now.Add(-time.Hour), To: now.Add(time.Hour)},
	}
	copy(r.Waiting[:], waiting)
	return r
}

var reports atomic.Int64

func sum(list [scheduling.Lanes]int) (n int) {
	for _, one := range list {
		n += one
	}
	return n
}

func TestLaw6AnEmptiedRedisGoesOnWithTheDayWhereTheNodesKnowItToBe(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b, c := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried(), client(t, server.URL())
		spent, granted := map[string]int{}, 0
		ask := func(node string, change ...func(*scheduling.BudgetReport)) scheduling.BudgetWord {
			r := asking(node, 4, 0, 0, 0, 0, 1)
			r.Day.Most, r.Day.Spent = [...]int{0, 10, 9, 8, 8}, spent[node]
			for _, bend := range change {
				bend(&r)
			}
			got, err := b.Ask(r)
			must(t, err)
			spent[node] = got.Spent
			granted += sum(got.Granted)
			return got
		}
		for i := range 14 {
			if i == 7 { // the one that was told last asks first
				must(t, c.FlushAll(t.Context()).Err())
			}
			ask([]string{"one", "two"}[i/7^i%2])
		}
		if granted != 8 {
			t.Errorf("%d calls were granted of 8", granted)
		}
		// Where a node is known, its word of before counts no more than the count does.
		if got := ask("one", func(r *scheduling.BudgetReport) { r.Day.Spent = 99 }); got.Spent != 8 {
			t.Errorf("%d spent", got.Spent)
		}
		must(t, c.FlushAll(t.Context()).Err())
		next := func(r *scheduling.BudgetReport) { r.Day.Day, r.Day.Spent = r.Day.Day+1, 0 }
		if got := ask("one", next); got.Spent != 1 {
			t.Errorf("%d spent of the next day", got.Spent)
		}
		if got := ask("two", func(r *scheduling.BudgetReport) { r.Day.Spent = 8 }); got.Spent != 2 {
			t.Errorf("a day gone by counts: %d spent", got.Spent)
		}
	})
}

func TestPlacesOfANodeThatDiedComeBackWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried()
		got, err := b.Ask(asking("dead", 4, 4))
		must(t, err)
		if sum(got.Granted) != 4 {
			t.Fatalf("%+v", got)
		}
		if got, err = b.Ask(asking("alive", 4, 3)); err != nil || sum(got.Granted) != 0 || got.Others != 4 || got.Nodes != 2 {
			t.Fatalf("%+v %v", got, err)
		}
		// As if it had told that longer than a lease ago, and longer than it is known.
		c := client(t, server.URL())
		key := "slotgate:{s:" + string(source) + "}:budgeted"
		record := c.HGet(t.Context(), key, "dead").Val()
		_, rest, _ := strings.Cut(record, " ")
		must(t, c.HSet(t.Context(), key, "dead", fmt.Sprintf("%d %s", time.Now().Add(-61*time.Minute).UnixMilli(), rest)).Err())
		if got, err = b.Ask(asking("alive", 4, 3)); err != nil || sum(got.Granted) != 3 || got.Nodes != 1 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestAnEmptiedRedisGrantsEachNodeItsPartUntilAllHaveToldWhatTheyDo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried()
		one := asking("one", 6, 6)
		one.Known = 3 // it has calls of its own under way no more; the others may have
		got, err := b.Ask(one)
		if err != nil || sum(got.Granted) > 2 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestOfADayEachLaneHasItsPart(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried()
		r := asking("one", 100, 3, 3, 3, 3, 3)
		r.Day.Most = [...]int{0, 10, 9, 8, 8}
		granted := [scheduling.Lanes]int{}
		for range 4 {
			got, err := b.Ask(r)
			must(t, err)
			for i, n := range got.Granted {
				granted[i] += n
			}
			r.Waiting[0]++ // others that book
		}
		if all := sum(granted); granted[3]+granted[4] > 2 || all < 12 || granted[0] != 3+4+5+6 {
			t.Errorf("%v of %d", granted, all)
		}
		// The next day begins anew, and a node whose clock is behind does not bring
		// the old one back.
		tomorrow := asking("one", 100, 0, 0, 0, 0, 3)
		tomorrow.Day.Day++
		tomorrow.Day.Most = r.Day.Most
		got, err := b.Ask(tomorrow)
		if err != nil || got.Granted[4] != 3 || got.Spent != 3 {
			t.Errorf("%+v %v", got, err)
		}
		if got, err = b.Ask(r); err != nil || got.Spent < 3 || got.Spent > 30 {
			t.Errorf("%+v %v", got, err)
		}
		wrong := r
		wrong.Day.From, wrong.Day.To = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		if got, err = b.Ask(wrong); err != nil || !got.Another || sum(got.Granted) != 0 || time.Since(got.Now).Abs() > time.Hour {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// The client may send a report again whose answer was lost.
func TestAReportThatComesTwiceGivesBackOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried()
		r := asking("one", 10)
		r.Spent = 100
		for range 3 {
			got, err := b.Ask(r)
			if err != nil || got.Spent != 100 {
				t.Errorf("%+v %v", got, err)
			}
		}
		r.Number, r.Spent, r.Back = r.Number+1, 0, 10
		for range 3 {
			got, err := b.Ask(r)
			if err != nil || got.Spent != 90 {
				t.Errorf("%+v %v", got, err)
			}
		}
	})
}

func TestWhatOneNodeFoundOutHoldsForAll(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried()
		told := asking("one", 10)
		told.Pause, told.Share, told.Recover = 844*time.Second, 0.5, 1000*time.Hour
		_, err := b.Ask(told)
		must(t, err)
		other := asking("two", 10, 3)
		other.Recover = told.Recover
		got, err := b.Ask(other)
		if err != nil || sum(got.Granted) != 0 || got.Pause < 700*time.Second || got.Share > 0.51 || got.Places != 5 {
			t.Errorf("%+v %v", got, err)
		}
		other.Pause = time.Second // a shorter one ends no longer one
		if got, err = b.Ask(other); err != nil || got.Pause < 700*time.Second {
			t.Errorf("%+v %v", got, err)
		}
		other.Pause = 400 * time.Hour
		if got, err = b.Ask(other); err != nil || got.Pause > 15*time.Minute {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// A pause is no time in which a source showed that it bears more.
func TestAShareDoesNotGrowInAPause(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := open(t, server.URL(), patient).Budget(t.Context(), source).Unhurried()
		told := asking("one", 10)
		told.Pause, told.Share, told.Recover = time.Minute, 0.5, time.Millisecond
		_, err := b.Ask(told)
		must(t, err)
		other := asking("two", 10)
		other.Recover = told.Recover
		if got, err := b.Ask(other); err != nil || got.Share != 0.5 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// However nodes ask, they are granted no more calls than the rate allows, by the
// clock that all share; what was granted and given back is no further call.
func TestTheRateIsKeptHoweverNodesAsk(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	lives := 0
	rapid.Check(t, func(rt *rapid.T) {
		lives++
		b := open(t, server.URL(), patient).Budget(t.Context(), scheduling.SourceID(fmt.Sprint("rate-", lives))).Unhurried()
		rate := float64(rapid.IntRange(1, 500).Draw(rt, "rate"))
		places := rapid.IntRange(3, 20).Draw(rt, "places")
		spare := map[string]int{}
		calls := 0
		var began time.Time
		for i := range rapid.IntRange(5, 40).Draw(rt, "asks") {
			node := fmt.Sprint("n", rapid.IntRange(1, 3).Draw(rt, "node"))
			r := asking(node, places, 0, 0, rapid.IntRange(0, 3).Draw(rt, "reads"), 0, rapid.IntRange(0, 30).Draw(rt, "prefetch"))
			r.Rate, r.Spare = rate, rapid.IntRange(0, 5).Draw(rt, "spare")
			used := rapid.IntRange(0, spare[node]).Draw(rt, "used")
			calls += used
			r.Back = spare[node] - used
			got, err := b.Ask(r)
			if err != nil {
				rt.Fatal(err)
			}
			if i == 0 {
				began = got.Now
			}
			spare[node] = got.Spare
			calls += sum(got.Granted)
			out := 0
			for _, n := range spare {
				out += n
			}
			burst := max(float64(places), rate/10+1)
			if most := burst + rate*(got.Now.Sub(began).Seconds()+0.002); float64(calls+out) > most+1 {
				rt.Fatalf("%d calls and %d spare ones after %v, at %v a second", calls, out, got.Now.Sub(began), rate)
			}
		}
	})
}

// patient waits for Redis for as long as a slow machine needs.
func patient(o *cache.Options) { o.BudgetWait = time.Minute }

// line is the naive budget: all calls that wait stand in lines, one a lane.
type line struct {
	places int
	busy   map[string]*[scheduling.Lanes]int
	lines  [scheduling.Lanes][]string // nodes, in the order in which they were served
	wait   map[string]*[scheduling.Lanes]int
	passed [scheduling.Lanes]int
}

// used is how many places are taken, and how many of them by patient lanes.
func (l *line) used() (all, lazy int) {
	for _, lanes := range l.busy {
		all += sum(*lanes)
		lazy += lanes[3] + lanes[4]
	}
	return all, lazy
}

// ask is what a node is granted: all are served in turn, and what is not its own
// is left to be fetched.
func (l *line) ask(node string) (granted [scheduling.Lanes]int) {
	all, lazy := l.used()
	room := l.places
	if room >= 3 {
		room--
	}
	lines, passed, wait := [scheduling.Lanes][]string{}, l.passed, map[string][scheduling.Lanes]int{}
	for i := range lines {
		lines[i] = slices.Clone(l.lines[i])
	}
	for name, w := range l.wait {
		wait[name] = *w
	}
	for all < l.places {
		turn := -1
		for lane := range scheduling.Lanes {
			if len(lines[lane]) == 0 || lane >= scheduling.Patient && lazy >= room {
				continue
			}
			if passed[lane] >= 19 {
				turn = lane
				break
			}
			if turn < 0 {
				turn = lane
			}
		}
		if turn < 0 {
			break
		}
		who := lines[turn][0]
		w := wait[who]
		w[turn]--
		wait[who] = w
		step := func(line []string, left int) []string {
			line = slices.DeleteFunc(slices.Clone(line), func(n string) bool { return n == who })
			if left > 0 {
				line = append(line, who)
			}
			return line
		}
		lines[turn] = step(lines[turn], w[turn])
		for lane := turn + 1; lane < scheduling.Lanes; lane++ {
			if len(lines[lane]) > 0 {
				passed[lane]++
				if who == node {
					l.passed[lane]++
				}
			}
		}
		passed[turn] = 0
		all++
		if turn >= scheduling.Patient {
			lazy++
		}
		if who == node {
			l.passed[turn] = 0
			granted[turn]++
			l.wait[who][turn]--
			l.lines[turn] = step(l.lines[turn], l.wait[who][turn])
		}
	}
	for lane, n := range granted {
		l.busy[node][lane] += n
	}
	return granted
}

// The script against the naive one: any nodes, any lanes, in any order.
func TestTheSharedBudgetIsTheNaiveOne(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	lives := 0
	rapid.Check(t, func(rt *rapid.T) {
		lives++
		b := open(t, server.URL(), patient).Budget(t.Context(), scheduling.SourceID(fmt.Sprint("naive-", lives))).Unhurried()
		l := &line{places: rapid.IntRange(1, 8).Draw(rt, "places"), busy: map[string]*[scheduling.Lanes]int{}, wait: map[string]*[scheduling.Lanes]int{}}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			node := fmt.Sprint("n", rapid.IntRange(1, 3).Draw(rt, "node"))
			if l.busy[node] == nil {
				l.busy[node], l.wait[node] = &[scheduling.Lanes]int{}, &[scheduling.Lanes]int{}
			}
			lane := rapid.IntRange(0, scheduling.Lanes-1).Draw(rt, "lane")
			if rapid.Bool().Draw(rt, "ends") && l.busy[node][lane] > 0 {
				l.busy[node][lane]--
			} else {
				if l.wait[node][lane] == 0 {
					l.lines[lane] = append(l.lines[lane], node)
				}
				l.wait[node][lane] += rapid.IntRange(1, 3).Draw(rt, "calls")
			}
			r := asking(node, l.places, l.wait[node][:]...)
			r.Lazy = l.busy[node][3] + l.busy[node][4]
			r.Urgent = sum(*l.busy[node]) - r.Lazy
			got, err := b.Ask(r)
			if err != nil {
				rt.Fatal(err)
			}
			if want := l.ask(node); got.Granted != want {
				rt.Fatalf("%s is granted %v, want %v; %+v", node, got.Granted, want, got)
			}
			all, lazy := l.used()
			if all > l.places || l.places >= 3 && lazy > l.places-1 {
				rt.Fatalf("%d calls at once, %d of them lazy", all, lazy)
			}
		}
	})
}
