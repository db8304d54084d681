package ehrsim

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
)

// answer checks the caller and routes.
func (s *Server) answer(rq *request) (reply, error) {
	if u, ok := s.user(rq); ok {
		return s.answerUser(rq, u)
	}
	if err := s.admit(rq); err != nil {
		return reply{}, err
	}
	if err := rq.read(); err != nil {
		return reply{}, err
	}
	return s.stalely(rq)
}

func (s *Server) fail(w http.ResponseWriter, rq *request, err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{status: http.StatusInternalServerError, code: "exception", text: "internal error"}
	}
	if f.taken {
		s.refuse(w, rq, s.opts.Refusal, f.about)
		return
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	body := f.outcome
	if body == nil {
		body = outcome("error", f.code, f.text)
	}
	s.send(w, rq, reply{status: f.status, body: body})
}

// route finds what is asked for.
func (s *Server) route(rq *request) (reply, error) {
	switch serve := s.handlers()[rq.act+" "+rq.typ]; {
	case rq.typ == "" && rq.act == "search" && rq.params.Has(pageToken):
		return plain(s.nextPage(rq))
	case rq.act == "metadata":
		return plain(s.capability(rq), nil)
	case serve != nil:
		return serve(rq)
	case (searchParams[rq.typ] == nil || !s.opts.Dialect.knows(rq.typ)) && rq.typ != "":
		return reply{}, notFound("resource type " + rq.typ + " is not supported")
	case rq.typ == "Coverage" && s.opts.NoCoverage:
		return reply{}, notFound("resource type Coverage is not supported")
	case rq.act == "search" && (rq.typ != "Coverage" || s.searchesCoverage()):
		return plain(s.search(rq, rq.typ))
	case rq.act == "read":
		return s.readOne(rq.typ, rq.id)
	case slices.Contains([]string{"", "hold", "book", "find", "prefetch", "match"}, rq.act):
		return reply{}, notFound("nothing is served at " + rq.path)
	}
	return reply{}, &failure{status: http.StatusMethodNotAllowed, code: "not-supported", text: "method " + rq.http.Method + " is not supported at " + rq.path}
}

// handler serves one interaction.
type handler func(*request) (reply, error)

// handlers are the interactions besides reading and searching, by the dialect.
func (s *Server) handlers() map[string]handler {
	all := map[string]handler{
		"create Patient": s.createPatient, "patch Appointment": s.patchAppointment,
	}
	if !s.opts.NoCoverage {
		all["create Coverage"], all["update Coverage"] = s.writeCoverage, s.writeCoverage
	}
	if !s.opts.NoMatch {
		all["match Patient"] = s.match
	}
	s.serveSubscriptions(all)
	switch s.opts.Dialect {
	case IHE:
		delete(all, "patch Appointment")
		all["find Appointment"], all["book Appointment"] = s.iheFind, s.iheBook
		if !s.opts.NoHold {
			all["hold Appointment"] = s.iheHold
		}
		return all
	case Epic:
		if !s.opts.Patches {
			delete(all, "patch Appointment")
		}
		all["find Appointment"], all["book Appointment"] = s.epicFind, s.epicBook
		return all
	case Argonaut:
		all["prefetch Slot"], all["find Appointment"] = s.prefetch, s.find
		if !s.opts.NoHold {
			all["hold Appointment"] = s.hold
		}
		all["book Appointment"] = s.book
		return all
	}
	all["patch Slot"], all["update Slot"] = s.patchSlotResource, s.putSlotResource
	all["create Appointment"], all["update Appointment"] = s.createAppointment, s.putAppointmentResource
	if !s.opts.NoTransactions {
		all["transaction "] = s.transaction
	}
	return all
}

// searchesCoverage: the Argonaut guide has clients create and update insurance,
// not look for it.
func (s *Server) searchesCoverage() bool { return s.opts.Dialect != Argonaut || s.opts.CoverageSearch }

func (s *Server) readOne(typ, id string) (reply, error) {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	if o := s.resourceOf(st, typ, id); o != nil {
		return reply{status: http.StatusOK, body: o, tagged: o}, nil
	}
	return reply{}, notFound(typ + "/" + id + " is not known")
}

// resourceOf finds any resource by its id; nil. The caller holds the lock.
func (s *Server) resourceOf(st *store, typ, id string) object {
	switch typ {
	case "Slot":
		if sl := st.slots[id]; sl != nil {
			return s.flavour.slot(sl)
		}
		return nil
	case "Appointment":
		if a := st.appts[id]; a != nil {
			return s.flavour.appointment(a)
		}
		if sl := st.offered(id); sl != nil && sl.status == "free" && s.opts.Dialect == Argonaut {
			return s.offer(st, sl, nil)
		}
		return nil
	}
	return st.get(typ, id)
}

// capability is the CapabilityStatement, whose shape each version has its own.
func (s *Server) capability(rq *request) object { return capability(s.opts, s.flavour, rq.base) }

// self is the URL of the request with the parameters given.
func (rq *request) self(params url.Values) string {
	u := rq.base + rq.path
	if len(params) > 0 {
		u += "?" + params.Encode()
	}
	return u
}
