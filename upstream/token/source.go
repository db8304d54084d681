package token

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Source hands out tokens. It is safe for concurrent use.
type Source interface {
	// Token is the value that goes after "Bearer ", "" where the source is open.
	//
	// Errors: ErrRefused, ErrDown, ErrNonsense, or that of ctx.
	Token(ctx context.Context) (string, error)
	// Refused tells that the EHR did not take the token. It is true when asking
	// Token again gives another one, so that the call may be tried once more.
	Refused(ctx context.Context, token string) bool
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
	// Store is where the nodes share the token; nil: this process alone has it.
	Store Store
	// Logger gets what operators should know, never a token; nil: nobody does.
	Logger *slog.Logger
	// Count is told how each login ended: "granted" (by the token endpoint),
	// "shared" (another node's), "refused", "down" or "nonsense"; nil: nobody is.
	Count func(outcome string)
}

func (d Deps) withDefaults() Deps {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Timeout == 0 {
		d.Timeout = 15 * time.Second
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Count == nil {
		d.Count = func(string) {}
	}
	return d
}

// New makes the Source of these options, which must be valid.
func New(opts Options, deps Deps) (Source, error) {
	opts.SetDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	deps = deps.withDefaults()
	common := newShared(opts, deps)
	switch opts.Kind {
	case Bearer:
		return fixed(opts.Token.Reveal()), nil
	case ClientSecret:
		return newRenewed(deps, secretGrant(opts, deps), common), nil
	case SmartBackend:
		grant, err := smartGrant(opts, deps)
		return newRenewed(deps, grant, common), err
	default:
		return fixed(""), nil
	}
}

// fixed is a token that never changes.
type fixed string

func (f fixed) Token(context.Context) (string, error) { return string(f), nil }
func (f fixed) Refused(context.Context, string) bool  { return false }

// issued is a token that a token endpoint gave.
type issued struct {
	value string
	life  time.Duration // 0: it was not said
}

// grant asks the token endpoint.
type grant func(ctx context.Context) (issued, error)

func httpClient(deps Deps) *http.Client {
	return &http.Client{
		Transport:     deps.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
