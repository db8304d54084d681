package token

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"slotgate/config"
)

// Kind is a way of logging in.
type Kind string

// The ways of logging in.
const (
	None         Kind = "none"          // the source is open
	Bearer       Kind = "bearer"        // a fixed token
	ClientSecret Kind = "client_secret" // OAuth 2 client credentials with a secret
	SmartBackend Kind = "smart_backend" // OAuth 2 client credentials with a signed assertion
)

// Style is where the client secret stands in a request for a token (RFC 6749, 2.3.1).
type Style string

// The styles.
const (
	Basic Style = "basic" // in the Authorization header
	Post  Style = "post"  // in the form
)

// Options are the `auth` section of a source.
type Options struct {
	Kind Kind `yaml:"kind"` // default: none
	// Token is the fixed token of kind bearer (or token_file).
	Token config.Secret `yaml:"token"`
	// ClientID is our name at the token endpoint.
	ClientID string `yaml:"client_id"`
	// ClientSecret belongs to kind client_secret (or client_secret_file).
	ClientSecret config.Secret `yaml:"client_secret"`
	// Style is where the secret goes; default: basic.
	Style Style `yaml:"style"`
	// TokenURL is the token endpoint. Kind smart_backend finds it through
	// [base]/.well-known/smart-configuration when it is not given.
	TokenURL string `yaml:"token_url"`
	// Scopes are what we ask for, such as system/Slot.read.
	Scopes []string `yaml:"scopes"`
	// Key is our private key of kind smart_backend (or key_file): PEM, RSA of
	// 2048 bits or more (RS384) or EC on P-384 (ES384).
	Key config.Secret `yaml:"key"`
	// KeyID is the key's name in our published key set; default: its thumbprint
	// (RFC 7638).
	KeyID string `yaml:"kid"`
	// NextKey is published beside Key and signs nothing (or next_key_file): the
	// key that comes next, or the one before, while keys are changed.
	NextKey config.Secret `yaml:"next_key"`
	// NextKeyID is the name of NextKey.
	NextKeyID string `yaml:"next_kid"`
}

// SetDefaults fills in what was not given.
func (o *Options) SetDefaults() {
	if o.Kind == "" {
		o.Kind = None
	}
	if o.Style == "" {
		o.Style = Basic
	}
}

// Validate tells everything that is wrong. The message begins with the key.
func (o *Options) Validate() error {
	switch o.Kind {
	case None:
		return o.nothingElse()
	case Bearer:
		return need("token", o.Token.IsZero(), "kind bearer needs a token or token_file")
	case ClientSecret:
		return errors.Join(
			need("client_id", o.ClientID == "", "kind client_secret needs a client_id"),
			need("client_secret", o.ClientSecret.IsZero(), "kind client_secret needs a client_secret_file"),
			need("token_url", o.TokenURL == "", "kind client_secret needs a token_url"),
			need("style", o.Style != Basic && o.Style != Post, "unknown style; write basic or post"),
			checkURL("token_url", o.TokenURL),
		)
	case SmartBackend:
		return o.validateSmart()
	default:
		return fmt.Errorf("kind: unknown kind %q; write none, bearer, client_secret or smart_backend", o.Kind)
	}
}

// nothingElse catches the credentials that would silently not be used.
func (o *Options) nothingElse() error {
	given := o.ClientID != "" || !o.Token.IsZero() || !o.ClientSecret.IsZero() || !o.Key.IsZero() || !o.NextKey.IsZero()
	return need("kind", given, "credentials are given but kind is none; write bearer, client_secret or smart_backend")
}

func (o *Options) validateSmart() error {
	err := errors.Join(
		need("client_id", o.ClientID == "", "kind smart_backend needs a client_id"),
		need("key", o.Key.IsZero(), "kind smart_backend needs a key_file"),
		checkURL("token_url", o.TokenURL),
	)
	if err != nil {
		return err
	}
	_, err = PublicKeys(*o)
	return err
}

func need(key string, wrong bool, what string) error {
	if !wrong {
		return nil
	}
	return errors.New(key + ": " + what)
}

func checkURL(key, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || strings.Contains(text, "#") {
		return errors.New(key + ": is not an http or https address; write one such as https://auth.example.org/token")
	}
	return nil
}
