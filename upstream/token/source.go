package token

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Source hands out tokens. It is safe for concurrent use.
type Source interface {
	// Token is the value that goes after "Bearer ", "" where the source is open.
	//
	// Errors: ErrRefused, ErrDown, ErrNonsense, or that of ctx.
	Token(ctx context.Context) (string, error)
	// Refused tells that the EHR did not take the token. It is true when asking
	// Token again gives another one, so that the call may be tried once more.
	Refused(token string) bool
}

// Deps is what a Source needs from outside.
type Deps struct {
	// Base is the source's FHIR base URL, where discovery begins.
	Base string
	// Transport carries the requests to the token endpoint; nil: Go's own.
	Transport http.RoundTripper
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Timeout bounds one request for a token; 0: 15 s.
	Timeout time.Duration
}

// New makes the Source of these options, which must be valid.
func New(opts Options, deps Deps) (Source, error) {
	opts.SetDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Timeout == 0 {
		deps.Timeout = 15 * time.Second
	}
	switch opts.Kind {
	case Bearer:
		return fixed(opts.Token.Reveal()), nil
	case ClientSecret:
		return newRenewed(deps, secretGrant(opts, httpClient(deps))), nil
	case SmartBackend:
		grant, err := smartGrant(opts, deps)
		return newRenewed(deps, grant), err
	default:
		return fixed(""), nil
	}
}

// fixed is a token that never changes.
type fixed string

func (f fixed) Token(context.Context) (string, error) { return string(f), nil }
func (f fixed) Refused(string) bool                   { return false }

// issued is a token that a token endpoint gave.
type issued struct {
	value   string
	expires time.Time // zero: it was not said
}

// grant asks the token endpoint.
type grant func(ctx context.Context) (issued, error)

// renewed keeps a token until shortly before it ends.
type renewed struct {
	deps   Deps
	grant  grant
	flight singleflight.Group

	mu      sync.Mutex
	token   string
	renew   time.Time // from then on a new one is asked for
	granted time.Time
}

func newRenewed(deps Deps, grant grant) *renewed { return &renewed{deps: deps, grant: grant} }

func (r *renewed) Token(ctx context.Context) (string, error) {
	if token := r.kept(); token != "" {
		return token, nil
	}
	// The caller who happens to be first may go away; the others still want it.
	detached := context.WithoutCancel(ctx)
	done := r.flight.DoChan("", func() (any, error) { return r.ask(detached) })
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case result := <-done:
		if result.Err != nil {
			return "", result.Err
		}
		token, _ := result.Val.(string)
		return token, nil
	}
}

func (r *renewed) kept() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.token != "" && r.deps.Now().Before(r.renew) {
		return r.token
	}
	return ""
}

func (r *renewed) ask(ctx context.Context) (string, error) {
	if token := r.kept(); token != "" {
		return token, nil // another flight has just landed
	}
	ctx, cancel := context.WithTimeout(ctx, r.deps.Timeout)
	defer cancel()
	got, err := r.grant(ctx)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.granted = r.deps.Now()
	r.token, r.renew = got.value, renewal(r.granted, got.expires)
	return r.token, nil
}

// unsaid is how long a token is used whose end was not told.
const unsaid = 5 * time.Minute

// renewal is before the end by a tenth of the life, and by a minute at most:
// the token must survive the call that it goes out with.
func renewal(now, expires time.Time) time.Time {
	if expires.IsZero() {
		return now.Add(unsaid)
	}
	return expires.Add(-min(time.Minute, expires.Sub(now)/10))
}

// atMostEvery keeps an EHR that refuses every token from making us ask for one
// with every call: servers lock clients out for that.
const atMostEvery = 30 * time.Second

func (r *renewed) Refused(token string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.token != token {
		return r.token != "" // it was renewed meanwhile
	}
	if r.deps.Now().Sub(r.granted) < atMostEvery {
		return false
	}
	r.token = ""
	return true
}

func httpClient(deps Deps) *http.Client {
	return &http.Client{
		Transport:     deps.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
