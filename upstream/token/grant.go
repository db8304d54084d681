package token

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// secretGrant logs in with a client secret (RFC 6749, 4.4).
func secretGrant(opts Options, deps Deps) grant {
	client := httpClient(deps)
	conf := clientcredentials.Config{
		ClientID:     opts.ClientID,
		ClientSecret: opts.ClientSecret.Reveal(),
		TokenURL:     opts.TokenURL,
		Scopes:       opts.Scopes,
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	if opts.Style == Post {
		conf.AuthStyle = oauth2.AuthStyleInParams
	}
	return func(ctx context.Context) (issued, error) { return retrieve(ctx, client, deps.Now, &conf) }
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// smartGrant logs in with a signed assertion
// (https://hl7.org/fhir/smart-app-launch/backend-services.html).
func smartGrant(opts Options, deps Deps) (grant, error) {
	key, err := parseKey(opts.Key.Reveal())
	if err != nil {
		return nil, err
	}
	client := httpClient(deps)
	endpoint := newEndpoint(opts.TokenURL, deps)
	kid := key.public(opts.KeyID).ID
	return func(ctx context.Context) (issued, error) {
		address, err := endpoint.find(ctx)
		if err != nil {
			return issued{}, err
		}
		assertion, err := key.assertion(opts.ClientID, kid, address, deps.Now())
		if err != nil {
			return issued{}, err
		}
		return retrieve(ctx, client, deps.Now, &clientcredentials.Config{
			TokenURL:  address,
			Scopes:    opts.Scopes,
			AuthStyle: oauth2.AuthStyleInParams,
			EndpointParams: url.Values{
				"client_assertion_type": {assertionType},
				"client_assertion":      {assertion},
			},
		})
	}, nil
}

func retrieve(ctx context.Context, client *http.Client, now func() time.Time, conf *clientcredentials.Config) (issued, error) {
	got, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return issued{}, judge(err, now())
	}
	if !strings.EqualFold(got.Type(), "Bearer") || !sendable(got.AccessToken) {
		return issued{}, ErrNonsense
	}
	out := issued{value: got.AccessToken}
	if !got.Expiry.IsZero() {
		out.life = time.Until(got.Expiry)
	}
	return out, nil
}

// sendable tells whether a token may stand in a header (RFC 6750, 2.1).
func sendable(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return false
		}
	}
	return token != "" && len(token) <= 16<<10
}
