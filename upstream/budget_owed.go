package upstream

import "slotgate/scheduling"

// owed counts the calls of a day that were made while the store was away, and
// that it is told of when it is back. Those of a day gone by are forgotten.
//
// What was told without an answer may have come to it. It is told again under the
// number that it had, which counts once, and what came after it later.
type owed struct {
	day    scheduling.Day
	calls  int
	number int // of the report that was not answered; 0: none
	told   int // calls in it
}

// add counts calls of a day.
func (o *owed) add(day scheduling.Day, calls int) {
	if o.turn(day) {
		o.calls += calls
	}
}

// turn is false for a day that is over.
func (o *owed) turn(day scheduling.Day) bool {
	if day > o.day {
		*o = owed{day: day}
	}
	return day == o.day
}

// on is how many calls of the day are still to be told.
func (o *owed) on(day scheduling.Day) int {
	if day != o.day {
		return 0
	}
	return o.calls
}

// any tells whether there are such.
func (o *owed) any(day scheduling.Day) bool { return day == o.day && o.calls+o.told > 0 }

// tell gives the calls that the next report owes, and its number: next, or that of
// the report that was not answered.
func (o *owed) tell(next int, day scheduling.Day) (number, calls int) {
	if !o.turn(day) {
		return next, 0
	}
	if o.number > 0 {
		number, calls = o.number, o.told
		o.number, o.told = 0, 0
		return number, calls
	}
	calls, o.calls = o.calls, 0
	return next, calls
}

// back takes back what the store did not take in.
func (o *owed) back(r scheduling.BudgetReport) { o.add(r.Day.Day, r.Spent) }

// unheard keeps what was told in a report that was not answered.
func (o *owed) unheard(r scheduling.BudgetReport) {
	if r.Spent > 0 && o.turn(r.Day.Day) {
		o.number, o.told = r.Number, r.Spent
	}
}

// addAlone counts a call that the store was not asked for.
func (b *budget) addAlone() {
	b.day.add(1, b.today())
	if b.joint != nil {
		b.joint.owed.add(b.day.day, 1)
	}
}
