package prefetch

import "slotgate/scheduling"

// reading is one look at a part of the plan: a list of scopes that are still to
// be asked for. A scope whose answer was cut is replaced in the list by its
// halves, by days first, then by schedules.
//
// That ends, because a day of one schedule cannot be split. It also ends early
// for a source that cuts every answer: after some hopeless ones in a row nothing
// is split until an answer is complete again.
type reading struct {
	rest     []scheduling.Scope
	patience int // hopeless answers in a row before we stop to split

	hopeless int // cut answers in a row that could not be split
	cuts     int // scopes that stay unread
	before   int // open slots, before and after, of all scopes that were replaced
	after    int
	kept     int // known slots whose records could not be used
	nameless int
	unusable scheduling.Tally
	unmapped scheduling.Tally
}

func newReading(scope scheduling.Scope, patience int) *reading {
	return &reading{
		rest:     []scheduling.Scope{scope},
		patience: patience,
		unusable: scheduling.Tally{},
		unmapped: scheduling.Tally{},
	}
}

func (r *reading) over() bool { return len(r.rest) == 0 }

// last tells whether only one scope is left to be asked for.
func (r *reading) last() bool { return len(r.rest) == 1 }

// took notes that the answer for the first scope was put in place.
func (r *reading) took(got scheduling.Fetched, before int) {
	r.rest = r.rest[1:]
	r.hopeless = 0
	r.before += before
	r.after += got.Slots()
	r.nameless += got.Nameless
	r.tally(got)
}

// cut splits the first scope, whose answer was cut. If it cannot, the scope
// stays unread, and why says what the source said.
func (r *reading) cut(got scheduling.Fetched, schedules func() []string) (why string) {
	first, rest := r.rest[0], r.rest[1:]
	near, far, ok := split(first, schedules)
	if ok && r.hopeless < r.patience {
		r.rest = append([]scheduling.Scope{near, far}, rest...)
		return ""
	}
	r.rest = rest
	r.hopeless++
	return r.unread(got)
}

// giveUp leaves the first scope unread: to split it would not help.
func (r *reading) giveUp(got scheduling.Fetched) (why string) {
	r.rest = r.rest[1:]
	return r.unread(got)
}

func (r *reading) unread(got scheduling.Fetched) (why string) {
	r.cuts++
	r.tally(got)
	if got.Cut == "" {
		return "not said"
	}
	return got.Cut
}

// postpone moves the first scope, which failed, behind the others, so that one
// bad scope holds up none. One that took too long is halved if it spans days.
func (r *reading) postpone(slow bool) {
	first := r.rest[0]
	r.rest = append(r.rest[1:len(r.rest):len(r.rest)], first)
	if !slow {
		return
	}
	if near, far, ok := first.Days.Split(); ok {
		last := len(r.rest) - 1
		r.rest = append(r.rest[:last],
			scheduling.Scope{Days: near, Schedules: first.Schedules},
			scheduling.Scope{Days: far, Schedules: first.Schedules})
	}
}

func (r *reading) tally(got scheduling.Fetched) {
	r.unusable.Merge(got.Unusable)
	r.unmapped.Merge(got.Unmapped)
}

// split cuts a scope in two. All schedules on one day are split by name, which
// needs to know them.
func split(scope scheduling.Scope, schedules func() []string) (near, far scheduling.Scope, ok bool) {
	if near, far, ok = scope.Split(); ok || len(scope.Schedules) > 0 {
		return near, far, ok
	}
	return scheduling.Scope{Days: scope.Days, Schedules: schedules()}.Split()
}
