package upstream

import (
	"crypto/rand"
	"math"
	"time"

	"golang.org/x/time/rate"

	"slotgate/scheduling"
)

// SharedBudget is what may be asked of one source by all nodes together.
type SharedBudget interface {
	// Ask tells what this node does and wants, and gives what it may do. It
	// answers soon, were it with an error: calls wait for it.
	Ask(report scheduling.BudgetReport) (scheduling.BudgetWord, error)
}

// The numbers of sharing.
const (
	spareFor   = 100 * time.Millisecond // what was granted lapses, unless it is used or asked for again
	beatEvery  = 3 * time.Second        // a node whose calls take long tells that it lives
	pollUrgent = 10 * time.Millisecond  // somebody waits for a place that other nodes have
	pollLazy   = 50 * time.Millisecond  // nobody does, but a call
	retryEvery = time.Second            // while the store is away
	mostSpare  = 64
)

// joint is the part of a budget that is shared with other nodes. The node tells
// the store what it does and how many of its calls wait in which lane, and is
// granted calls: those whose turn it is among all nodes. So that not each call
// costs a question, places of patient lanes and a few tokens stay with the node
// for spareFor; what somebody waits for is asked for at once and given back at
// once. While the store does not answer, the node goes by its own part of the
// limits. The budget's mutex guards it.
type joint struct {
	with SharedBudget
	node string
	own  float64 // limits.own_share

	wake    chan struct{}
	running bool      // talk runs
	closing bool      // the client is not used any more
	gone    bool      // and the store was told so
	soon    bool      // ask at once
	listed  bool      // the store was told that somebody waits
	next    time.Time // ask then, as long as somebody waits
	asked   time.Time // when it was done last
	reports int
	heardOf int // reports that were answered, or not in time

	alone bool // the store does not answer
	retry time.Time
	owed  owed
	wrong int // answers in a row that were of another day

	held      int // places that are ours, used or not
	heldLazy  int
	tokens    int // calls that may be made until lapse
	lapse     time.Time
	places    int // of all nodes
	others    int
	nodes     int
	tellShare bool // what we found out and the store does not know yet
	tellPause bool
	offset    time.Duration // of the store's clock from ours
}

func newJoint(with SharedBudget, own float64) *joint {
	return &joint{with: with, node: rand.Text(), own: own, wake: make(chan struct{}, 1), nodes: 1}
}

// part is this node's part of the limits when it goes by itself.
func (j *joint) part() float64 {
	switch {
	case j == nil || !j.alone:
		return 1
	case j.own > 0:
		return j.own
	default:
		return 1 / float64(max(1, j.nodes))
	}
}

// serveJoint lets those go for whom there is a place that was left to us; for the
// others the store is asked.
func (b *budget) serveJoint() {
	if b.serveSpare() {
		b.joint.soon = true
		b.askAgain()
	}
}

// serveSpare is true when somebody still waits who might go.
func (b *budget) serveSpare() bool {
	j := b.joint
	for {
		rank := b.next(b.jointPlaces())
		switch {
		case rank < 0:
			return false
		case !j.spare(b, lanes[rank]):
			return true
		}
		j.tokens--
		b.begin(rank)
	}
}

func (b *budget) jointPlaces() int {
	if b.joint.places > 0 {
		return b.joint.places
	}
	return b.places
}

// spare tells whether a call of the lane may follow without asking. With less
// than three places there is none that patient lanes leave free, and so each is
// asked for anew: others may need it more.
func (j *joint) spare(b *budget, l lane) bool {
	return j.tokens > 0 && j.places >= 3 && b.busy < j.held && (!l.patient() || b.lazy < j.heldLazy) && time.Now().Before(j.lapse)
}

// vacated is told after a place became free.
func (b *budget) vacated(l lane) {
	j := b.joint
	if j == nil || j.alone {
		return
	}
	if b.waiting() == 0 && (!l.patient() || j.places < 3) {
		j.soon = true
	}
	b.askAgain()
}

func (b *budget) waiting() int {
	n := 0
	for _, queue := range b.queues {
		n += len(queue)
	}
	return n
}

// askAgain makes sure that whoever talks to the store sees what changed.
func (b *budget) askAgain() {
	j := b.joint
	switch {
	case j == nil || j.gone:
	case !j.running:
		j.running = true
		go b.talk()
	default:
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

// talk talks to the store as long as there is something to talk about.
func (b *budget) talk() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		b.mu.Lock()
		at, more := b.due()
		wait := time.Until(at)
		if !more {
			b.joint.running = false
			b.mu.Unlock()
			return
		}
		if wait <= 0 {
			report := b.report()
			b.mu.Unlock()
			word, err := b.joint.with.Ask(report)
			b.mu.Lock()
			b.heard(report, word, err)
			b.mu.Unlock()
			continue
		}
		b.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-b.joint.wake:
		}
	}
}

// due is when to ask next; more is false when there is no reason to.
func (b *budget) due() (at time.Time, more bool) {
	j := b.joint
	waiting := b.waiting()
	idle := b.busy == 0 && waiting == 0
	switch {
	case j.gone, j.alone && idle && (j.closing || b.day.limit == 0 || !j.owed.any(b.day.day)):
		return at, false
	case j.alone:
		return j.retry, true
	case j.soon, j.owed.any(b.day.day), j.tellPause, j.tellShare, j.closing && idle, j.held > b.busy && j.places < 3:
		return at, true // the zero time: at once
	case j.held == 0 && waiting == 0:
		return at, j.listed // or others would wait for our turn
	}
	at = j.asked.Add(beatEvery)
	if waiting > 0 && j.next.Before(at) {
		at = j.next
	}
	if j.held > b.busy && j.lapse.Before(at) {
		at = j.lapse
	}
	return at, true
}

// report is what the store is told. What was left to us is given back with it.
func (b *budget) report() scheduling.BudgetReport {
	j, now := b.joint, time.Now()
	j.soon, j.asked = false, now
	j.reports++
	day := b.day.report(b.today())
	number, spent := j.owed.tell(j.reports, day.Day)
	day.Spent = max(0, b.day.spent-spent-j.owed.on(day.Day))
	r := scheduling.BudgetReport{
		Node: j.node, Number: number, Known: j.nodes, Rate: b.rate, Places: b.places, Urgent: b.busy - b.lazy, Lazy: b.lazy,
		Back: j.tokens, Spent: spent, Share: 1, Recover: b.press.recover, Day: day,
	}
	j.listed = false
	for rank, queue := range b.queues {
		r.Waiting[rank] = len(queue)
		j.listed = j.listed || len(queue) > 0
	}
	if r.Lazy+r.Waiting[scheduling.Patient]+r.Waiting[scheduling.Patient+1] > 0 {
		r.Spare = min(mostSpare, int(b.rate*b.press.at(now)*spareFor.Seconds()))
	}
	if j.tellShare {
		r.Share = b.press.at(now)
	}
	if j.tellPause {
		r.Pause = max(0, b.until.Sub(b.now()))
	}
	r.Gone = j.closing && b.busy == 0 && b.waiting() == 0
	j.gone = r.Gone
	j.tokens, j.tellShare, j.tellPause = 0, false, false
	return r
}

// heard puts the store's word into effect.
func (b *budget) heard(r scheduling.BudgetReport, word scheduling.BudgetWord, err error) {
	j := b.joint
	j.heardOf = j.reports
	if err == nil && word.Another {
		j.wrong++
	}
	if err != nil || j.wrong > 2 || r.Gone { // who was left behind by the end goes alone as well
		b.goAlone(r)
		return
	}
	j.offset = word.Now.Sub(b.now())
	if word.Another { // the store's clock says what day it is
		j.owed.back(r)
		j.soon = true
		j.tellShare, j.tellPause = j.tellShare || r.Share < 1, j.tellPause || r.Pause > 0
		return
	}
	b.metrics.asked(true)
	j.alone, j.wrong = false, 0
	j.places, j.others = word.Places, word.Others
	b.countNodes(word.Nodes)
	b.day.set(r.Day, word.Spent+j.owed.on(r.Day.Day))
	if !j.tellShare {
		b.press.set(word.Share, time.Now())
	}
	b.take(r, word)
	b.refuseSpent()
	b.obeyPause(word.Pause)
	again := b.serveSpare()
	if j.soon = j.soon && again; !again {
		j.next = j.asked.Add(beatEvery)
		return
	}
	j.next = time.Now().Add(b.patienceWith(word))
}

// take begins the calls that were granted. Whose caller has left meanwhile stays
// with us for a moment.
func (b *budget) take(r scheduling.BudgetReport, word scheduling.BudgetWord) {
	j := b.joint
	j.held, j.heldLazy = r.Urgent+r.Lazy, r.Lazy
	j.tokens, j.lapse = word.Spare, j.asked.Add(spareFor)
	for rank, n := range word.Granted {
		j.held += n
		if rank >= scheduling.Patient {
			j.heldLazy += n
		}
		for range n {
			if len(b.queues[rank]) > 0 {
				b.begin(rank)
			} else {
				j.tokens++
			}
		}
	}
	j.held = max(j.held, b.busy)
}

// patienceWith is how long to wait before asking again for those who still wait.
func (b *budget) patienceWith(word scheduling.BudgetWord) time.Duration {
	switch {
	case word.Wait > 0:
		return max(word.Wait, time.Millisecond)
	case word.Others == 0 && b.busy >= word.Places:
		return beatEvery // whoever ends a call asks
	case b.waiting() > len(b.queues[scheduling.Patient])+len(b.queues[scheduling.Patient+1]):
		return pollUrgent
	default:
		return pollLazy
	}
}

// obeyPause heeds what the source told another node.
func (b *budget) obeyPause(pause time.Duration) {
	if pause <= 0 {
		return
	}
	if until := b.now().Add(pause); until.After(b.until.Add(10 * time.Millisecond)) {
		b.until = until
		b.rest()
	}
	for rank := range lanes {
		b.dismiss(rank, nil)
	}
}

// countNodes shares what revalidating may take among the nodes.
func (b *budget) countNodes(nodes int) {
	nodes = max(1, nodes)
	if nodes != b.joint.nodes && b.spare != nil {
		b.spare.SetLimit(b.spareRate / rate.Limit(nodes))
	}
	b.joint.nodes = nodes
}

// goAlone goes by the own part of the limits from now on.
func (b *budget) goAlone(r scheduling.BudgetReport) {
	j, now := b.joint, time.Now()
	b.metrics.asked(r.Gone)
	if !j.alone {
		b.tokens, b.filled = math.Min(1, b.tokens), now
	}
	j.alone, j.retry, j.wrong = true, now.Add(retryEvery), 0
	j.owed.unheard(r)
	j.held, j.heldLazy, j.tokens = 0, 0, 0
	j.tellShare, j.tellPause = b.press.at(now) < 1, b.until.After(b.now())
	b.serve()
}

// close gives everything back when the last call has ended.
func (b *budget) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.joint != nil && (b.joint.running || !b.joint.asked.IsZero()) {
		b.joint.closing = true
		b.askAgain()
	}
}
