package ehrsim

import (
	"net/http"
	"strings"
)

// scope is system/Type.permissions in both spellings of SMART: letters of
// cruds, where read is rs and write is cud.
type scope struct {
	kind    string // a resource type, or *
	letters string
}

func parseScope(text string) (scope, bool) {
	rest, ok := strings.CutPrefix(text, "system/")
	kind, may, dot := strings.Cut(rest, ".")
	may, _, _ = strings.Cut(may, "?")
	switch may {
	case "read":
		may = "rs"
	case "write":
		may = "cud"
	case "*":
		may = "cruds"
	}
	return scope{kind, may}, ok && dot && kind != "" && may != "" && strings.Trim(may, "cruds") == ""
}

// covers tells whether all that b allows is allowed by a.
func (a scope) covers(b scope) bool {
	if a.kind != "*" && a.kind != b.kind {
		return false
	}
	for _, letter := range b.letters {
		if !strings.ContainsRune(a.letters, letter) {
			return false
		}
	}
	return true
}

func allowed(by []string, want scope) bool {
	for _, text := range by {
		if have, ok := parseScope(text); ok && have.covers(want) {
			return true
		}
	}
	return false
}

// grantable are those of the scopes asked for that the client may have.
func (l Login) grantable(asked []string) ([]string, error) {
	var out []string
	for _, text := range asked {
		want, ok := parseScope(text)
		if ok && (len(l.Scopes) == 0 || allowed(l.Scopes, want)) {
			out = append(out, text)
		}
	}
	if out == nil {
		return nil, &oauthError{http.StatusBadRequest, "invalid_scope", "scope"}
	}
	return out, nil
}

// within tells whether a request keeps to the scopes. SMART has no scopes for
// operations: those that find are taken as searches, those that make an
// appointment as its creation.
func (rq *request) within(scopes []string) bool {
	kind := rq.typ
	switch rq.act {
	case "read":
		return allowed(scopes, scope{kind, "r"})
	case "create", "hold", "book":
		return allowed(scopes, scope{kind, "c"})
	case "delete":
		return allowed(scopes, scope{kind, "d"})
	case "update", "patch":
		return allowed(scopes, scope{kind, "u"})
	case "transaction":
		return allowed(scopes, scope{"Appointment", "cu"}) && allowed(scopes, scope{"Slot", "u"})
	case "search":
		if kind == "" {
			return true // a further page: its token is known to whoever had the first
		}
	}
	return allowed(scopes, scope{kind, "s"})
}
