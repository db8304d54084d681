package ehrsim

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// row is one match of a search: a *slot, written when its page is, or an object.
type row any

// search answers GET [base]/Type and POST [base]/Type/_search.
func (s *Server) search(rq *request, typ string) (object, error) {
	if rq.params.Has(pageToken) {
		return s.nextPage(rq)
	}
	st := s.data()
	var rows []row
	var unknown []string
	var err error
	switch typ {
	case "Slot":
		rows, unknown, err = s.slotRows(st, rq.params)
	case "Appointment":
		rows, unknown, err = s.appointmentRows(st, rq)
	default:
		rows, unknown = directoryRows(st, typ, rq.params)
	}
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 && strings.Contains(rq.http.Header.Get("Prefer"), "handling=strict") {
		return nil, bad("unknown search parameter " + strings.Join(unknown, ", "))
	}
	rq.params = without(rq.params, append(unknown, "_format")...) // what was not applied is not in the links
	return s.firstPage(st, rq, &result{typ: typ, rows: rows, params: rq.params})
}

func without(params url.Values, names ...string) url.Values {
	out := url.Values{}
	for name, values := range params {
		if !slices.Contains(names, name) {
			out[name] = values
		}
	}
	return out
}

func directoryRows(st *store, typ string, params url.Values) ([]row, []string) {
	f, unknown := filterOf(typ, params)
	st.mu.RLock()
	defer st.mu.RUnlock()
	var rows []row
	st.every(typ, func(o object) {
		if f.keeps(o) {
			rows = append(rows, o)
		}
	})
	return rows, unknown
}

// entries writes rows as bundle entries, and after them what _include asks for.
func (s *Server) entries(st *store, rq *request, rows []row, params url.Values) list {
	var out list
	seen := map[string]bool{}
	var matches []object
	for _, r := range rows {
		o := s.resource(r)
		matches = append(matches, o)
		seen[o.str("resourceType")+"/"+o.str("id")] = true
		out = append(out, entry(rq.base, o, "match"))
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	for _, o := range included(st, matches, params, seen) {
		out = append(out, entry(rq.base, o, "include"))
	}
	return out
}

func (s *Server) resource(r row) object {
	if sl, ok := r.(*slot); ok {
		return s.flavour.slot(sl)
	}
	o, _ := r.(object)
	return o
}

func entry(base string, o object, mode string) object {
	var full string
	if id := o.str("id"); id != "" {
		full = base + "/" + o.str("resourceType") + "/" + id
	}
	return obj("fullUrl", full, "resource", o, "search", obj("mode", mode))
}

// included gives the resources that the matches refer to, and with :iterate
// (STU3: :recurse) what those refer to. The caller holds the lock.
func included(st *store, from []object, params url.Values, seen map[string]bool) []object {
	again := append(slices.Clone(params["_include:iterate"]), params["_include:recurse"]...)
	wanted := append(slices.Clone(params["_include"]), again...)
	var out []object
	for len(from) > 0 && len(wanted) > 0 {
		var next []object
		for _, o := range from {
			for _, include := range wanted {
				next = append(next, follow(st, o, include, seen)...)
			}
		}
		out = append(out, next...)
		from, wanted = next, again
	}
	return out
}

// follow resolves one include, "Slot:schedule" or "Schedule:actor:Location".
func follow(st *store, o object, include string, seen map[string]bool) []object {
	parts := strings.Split(include, ":")
	typ := o.str("resourceType")
	if len(parts) < 2 || parts[0] != typ {
		return nil
	}
	p, ok := searchParams[typ][parts[1]]
	if !ok || p.kind != refer {
		return nil
	}
	var out []object
	for _, v := range o.find(p.path + ".reference") {
		ref, _ := v.(string)
		key := localRef(ref)
		target, id, _ := strings.Cut(key, "/")
		if seen[key] || len(parts) > 2 && parts[2] != target {
			continue
		}
		if found := st.get(target, id); found != nil {
			seen[key] = true
			out = append(out, found)
		}
	}
	return out
}

// whole reads a parameter that must be a whole number of at least 0.
func whole(params url.Values, name string, missing int) (int, error) {
	text := params.Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, bad(name + " is not a whole number")
	}
	return n, nil
}
