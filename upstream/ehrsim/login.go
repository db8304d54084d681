package ehrsim

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Login is how callers log in by OAuth 2 client credentials. The zero value:
// they need not.
type Login struct {
	Kind     LoginKind     //
	ClientID string        // whom we know; default "slotgate"
	Secret   string        // of kind secret
	Style    string        // of kind secret: basic or post, as the only one; empty: either
	Keys     string        // of kind smart: the client's key set (JWKS), by its URL or as JSON
	Scopes   []string      // what the client may have; empty: what it asks for
	Life     time.Duration // of a token; default 5m
	NoExpiry bool          // answers do not tell how long a token lives
}

// LoginKind is a way of logging in.
type LoginKind string

// The ways of logging in.
const (
	SecretLogin LoginKind = "secret" // a client secret
	SmartLogin  LoginKind = "smart"  // SMART Backend Services: an assertion signed by the client's key
)

const (
	tokenPath     = "/oauth/token"
	discoveryPath = "/.well-known/smart-configuration"
)

func (l Login) withDefaults() Login {
	setDefault(&l.ClientID, "slotgate")
	setDefault(&l.Life, 5*time.Minute)
	return l
}

func (l Login) validate() error {
	switch {
	case l.Kind == "":
		return nil
	case l.Kind != SecretLogin && l.Kind != SmartLogin:
		return fmt.Errorf("ehrsim: login %q: want secret or smart", l.Kind)
	case l.Kind == SecretLogin && l.Secret == "":
		return errors.New("ehrsim: login secret needs a secret")
	case l.Style != "" && l.Style != "basic" && l.Style != "post":
		return fmt.Errorf("ehrsim: login style %q: want basic or post", l.Style)
	case l.Life < 0:
		return errors.New("ehrsim: the life of a token must not be negative")
	}
	return nil
}

// Logins sum up what happened at the token endpoint, and for want of a token.
type Logins struct {
	Requests     int            `json:"requests"` // for a token
	Granted      int            `json:"granted"`
	Refused      map[string]int `json:"refused"`      // by reason
	Live         int            `json:"live"`         // tokens that are good now
	Unauthorized int            `json:"unauthorized"` // FHIR requests without a good token
	Forbidden    int            `json:"forbidden"`    // FHIR requests beyond a token's scopes
}

// loginDesk is the token endpoint. Its clock is the real one: assertions know
// nothing of a simulated one.
type loginDesk struct {
	now func() time.Time

	mu       sync.Mutex
	login    Login
	endpoint string // what discovery tells; empty: the truth
	refuse   int    // so many requests more are refused
	tokens   map[string]granted
	used     map[string]time.Time // jti -> when it may be forgotten
	count    Logins
}

type granted struct {
	scopes []string
	until  time.Time
}

func newLoginDesk(o Options) *loginDesk {
	d := &loginDesk{now: o.Now, login: o.Login.withDefaults()}
	d.reset()
	return d
}

// reset forgets what happened, and ends every token.
func (d *loginDesk) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse, d.tokens, d.used = 0, map[string]granted{}, map[string]time.Time{}
	d.count = Logins{Refused: map[string]int{}}
}

// oauthError is a refusal (RFC 6749, 5.2). Why is what the client is told, and
// counted by.
type oauthError struct {
	status    int
	code, why string
}

func (e *oauthError) Error() string { return e.code + ": " + e.why }

func noClient(why string) error {
	return &oauthError{http.StatusUnauthorized, "invalid_client", why}
}

// token answers the token endpoint. What is sent there stands in no history.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	rq := s.newRequest(r, tokenPath)
	rq.hits = s.faults.strike(rq)
	s.login.mu.Lock()
	s.login.count.Requests++
	s.login.mu.Unlock()
	if s.spoilBefore(w, rq) {
		return
	}
	out, err := s.login.answer(rq)
	status := http.StatusOK
	var refused *oauthError
	if errors.As(err, &refused) {
		status = refused.status
		out = map[string]any{"error": refused.code, "error_description": refused.why}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the client may be gone
}

// answer judges one request for a token.
func (d *loginDesk) answer(rq *request) (map[string]any, error) {
	login, out := d.settings(), map[string]any(nil)
	form, err := tokenForm(rq)
	if err == nil {
		err = d.known(rq, login, form)
	}
	var scopes []string
	if err == nil {
		scopes, err = login.grantable(strings.Fields(form.Get("scope")))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.refuse > 0 {
		d.refuse--
		err = noClient("asked for")
	}
	var refused *oauthError
	if errors.As(err, &refused) {
		d.count.Refused[refused.why]++
		return nil, err
	}
	token := rand.Text()
	d.tokens[token] = granted{scopes: scopes, until: d.now().Add(login.Life)}
	d.count.Granted++
	out = map[string]any{"access_token": token, "token_type": "bearer", "scope": strings.Join(scopes, " ")}
	if !login.NoExpiry {
		out["expires_in"] = int(login.Life / time.Second)
	}
	return out, nil
}

func (d *loginDesk) settings() Login {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.login
}

func tokenForm(rq *request) (url.Values, error) {
	refuse := func(code, why string) error { return &oauthError{http.StatusBadRequest, code, why} }
	media, err := rq.media()
	if rq.http.Method != http.MethodPost || err != nil || media != "application/x-www-form-urlencoded" || rq.http.URL.RawQuery != "" {
		return nil, refuse("invalid_request", "not a posted form")
	}
	form, err := url.ParseQuery(string(rq.body))
	if err != nil {
		return nil, refuse("invalid_request", "form")
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, refuse("invalid_request", "repeated parameter")
		}
	}
	if form.Get("grant_type") != "client_credentials" {
		return nil, refuse("unsupported_grant_type", "grant_type")
	}
	return form, nil
}

// known tells whether the client is who it says.
func (d *loginDesk) known(rq *request, login Login, form url.Values) error {
	if login.Kind == SmartLogin {
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			return &oauthError{http.StatusBadRequest, "invalid_request", "client_assertion_type"}
		}
		return d.checkAssertion(rq.http.Context(), login, form.Get("client_assertion"), "http://"+rq.http.Host+tokenPath)
	}
	id, secret, basic := rq.http.BasicAuth()
	if basic { // RFC 6749, 2.3.1: both are form-encoded first
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	same := subtle.ConstantTimeCompare([]byte(secret), []byte(login.Secret)) == 1
	switch {
	case login.Style == "basic" && !basic, login.Style == "post" && basic:
		return noClient("style")
	case id != login.ClientID:
		return noClient("client")
	case !same:
		return noClient("secret")
	}
	return nil
}

// admit lets those in who bring what is asked for.
func (s *Server) admit(rq *request) error {
	header := rq.http.Header.Get("Authorization")
	unauthorized := &failure{status: http.StatusUnauthorized, code: "login", text: "authorization is required"}
	d := s.login
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case rq.path == "/metadata":
		return nil
	case s.opts.RequireBearer != "" && header != "Bearer "+s.opts.RequireBearer:
		return unauthorized
	case d.login.Kind == "":
		return nil
	}
	token, _ := strings.CutPrefix(header, "Bearer ")
	got, ok := d.tokens[token]
	if !ok || !d.now().Before(got.until) {
		d.count.Unauthorized++
		return unauthorized
	}
	if !rq.within(got.scopes) {
		d.count.Forbidden++
		return &failure{status: http.StatusForbidden, code: "forbidden", text: "the token's scopes do not allow this"}
	}
	return nil
}

// discovery answers where the token endpoint is.
func (s *Server) discovery(w http.ResponseWriter, rq *request) bool {
	d := s.login
	d.mu.Lock()
	login, endpoint := d.login, d.endpoint
	d.mu.Unlock()
	if rq.path != discoveryPath || login.Kind == "" {
		return false
	}
	setDefault(&endpoint, "http://"+rq.http.Host+tokenPath)
	document := map[string]any{
		"token_endpoint":                                   endpoint,
		"grant_types_supported":                            []string{"client_credentials"},
		"capabilities":                                     []string{"client-confidential-asymmetric", "permission-v1", "permission-v2"},
		"token_endpoint_auth_methods_supported":            []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"RS384", "ES384"},
	}
	if login.Kind == SecretLogin {
		document["capabilities"] = []string{"client-confidential-symmetric"}
		document["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(w).Encode(document) // the client may be gone
	return true
}

// Logins tells what happened at the token endpoint.
func (s *Server) Logins() Logins {
	d := s.login
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.count
	out.Refused = maps.Clone(out.Refused)
	for token := range maps.Values(d.tokens) {
		if d.now().Before(token.until) {
			out.Live++
		}
	}
	return out
}

// RevokeTokens ends all tokens at once, and says how many.
func (s *Server) RevokeTokens() int {
	d := s.login
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.tokens)
	clear(d.tokens)
	return n
}

// LoginChange is what may be changed of a login while the server runs; what is
// zero stays.
type LoginChange struct {
	Keys     string   `json:"keys"`     // see Login
	Life     Duration `json:"life"`     // of tokens from now on
	Scopes   []string `json:"scopes"`   // of tokens from now on
	Endpoint string   `json:"endpoint"` // what discovery tells
	Refuse   int      `json:"refuse"`   // so many requests are refused with invalid_client
	Revoke   bool     `json:"revoke"`   // all tokens end
}

// ChangeLogin changes the login.
func (s *Server) ChangeLogin(c LoginChange) {
	if c.Revoke {
		s.RevokeTokens()
	}
	d := s.login
	d.mu.Lock()
	defer d.mu.Unlock()
	d.login.Keys = cmp.Or(c.Keys, d.login.Keys)
	d.login.Life = cmp.Or(time.Duration(c.Life), d.login.Life)
	d.endpoint = cmp.Or(c.Endpoint, d.endpoint)
	if c.Scopes != nil {
		d.login.Scopes = slices.Clone(c.Scopes)
	}
	d.refuse += c.Refuse
}

// controlLogin: GET tells what happened, POST changes something first.
func (s *Server) controlLogin(method string, body []byte) (any, error) {
	switch method {
	case http.MethodGet:
	case http.MethodPost, http.MethodPatch:
		var c LoginChange
		if err := strict(body, &c); err != nil {
			return nil, err
		}
		s.ChangeLogin(c)
	default:
		return nil, errNothingHere
	}
	return s.Logins(), nil
}
