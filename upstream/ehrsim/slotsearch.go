package ehrsim

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// slotRows finds slots by start (with prefixes), status, schedule, the chained
// schedule.actor, and what Slot's own elements say.
func (s *Server) slotRows(st *store, params url.Values) ([]row, []string, error) {
	from, to, err := s.startRange(params["start"])
	if err != nil {
		return nil, nil, err
	}
	if len(params["_id"]) == 0 && len(params["identifier"]) == 0 {
		if err := s.checkWindow(from, to); err != nil {
			return nil, nil, err
		}
	}
	keep := quickFilter(st, params)
	rest, unknown := filterOf("Slot", params, "start", "status", "schedule", "schedule.actor", "_lastUpdated")
	var rows []row
	for _, sl := range st.between(from, to, keep) {
		if len(rest) == 0 || rest.keeps(s.flavour.slot(sl)) {
			rows = append(rows, sl)
		}
	}
	return rows, unknown, nil
}

// quickFilter tests what needs no resource to be written.
func quickFilter(st *store, params url.Values) func(*slot) bool {
	var tests []func(*slot) bool
	for _, v := range params["status"] {
		wanted := strings.Split(v, ",")
		tests = append(tests, func(sl *slot) bool { return slices.Contains(wanted, sl.status) })
	}
	for _, v := range params["schedule"] {
		wanted := bareRefs(v, "Schedule")
		tests = append(tests, func(sl *slot) bool { return slices.Contains(wanted, localRef(sl.schedule)) })
	}
	for _, v := range params["schedule.actor"] {
		wanted := strings.Split(v, ",")
		tests = append(tests, func(sl *slot) bool { return st.reach[localRef(sl.schedule)].hasAny(wanted) })
	}
	for _, v := range params["_lastUpdated"] {
		tests = append(tests, func(sl *slot) bool { return dateMatches(sl.updated.Format(time.RFC3339Nano), v) })
	}
	return func(sl *slot) bool {
		for _, ok := range tests {
			if !ok(sl) {
				return false
			}
		}
		return true
	}
}

func bareRefs(v, typ string) []string {
	refs := strings.Split(v, ",")
	for i, ref := range refs {
		refs[i] = localRef(ref)
		if !strings.Contains(ref, "/") {
			refs[i] = typ + "/" + ref
		}
	}
	return refs
}

// hasAny says whether one of the references, given with or without their type,
// is reached. A schedule that does not exist reaches nothing.
func (r *reach) hasAny(refs []string) bool {
	if r == nil {
		return false
	}
	for _, want := range refs {
		if r.refs[localRef(want)] {
			return true
		}
		for have := range r.refs {
			if !strings.Contains(want, "/") && strings.HasSuffix(have, "/"+want) {
				return true
			}
		}
	}
	return false
}

// startRange turns start=ge..&start=lt.. into [from, to). A day without a time
// is cut in the server's zone, as real servers do (and clients trip over).
func (s *Server) startRange(values []string) (from, to time.Time, err error) {
	for _, v := range values {
		prefix, rest := "eq", v
		if len(v) > 2 && v[0] >= 'a' && v[0] <= 'z' {
			prefix, rest = v[:2], v[2:]
		}
		sp, err := parseSpan(rest, s.zone)
		if err != nil {
			return from, to, bad("start is not a date or dateTime")
		}
		lo, hi, ok := bounds(prefix, sp)
		if !ok {
			return from, to, bad("start has an unknown prefix")
		}
		if lo.After(from) {
			from = lo
		}
		if !hi.IsZero() && (to.IsZero() || hi.Before(to)) {
			to = hi
		}
	}
	return from, to, nil
}

// bounds of a prefixed date as a half-open range; zero: open.
func bounds(prefix string, sp span) (lo, hi time.Time, ok bool) {
	after := sp.to
	if sp.from.Equal(sp.to) {
		after = sp.to.Add(time.Millisecond) // an instant covers its own moment
	}
	switch prefix {
	case "eq":
		return sp.from, after, true
	case "ge":
		return sp.from, hi, true
	case "gt", "sa":
		return after, hi, true
	case "lt", "eb":
		return lo, sp.from, true
	case "le":
		return lo, after, true
	}
	return lo, hi, false
}
