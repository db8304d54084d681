package prefetch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// spoil makes the records of these slots unusable in every answer; without
// names nobody can say which slots they were.
func (e *ehr) spoil(named bool, bad func(id string) bool) {
	e.act = func(got *scheduling.Fetched) error {
		for key, slots := range got.Windows {
			var good []scheduling.Slot
			for _, slot := range slots {
				switch {
				case !bad(slot.ID):
					good = append(good, slot)
					continue
				case named:
					got.Doubtful = append(got.Doubtful, slot.ID)
				default:
					got.Nameless++
				}
				got.Unusable.Add(scheduling.EndsBeforeStart, 1)
			}
			if got.Windows[key] = good; len(good) == 0 {
				delete(got.Windows, key)
			}
		}
		return nil
	}
}

func all(string) bool { return true }

func TestLaw8SlotsThatBecomeNonsenseAreNotDeleted(t *testing.T) {
	t.Parallel()
	for name, named := range map[string]bool{"their ids can be read": true, "nobody can name them": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, []string{"s1", "s2"}, func(t *testing.T, store *memory, e *ehr) {
				o := options("a")
				o.Source.MaxAge = 2 * time.Hour
				start(t, store, Job{o, e})
				synctest.Wait()
				e.set(func() { e.spoil(named, all) })
				puts := store.puttings()
				after(90 * time.Minute)
				st := store.status("a")
				if got := store.open("a"); got != 56 || store.puttings() != puts {
					t.Errorf("%d slots are known, want all 56; %d answers were put in place", got, store.puttings()-puts)
				}
				if !st.Incomplete || st.Emptied || st.Unusable[scheduling.EndsBeforeStart] != 56 {
					t.Errorf("status %+v: want incomplete, and all counted as unusable", st)
				}
				if len(e.since(time.Now().Add(-time.Minute))) > 8 {
					t.Error("what cannot be used is asked for in ever smaller parts")
				}
				after(2 * time.Hour)
				if got, st := store.open("a"), store.status("a"); got != 0 || st.Incomplete {
					t.Errorf("when they are too old %d are known, status %+v: want none, and complete", got, st)
				}
			})
		})
	}
}

func TestLaw8AnswersThatAreWellAgainArePutInPlace(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.set(func() { e.spoil(true, all) })
		after(5 * time.Minute)
		e.set(func() { e.act, e.slots = nil, nil })
		after(45 * time.Minute)
		if got, st := store.open("a"), store.status("a"); got != 0 || st.Incomplete {
			t.Errorf("%d slots are known, status %+v: want what the source says", got, st)
		}
	})
}

func TestLaw8SlotOfOneUnusableRecordIsKeptUntilItIsTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, e := newMemory(), newEHR(0)
		o := options("a")
		o.Source.MaxAge = time.Hour
		e.setToday(30)
		start(t, store, Job{o, e})
		synctest.Wait()
		e.set(func() { e.spoil(true, func(id string) bool { return id == "7" || id == "never known" }) })
		e.setToday(29) // the last one was taken
		after(30 * time.Minute)
		if got, st := store.open("a"), store.status("a"); got != 29 || !st.Incomplete {
			t.Errorf("%d slots are known, incomplete %t: want the 28 good ones and the one in doubt", got, st.Incomplete)
		}
		after(time.Hour)
		if got, st := store.open("a"), store.status("a"); got != 28 || st.Incomplete {
			t.Errorf("%d slots are known, incomplete %t: want the 28 good ones alone", got, st.Incomplete)
		}
	})
}

func TestLaw12SourceThatNeverHadAnythingUsableIsLoadedWithNothing(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.spoil(true, all)
		start(t, store, Job{options("a"), e})
		synctest.Wait()
		if st := store.status("a"); st.Incomplete || st.Loaded.IsZero() || st.Unusable[scheduling.EndsBeforeStart] != 28 {
			t.Errorf("status %+v: want loaded and complete", st)
		}
	})
}

func TestLaw8BookingsBesideUnusableRecordsTakeTheirSlots(t *testing.T) {
	t.Parallel()
	for name, named := range map[string]bool{"with ids": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, e := newMemory(), newEHR(0)
				bad := map[string]bool{}
				for i := range 20 {
					bad[fmt.Sprint(i)] = true
				}
				e.spoil(named, func(id string) bool { return bad[id] })
				e.setToday(60) // 20 were never any good
				start(t, store, Job{options("a"), e})
				synctest.Wait()
				e.setToday(45)
				after(61 * time.Second)
				if got, st := store.open("a"), store.status("a"); got != 25 || st.Incomplete {
					t.Errorf("%d slots are known, incomplete %t: want 25 and complete", got, st.Incomplete)
				}
			})
		})
	}
}
