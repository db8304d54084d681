package ehrsim

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Faults of notifications. They strike what the server sends, not what it is
// asked; {"kind": "status", "status": 422, "path": "/Subscription"} refuses to
// take a Subscription.
const (
	FaultNoticeLost    FaultKind = "notice-lost"    // a notification of a change is not sent
	FaultNoticeLate    FaultKind = "notice-late"    // it is sent Delay later
	FaultNoticeBurst   FaultKind = "notice-burst"   // it is sent By times (2)
	FaultHeartbeatLost FaultKind = "heartbeat-lost" // a heartbeat is not sent
)

var noticeFaults = []FaultKind{FaultNoticeLost, FaultNoticeLate, FaultNoticeBurst, FaultHeartbeatLost}

// horizon is the time in which slots of a schedule have changed.
type horizon struct{ from, to time.Time }

// noticeDesk keeps the Subscriptions and sends what they ask for, one after
// another. It begins to work with the first.
type noticeDesk struct {
	srv *Server

	mu      sync.Mutex
	subs    map[string]*subscription
	order   []string
	count   int
	asked   []string           // whose channel is to be tried
	touched map[string]horizon // by schedule
	begun   bool

	wake    chan struct{}
	running sync.WaitGroup
}

func newNoticeDesk(s *Server) *noticeDesk {
	return &noticeDesk{srv: s, subs: map[string]*subscription{}, touched: map[string]horizon{}, wake: make(chan struct{}, 1)}
}

func (d *noticeDesk) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subs, d.order, d.asked, d.touched = map[string]*subscription{}, nil, nil, map[string]horizon{}
}

func (d *noticeDesk) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// ask has the channel of a Subscription tried.
func (d *noticeDesk) ask(id string) {
	d.mu.Lock()
	d.asked = append(d.asked, id)
	d.mu.Unlock()
	d.rouse()
}

// changed notes that slots of a schedule ("Schedule/x") that begin or end at
// these times are other than they were. It never blocks.
func (d *noticeDesk) changed(schedule string, from, to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.subs) == 0 {
		return
	}
	if to.Before(from) {
		from, to = to, from
	}
	known, ok := d.touched[schedule]
	if !ok {
		known = horizon{from, to}
	}
	if from.Before(known.from) {
		known.from = from
	}
	if to.After(known.to) {
		known.to = to
	}
	d.touched[schedule] = known
	d.rouse()
}

func (d *noticeDesk) begin(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun {
		return
	}
	d.begun = true
	d.running.Go(func() { d.run(context.WithoutCancel(ctx)) })
}

// run works until the server stops.
func (d *noticeDesk) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.running.Go(func() { <-d.srv.stopping; cancel() })
	var beats <-chan time.Time
	if every := d.srv.opts.Notify.Heartbeat; every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		beats = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats:
			d.beat(ctx)
		case <-d.wake:
			d.work(ctx)
		}
	}
}

// work tries channels, and sends what has changed.
func (d *noticeDesk) work(ctx context.Context) {
	d.mu.Lock()
	asked, touched := d.asked, d.touched
	d.asked, d.touched = nil, map[string]horizon{}
	d.mu.Unlock()
	for _, id := range asked {
		d.tryChannel(ctx, id)
	}
	for _, schedule := range slices.Sorted(maps.Keys(touched)) {
		if body := d.payload(schedule, touched[schedule]); body != nil {
			d.tell(ctx, body)
		}
	}
}

// tryChannel makes a Subscription active whose endpoint takes an empty
// notification.
func (d *noticeDesk) tryChannel(ctx context.Context, id string) {
	for _, sub := range d.those("requested") {
		if sub.ID != id {
			continue
		}
		status := "error"
		if d.send(ctx, sub, nil) {
			status = "active"
		}
		d.mu.Lock()
		d.become(id, status)
		d.mu.Unlock()
	}
}

// become gives a Subscription another status. The caller holds the lock.
func (d *noticeDesk) become(id, status string) {
	if sub := d.subs[id]; sub != nil {
		next := *sub
		next.Status, next.Version, next.inARow = status, sub.Version+1, 0
		next.resource = sub.resource.with("status", status, "meta").with("meta", d.srv.flavour.metaOf(next.Version, d.srv.clock.now()), "id")
		d.subs[id] = &next
	}
}

// lapse turns off what has come to its end. The caller holds the lock.
func (d *noticeDesk) lapse() {
	now := d.srv.clock.now()
	for id, sub := range d.subs {
		if !sub.End.IsZero() && !now.Before(sub.End) && sub.Status != "off" {
			d.become(id, "off")
		}
	}
}

// those are the Subscriptions of a status.
func (d *noticeDesk) those(status string) []subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lapse()
	var out []subscription
	for _, id := range d.order {
		if d.subs[id].Status == status {
			out = append(out, *d.subs[id])
		}
	}
	return out
}

func (d *noticeDesk) beat(ctx context.Context) {
	for _, sub := range d.those("active") {
		if _, lost := d.srv.faults.happens(FaultHeartbeatLost); !lost {
			d.send(ctx, sub, nil)
		}
	}
}

// tell sends a change to everybody, as the faults have it.
func (d *noticeDesk) tell(ctx context.Context, body object) {
	for _, sub := range d.those("active") {
		times := 1
		if burst, ok := d.srv.faults.happens(FaultNoticeBurst); ok {
			times = max(2, burst.By)
		}
		if _, lost := d.srv.faults.happens(FaultNoticeLost); lost {
			d.lose(sub.ID)
			continue
		}
		if late, ok := d.srv.faults.happens(FaultNoticeLate); ok {
			d.running.Go(func() {
				if wait(ctx, time.Duration(late.Delay)) {
					d.send(ctx, sub, body)
				}
			})
			continue
		}
		for range times {
			d.send(ctx, sub, body)
		}
	}
}

func (d *noticeDesk) lose(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sub := d.subs[id]; sub != nil {
		sub.Lost++
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// payload is the Schedule that is sent: who, and from when to when
// (argo-sched-notif: one actor).
func (d *noticeDesk) payload(ref string, when horizon) object {
	st := d.srv.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	id := strings.TrimPrefix(localRef(ref), "Schedule/")
	schedule := st.get("Schedule", id)
	if schedule == nil {
		return nil
	}
	actors := schedule.each("actor")
	if d.srv.opts.Dialect == Argonaut && len(actors) > 1 {
		actors = actors[:1]
	}
	zone := d.srv.zone
	for _, c := range st.calendars {
		if c.id == id {
			zone = c.zone
		}
	}
	f := d.srv.flavour
	return obj("resourceType", "Schedule", "id", id, "meta", obj("profile", list{guideExtension + "argo-sched-notif"}),
		"actor", actors, "planningHorizon", obj("start", f.instant(when.from, zone), "end", f.instant(when.to, zone)))
}

// sendTime bounds one notification.
const sendTime = 5 * time.Second

// send posts one notification, an empty one as a heartbeat, and tells whether it
// was taken.
func (d *noticeDesk) send(ctx context.Context, sub subscription, body object) bool {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	var data []byte
	media := ""
	if body != nil {
		media = d.srv.flavour.contentType(sub.xml)
		if data = appendJSON(nil, body); sub.xml {
			data = appendXML(nil, body)
		}
	}
	ok := post(ctx, sub, media, data)
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.subs[sub.ID]
	if known == nil || ctx.Err() != nil && !ok && d.stopped() {
		return ok
	}
	if ok {
		known.Sent++
		known.inARow = 0
		return true
	}
	known.Failed++
	if known.inARow++; known.inARow >= maxFailures {
		d.become(sub.ID, "error")
	}
	return false
}

func (d *noticeDesk) stopped() bool {
	select {
	case <-d.srv.stopping:
		return true
	default:
		return false
	}
}

func post(ctx context.Context, sub subscription, media string, data []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.Endpoint, bytes.NewReader(data))
	if err != nil {
		return false
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	for _, line := range sub.Headers {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	// No connection is kept: nothing is left of a server that has stopped.
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
	return res.StatusCode/100 == 2
}
