package token

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// endpoint is a token endpoint, found once and kept: whoever could answer in
// the source's place later must not be told our assertions.
type endpoint struct {
	client *http.Client
	base   string

	mu  sync.Mutex
	url string
}

func (e *endpoint) find(ctx context.Context) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.url != "" {
		return e.url, nil
	}
	found, err := e.discover(ctx)
	if err != nil {
		return "", err
	}
	e.url = found
	return found, nil
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
