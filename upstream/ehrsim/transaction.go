package ehrsim

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// part is one entry of a transaction.
type part struct {
	method, typ, id string
	body            object
	request         object // url, ifMatch, ifNoneExist
	full            string
}

// transaction answers POST [base]: all of its entries, or none.
func (s *Server) transaction(rq *request) (reply, error) {
	body, err := rq.resource()
	if err != nil {
		return reply{}, err
	}
	if body.str("resourceType") != "Bundle" || body.str("type") != "transaction" {
		return reply{}, bad("the body is not a transaction Bundle")
	}
	parts, err := readParts(body)
	if err != nil {
		return reply{}, err
	}
	return s.change(rq, func(t *tx) (reply, error) {
		return t.transact(rq, parts)
	})
}

func readParts(bundle object) ([]part, error) {
	var out []part
	for _, v := range bundle.each("entry") {
		e, _ := v.(object)
		p := part{body: e.obj("resource"), request: e.obj("request"), full: e.str("fullUrl")}
		p.method = p.request.str("method")
		p.typ, p.id, _ = strings.Cut(localRef(p.request.str("url")), "/")
		known := p.method == http.MethodPost && p.id == "" && slices.Contains(words("Appointment Patient Coverage"), p.typ) ||
			p.method == http.MethodPut && p.id != "" && slices.Contains(words("Appointment Slot"), p.typ)
		if !known {
			return nil, unprocessable("not-supported", p.method+" "+p.request.str("url")+" is not supported in a transaction")
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, bad("the transaction is empty")
	}
	return out, nil
}

// transact does the entries in FHIR's order, creates before updates. Every
// ifMatch is held against what was there before the transaction.
func (t *tx) transact(rq *request, parts []part) (reply, error) {
	if err := t.conditions(parts); err != nil {
		return reply{}, err
	}
	ids := t.nameNew(parts)
	answers := make(list, len(parts))
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		for i, p := range parts {
			if p.method != method {
				continue
			}
			a, err := t.do(rq, p, ids)
			if err != nil {
				return reply{}, err
			}
			answers[i] = t.partReply(rq, a)
		}
	}
	return reply{status: http.StatusOK, body: obj("resourceType", "Bundle", "type", "transaction-response", "entry", answers)}, nil
}

func (t *tx) conditions(parts []part) error {
	var errs []error
	for _, p := range parts {
		want := p.request.str("ifMatch")
		switch sl, a := t.slots[p.id], t.appts[p.id]; {
		case p.method != http.MethodPut:
		case p.typ == "Slot" && sl != nil:
			errs = append(errs, t.srv.ifMatch(want, http.MethodPut, sl.version))
		case p.typ == "Appointment" && a != nil:
			errs = append(errs, t.srv.ifMatch(want, http.MethodPut, a.version))
		}
	}
	return errors.Join(errs...)
}

// nameNew gives ids to what will be created, so that others may refer to it by
// its urn.
func (t *tx) nameNew(parts []part) map[string]string {
	ids := map[string]string{}
	for i, p := range parts {
		if p.method == http.MethodPost && strings.HasPrefix(p.full, "urn:") {
			ids[p.full] = p.typ + "/" + newID(p.typ, t.number())
		} else if p.full == "" {
			parts[i].full = "entry-" + strconv.Itoa(i)
		}
	}
	return ids
}

// newID names a resource that a client created.
func newID(typ string, n int) string {
	return map[string]string{"Appointment": "appt-", "Patient": "new-pat-", "Coverage": "cov-"}[typ] + strconv.Itoa(n)
}

func (t *tx) do(rq *request, p part, ids map[string]string) (reply, error) {
	body, _ := resolve(p.body, ids).(object)
	if p.method == http.MethodPut {
		return t.put(p.typ, p.id, body, "")
	}
	a, err := t.create(rq, p.typ, strings.TrimPrefix(ids[p.full], p.typ+"/"), body, p.request.str("ifNoneExist"))
	if err == nil && a.status == http.StatusOK && strings.HasPrefix(p.full, "urn:") {
		ids[p.full] = p.typ + "/" + a.tagged.str("id")
	}
	return a, err
}

// resolve puts ids in place of urns.
func resolve(v any, ids map[string]string) any {
	switch v := v.(type) {
	case string:
		if id, ok := ids[v]; ok {
			return id
		}
	case object:
		out := slices.Clone(v)
		for i := range out {
			out[i].value = resolve(out[i].value, ids)
		}
		return out
	case list:
		out := slices.Clone(v)
		for i := range out {
			out[i] = resolve(out[i], ids)
		}
		return out
	}
	return v
}

func (t *tx) partReply(rq *request, a reply) object {
	meta := a.tagged.obj("meta")
	answer := obj(
		"status", strconv.Itoa(a.status)+" "+http.StatusText(a.status),
		"location", rq.base+"/"+a.tagged.str("resourceType")+"/"+a.tagged.str("id")+"/_history/"+meta.str("versionId"),
		"etag", etag(meta.str("versionId")), "lastModified", meta.str("lastUpdated"),
	)
	if t.srv.opts.EmptyAnswers {
		return obj("response", answer)
	}
	return obj("fullUrl", rq.base+"/"+a.tagged.str("resourceType")+"/"+a.tagged.str("id"), "resource", a.body, "response", answer)
}
