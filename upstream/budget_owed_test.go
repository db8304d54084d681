package upstream

import (
	"errors"
	"sync"
	"testing"
	"time"

	"slotgate/scheduling"
)

// ledger is a store that counts calls as Redis does, and is away at times.
type ledger struct {
	mu      sync.Mutex
	away    bool // it is not asked
	mute    int  // so many answers get lost
	last    int  // number of the last report
	told    int  // calls that it was told of
	granted int
	known   int // what the latest report knew of
}

func (s *ledger) Ask(r scheduling.BudgetReport) (scheduling.BudgetWord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return scheduling.BudgetWord{}, errors.New("away")
	}
	if r.Number != s.last {
		s.told += r.Spent
	}
	s.last, s.known = r.Number, r.Day.Spent
	if s.mute > 0 {
		s.mute--
		return scheduling.BudgetWord{}, errors.New("the answer was lost")
	}
	w := scheduling.BudgetWord{Now: time.Now(), Share: 1, Places: r.Places, Nodes: 1, Granted: r.Waiting}
	for _, n := range r.Waiting {
		s.granted += n
	}
	w.Spent = s.told + s.granted
	return w, nil
}

func (s *ledger) set(change func(*ledger)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func TestLaw6CallsMadeWhileTheStoreIsAwayAreToldWhenItIsBack(t *testing.T) {
	t.Parallel()
	for name, mute := range map[string]int{"and answers": 0, "though its first answers are lost": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, "http://127.0.0.1:1", func(o *Options) {
				o.Timezone = middayZone(t)
				o.Limits.Day, o.Limits.DayPrefetch, o.Limits.Rate = 100, 0.8, 10_000
			})
			with, b, made := &ledger{}, c.budget, 0
			b.joint = newJoint(with, 0)
			enter := func() (ok bool) {
				err := b.enter(t.Context(), lanePrefetch)
				if err == nil {
					made++
					b.leave(lanePrefetch)
				} else if !errors.Is(err, errDaySpent) {
					t.Fatal(err)
				}
				return err == nil
			}
			enter()
			for range 3 {
				with.set(func(s *ledger) { s.away = true })
				for range 30 {
					enter()
				}
				with.set(func(s *ledger) { s.away, s.mute = false, mute })
				poll(t, func() bool {
					enter()
					return c.Budget()["shared"] == true && allTold(b)
				})
				with.set(func(s *ledger) {
					if s.told+s.granted != made {
						t.Errorf("%d calls made, the store knows of %d and granted %d", made, s.told, s.granted)
					}
				})
				if left := c.Allowance().Left; left != 80-made {
					t.Errorf("%d calls made of 80, %d left", made, left)
				}
			}
			if made != 80 {
				t.Errorf("%d calls made of 80", made)
			}
		})
	}
}

// allTold tells whether the store knows of all calls.
func allTold(b *budget) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return answered(b.joint) && b.joint.owed.calls+b.joint.owed.told == 0 && b.waiting() == 0
}

func TestCallsOfADayGoneByAreNotOwed(t *testing.T) {
	t.Parallel()
	on := func(day scheduling.Day, spent int) scheduling.BudgetReport {
		return scheduling.BudgetReport{Number: 7, Spent: spent, Day: scheduling.BudgetDay{Day: day}}
	}
	var o owed
	o.add(10, 3)
	if number, calls := o.tell(7, 10); number != 7 || calls != 3 {
		t.Errorf("told %d as of %d", calls, number)
	}
	o.unheard(on(10, 3))
	o.add(10, 2)
	if number, calls := o.tell(8, 10); number != 7 || calls != 3 || o.on(10) != 2 {
		t.Errorf("told again: %d as of %d, %d later", calls, number, o.on(10))
	}
	o.unheard(on(10, 3))
	if number, calls := o.tell(9, 11); number != 9 || calls != 0 || o.any(10) || o.any(11) {
		t.Errorf("on the next day %d are told as of %d", calls, number)
	}
	o.add(11, 1)
	if o.unheard(on(10, 3)); o.on(11) != 1 || o.told != 0 {
		t.Errorf("%+v", o)
	}
	if o.back(on(11, 4)); o.on(11) != 5 {
		t.Errorf("%+v", o)
	}
}
