package token

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// endpoint is a token endpoint, found once and kept: whoever could answer in
// the source's place later must not be told our assertions. Its origin is
// pinned in the store, for the other nodes and for later.
type endpoint struct {
	client *http.Client
	base   string
	store  Store // nil: it is pinned in this process alone
	log    *slog.Logger

	mu     sync.Mutex
	url    string
	pinned bool // the store has it, or nobody needs to
}

func newEndpoint(configured string, deps Deps) *endpoint {
	return &endpoint{
		client: httpClient(deps), base: deps.Base, store: deps.Store, log: deps.Logger,
		url: configured, pinned: configured != "",
	}
}

func (e *endpoint) find(ctx context.Context) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.url == "" {
		found, err := e.discover(ctx)
		if err != nil {
			return "", err
		}
		e.url = found
	}
	if err := e.pin(ctx); err != nil {
		e.url = "" // it may have been for a moment only
		return "", err
	}
	return e.url, nil
}

// pin compares the endpoint's origin with the one that was found first.
func (e *endpoint) pin(ctx context.Context) error {
	if e.pinned || e.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	found := originOf(e.url)
	first, err := e.store.Pin(ctx, e.base, found)
	switch {
	case err != nil:
		e.log.Warn("the token endpoint is not compared with that of before: the store does not answer", "error", err)
		return nil
	case first != found:
		e.log.Error("discovery names a token endpoint at another address than before; it is not used. Write token_url if it has moved",
			"pinned", first, "found", found)
		return fmt.Errorf("%w: discovery names a token endpoint at another address than before", ErrNonsense)
	}
	e.pinned = true
	return nil
}

// originOf is scheme, host and port (RFC 6454) of an address that was checked.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// maxConfiguration is far above any smart-configuration document.
const maxConfiguration = 256 << 10

// discover reads [base]/.well-known/smart-configuration
// (https://hl7.org/fhir/smart-app-launch/conformance.html).
func (e *endpoint) discover(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+"/.well-known/smart-configuration", http.NoBody)
	if err != nil {
		return "", ErrNonsense
	}
	req.Header.Set("Accept", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: discovery: %w", ErrDown, inner(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("discovery: %w", judgeStatus(resp.StatusCode))
	}
	var document struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxConfiguration)).Decode(&document)
	if err != nil {
		return "", fmt.Errorf("%w: discovery", ErrNonsense)
	}
	return document.TokenEndpoint, e.good(document.TokenEndpoint)
}

// good tells why an endpoint may not be pinned: it is none, or it would carry
// our assertion in clear although the source itself is spoken to by TLS.
func (e *endpoint) good(address string) error {
	if address == "" || checkURL("token_endpoint", address) != nil {
		return fmt.Errorf("%w: discovery names no token endpoint", ErrNonsense)
	}
	if strings.HasPrefix(e.base, "https:") && !strings.HasPrefix(strings.ToLower(address), "https:") {
		return fmt.Errorf("%w: discovery names a token endpoint without TLS", ErrNonsense)
	}
	return nil
}

// inner is the cause within an error of net/http, without the address.
func inner(err error) error {
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // net/http says that it is never wrapped
		return e.Err
	}
	return err
}
