package ehrsim

import (
	"net/url"
	"strings"
	"time"
)

// prefetch answers Slot/$prefetch: all free slots of a period, not paged.
// Kinds of actor are joined by AND, repeated ones by OR.
func (s *Server) prefetch(rq *request) (reply, error) {
	if s.opts.NoPrefetch {
		return reply{}, &failure{status: s.opts.NoPrefetchStatus, code: "not-supported", text: "operation $prefetch is not supported"}
	}
	found, err := s.openSlots(rq)
	if err != nil {
		return reply{}, err
	}
	rows := make([]row, len(found))
	for i, sl := range found {
		rows[i] = sl
	}
	if s.opts.PageOperations {
		return plain(s.firstPage(s.data(), rq, &result{typ: "Slot", rows: rows}))
	}
	links := list{obj("relation", "self", "url", rq.self(rq.params))}
	return plain(s.bundle(len(rows), links, s.entries(s.data(), rq, rows, nil)), nil)
}

// find answers Appointment/$find: proposed appointments, soonest first, at
// most _count.
func (s *Server) find(rq *request) (reply, error) {
	found, err := s.openSlots(rq)
	if err != nil {
		return reply{}, err
	}
	if s.opts.PageOperations && len(found) > 0 {
		st := s.data()
		return plain(s.firstPage(st, rq, &result{typ: "Appointment", rows: s.proposals(st, found, rq)}))
	}
	count, err := whole(rq.params, "_count", s.opts.MaxCount)
	if err != nil {
		return reply{}, err
	}
	found = found[:min(count, len(found), s.opts.MaxCount)]
	entries := s.offers(rq, found)
	if len(found) == 0 {
		note := outcome("information", "informational", "no availability for what was asked")
		entries = append(entries, entry(rq.base, note, "outcome"))
	}
	links := list{obj("relation", "self", "url", rq.self(rq.params))}
	return plain(s.bundle(len(found), links, entries), nil)
}

// offers writes slots as entries of proposed appointments.
func (s *Server) offers(rq *request, found []*slot) list {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	var out list
	for _, sl := range found {
		out = append(out, entry(rq.base, s.offer(st, sl, rq.params), "match"))
	}
	return out
}

// openSlots are the free slots that fit the parameters of an operation.
// Generated ones that have begun are not offered; loaded ones are as they are.
func (s *Server) openSlots(rq *request) ([]*slot, error) {
	from, to, err := rq.period()
	if err != nil {
		return nil, err
	}
	st, now := s.data(), s.clock.now()
	fits := actorFilter(st, rq.params)
	return st.between(from, to, func(sl *slot) bool {
		return sl.status == "free" && (sl.cal == nil || sl.start.After(now)) && fits(sl)
	}), nil
}

func actorFilter(st *store, p url.Values) func(*slot) bool {
	specialty, visit := p["specialty"], append(p["visit-type"], p["service-type"]...)
	places := p["location-string"]
	return func(sl *slot) bool {
		r := st.reach[localRef(sl.schedule)]
		for _, actor := range []string{"practitioner", "organization", "location-reference"} {
			if len(p[actor]) > 0 && !r.hasAny(splitAll(p[actor])) {
				return false
			}
		}
		return (len(places) == 0 || r.isAt(places)) &&
			(len(specialty) == 0 || anyToken(sl.coded("specialty", r), specialty)) &&
			(len(visit) == 0 || anyToken(sl.coded("serviceType", r), visit))
	}
}

func splitAll(values []string) []string {
	return strings.Split(strings.Join(values, ","), ",")
}

// isAt: the text is part of the address of one of the places.
func (r *reach) isAt(texts []string) bool {
	if r == nil {
		return false
	}
	for _, t := range texts {
		for _, a := range r.addresses {
			if strings.Contains(a, strings.ToLower(t)) {
				return true
			}
		}
	}
	return false
}

// coded gives a slot's own specialty or service type, else its schedule's.
func (sl *slot) coded(name string, r *reach) list {
	switch {
	case sl.cal != nil && name == "specialty":
		return sl.cal.specialty
	case sl.cal != nil:
		return sl.cal.visits[sl.visit]
	case len(sl.raw.each(name)) > 0:
		return sl.raw.each(name)
	case r == nil:
		return nil
	case name == "specialty":
		return r.specialty
	}
	return r.serviceType
}

// offer writes a slot as a proposed appointment. The caller holds the lock.
func (s *Server) offer(st *store, sl *slot, p url.Values) object {
	w := s.flavour.slot(sl)
	r := st.reach[localRef(sl.schedule)]
	if r == nil {
		r = &reach{}
	}
	var slots list
	if !s.opts.FindNoSlot {
		slots = list{obj("reference", "Slot/"+sl.id)}
	}
	return obj(
		"resourceType", "Appointment", "id", st.offerID(sl.id), "meta", s.flavour.metaOf(sl.version, sl.updated),
		"status", "proposed",
		"serviceType", sl.coded("serviceType", r),
		"specialty", sl.coded("specialty", r),
		"appointmentType", w.get("appointmentType"),
		"start", w.str("start"),
		"end", w.str("end"),
		"minutesDuration", int(sl.end.Sub(sl.start)/time.Minute),
		"slot", slots,
		"participant", participants(r),
		"requestedPeriod", requested(p),
	)
}

// requested is the period as it was asked for; one that was not is left out,
// as an empty element is none.
func requested(p url.Values) list {
	period := obj("start", p.Get("start"), "end", p.Get("end"))
	if len(period) == 0 {
		return nil
	}
	return list{period}
}

func participants(r *reach) list {
	var out list
	for _, actor := range []object{r.practitioner, r.location} {
		if actor != nil {
			out = append(out, obj("actor", actor, "required", "required", "status", "needs-action"))
		}
	}
	return out
}
