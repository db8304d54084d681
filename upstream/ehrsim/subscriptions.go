package ehrsim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Notify says how a server tells of changes (Options.Notify).
type Notify struct {
	Offered   bool          // Subscription is there: create, read, update, delete, search
	Heartbeat time.Duration // between two empty notifications, in real time; default 5m; negative: none
	MaxLife   time.Duration // a Subscription ends so long after it was asked for at most, by the simulated clock; 0: any end is taken
	NoHeader  bool          // channel.header is not heeded: notifications carry none
	NoUpdate  bool          // no update, as the Argonaut guide asks for none
	NoSearch  bool          // no search either
}

// Subscription is one of those that are kept, as tests see them.
type Subscription struct {
	ID       string    `json:"id"`
	Status   string    `json:"status"` // requested, active, error, off
	Endpoint string    `json:"endpoint"`
	Headers  []string  `json:"headers"`
	End      time.Time `json:"end"`
	Version  int       `json:"version"`
	Sent     int       `json:"sent"`   // notifications and heartbeats that were taken
	Failed   int       `json:"failed"` // that were not
	Lost     int       `json:"lost"`   // that a fault kept from being sent
}

// subscription is one that is kept. Its resource is never changed, but replaced.
type subscription struct {
	Subscription
	resource object
	xml      bool
	inARow   int // failures
}

// maxFailures in a row put a Subscription into error.
const maxFailures = 5

// Subscriptions lists those that are kept, in the order they came.
func (s *Server) Subscriptions() []Subscription {
	d := s.notices
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []Subscription{}
	for _, id := range d.order {
		out = append(out, d.subs[id].Subscription)
	}
	return out
}

// ExpireSubscriptions ends all of them before their time, as a server does that
// loses its memory, and says how many.
func (s *Server) ExpireSubscriptions() int {
	d := s.notices
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.order)
	d.subs, d.order = map[string]*subscription{}, nil
	return n
}

// serveSubscriptions are the interactions with Subscription.
func (s *Server) serveSubscriptions(all map[string]handler) {
	n := s.opts.Notify
	if !n.Offered {
		return
	}
	all["create Subscription"], all["read Subscription"], all["delete Subscription"] = s.createSubscription, s.readSubscription, s.deleteSubscription
	if !n.NoUpdate {
		all["update Subscription"] = s.updateSubscription
	}
	if !n.NoSearch {
		all["search Subscription"] = s.searchSubscriptions
	}
}

func (s *Server) createSubscription(rq *request) (reply, error) {
	sub, err := s.readChannel(rq)
	if err != nil {
		return reply{}, err
	}
	d := s.notices
	d.mu.Lock()
	d.count++
	sub.ID, sub.Version = "sub-"+strconv.Itoa(d.count), 1
	d.order = append(d.order, sub.ID)
	s.keep(sub)
	d.mu.Unlock()
	d.begin(rq.http.Context())
	d.ask(sub.ID)
	return reply{status: http.StatusCreated, body: sub.resource, tagged: sub.resource, location: true}, nil
}

func (s *Server) updateSubscription(rq *request) (reply, error) {
	sub, err := s.readChannel(rq)
	if err != nil {
		return reply{}, err
	}
	d := s.notices
	d.mu.Lock()
	old := d.subs[rq.id]
	if old == nil {
		d.mu.Unlock()
		return reply{}, notFound("Subscription/" + rq.id + " is not known")
	}
	sub.ID, sub.Version, sub.Sent, sub.Lost = old.ID, old.Version+1, old.Sent, old.Lost
	s.keep(sub)
	d.mu.Unlock()
	d.ask(sub.ID)
	return reply{status: http.StatusOK, body: sub.resource, tagged: sub.resource}, nil
}

func (s *Server) readSubscription(rq *request) (reply, error) {
	d := s.notices
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lapse()
	if sub := d.subs[rq.id]; sub != nil {
		return reply{status: http.StatusOK, body: sub.resource, tagged: sub.resource}, nil
	}
	return reply{}, notFound("Subscription/" + rq.id + " is not known")
}

func (s *Server) deleteSubscription(rq *request) (reply, error) {
	d := s.notices
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.subs[rq.id] == nil {
		return reply{}, notFound("Subscription/" + rq.id + " is not known")
	}
	delete(d.subs, rq.id)
	d.order = slices.DeleteFunc(d.order, func(id string) bool { return id == rq.id })
	return reply{status: http.StatusNoContent}, nil
}

func (s *Server) searchSubscriptions(rq *request) (reply, error) {
	d := s.notices
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lapse()
	var entries list
	for _, id := range d.order {
		if url := rq.params.Get("url"); url == "" || url == d.subs[id].Endpoint {
			entries = append(entries, entry(rq.base, d.subs[id].resource, "match"))
		}
	}
	links := list{obj("relation", "self", "url", rq.self(rq.params))}
	return plain(s.bundle(len(entries), links, entries), nil)
}

// readChannel judges a Subscription as the Argonaut guide and its version do: a
// status of requested, a criteria, a rest-hook with an endpoint. A plain server
// looks at no extension.
func (s *Server) readChannel(rq *request) (*subscription, error) {
	body, err := rq.resource()
	if err != nil {
		return nil, err
	}
	channel := body.obj("channel")
	endpoint := channel.str("endpoint")
	switch {
	case body.str("resourceType") != "Subscription":
		return nil, bad("the body is no Subscription")
	case body.str("reason") == "":
		return nil, unprocessable("required", "reason is missing")
	case body.str("criteria") == "" && len(body.obj("_criteria")) == 0:
		return nil, unprocessable("required", "criteria is missing")
	case body.str("status") != "requested" && body.str("status") != "active":
		return nil, unprocessable("code-invalid", "a Subscription is requested")
	case channel.str("type") != "rest-hook":
		return nil, unprocessable("not-supported", "channels are rest-hooks")
	case !strings.HasPrefix(endpoint, "http://") && !strings.HasPrefix(endpoint, "https://"):
		return nil, unprocessable("invalid", "channel.endpoint is no address")
	case s.opts.Dialect == Argonaut && !argonautSubscription(body):
		return nil, unprocessable("required", "the extensions of argo-sub-notif are missing")
	}
	sub := &subscription{resource: body, xml: strings.Contains(channel.str("payload"), "xml")}
	sub.Endpoint, sub.Headers = endpoint, []string{}
	for _, v := range channel.each("header") {
		if text, ok := v.(string); ok {
			sub.Headers = append(sub.Headers, text)
		}
	}
	if s.opts.Notify.NoHeader {
		sub.Headers = []string{}
	}
	return sub, s.ends(sub, body.str("end"))
}

// ends reads until when a Subscription is wanted, and cuts that.
func (s *Server) ends(sub *subscription, text string) error {
	if text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || !at.After(s.clock.now()) {
			return unprocessable("invalid", "end is no instant to come")
		}
		sub.End = at.UTC()
	}
	if life := s.opts.Notify.MaxLife; life > 0 {
		if last := s.clock.now().Add(life); sub.End.IsZero() || sub.End.After(last) {
			sub.End = last
		}
	}
	return nil
}

const guideExtension = "http://fhir.org/guides/argonaut-scheduling/StructureDefinition/"

// argonautSubscription: what the profile argo-sub-notif demands.
func argonautSubscription(body object) bool {
	has := func(values list, url, value, want string) bool {
		return slices.ContainsFunc(values, func(v any) bool {
			o, ok := v.(object)
			return ok && o.str("url") == guideExtension+url && o.str(value) != "" && (want == "" || o.str(value) == want)
		})
	}
	criteria, channel := body.obj("_criteria").each("extension"), body.obj("channel").each("extension")
	return has(criteria, "extension-subscription-triggerevent", "valueString", "") &&
		has(criteria, "extension-subscription-eventfocus", "valueCode", "Slot") &&
		has(channel, "extension-subscription-payloadprofile", "valueUri", guideExtension+"argo-sched-notif")
}

// keep writes the resource of a Subscription that is asked for. The caller holds
// the lock.
func (s *Server) keep(sub *subscription) {
	sub.Status = "requested"
	now := s.clock.now()
	o := sub.resource.with("id", sub.ID, "resourceType").with("meta", s.flavour.metaOf(sub.Version, now), "id").with("status", sub.Status, "meta")
	if !sub.End.IsZero() {
		o = o.with("end", s.flavour.instant(sub.End, time.UTC), "status")
	}
	sub.resource = o
	s.notices.subs[sub.ID] = sub
}
