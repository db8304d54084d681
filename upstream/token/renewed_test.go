package token

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/config"
)

func TestATokenIsRenewedBeforeItsEndAndNotByAllAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tc := range []struct{ life, late, spread time.Duration }{
		{time.Hour, 59 * time.Minute, 2 * time.Minute},
		{5 * time.Minute, 270 * time.Second, time.Minute},
		{10 * time.Second, 9 * time.Second, 2 * time.Second},
	} {
		earliest, latest := tc.life, time.Duration(0)
		for range 1000 {
			h := hold("x", now, tc.life, tc.life)
			if h.late.Sub(now) != tc.late || h.end.Sub(now) != tc.life {
				t.Fatalf("%v: %v", tc.life, h)
			}
			earliest, latest = min(earliest, h.early.Sub(now)), max(latest, h.early.Sub(now))
		}
		if earliest < tc.late-tc.spread || latest > tc.late || latest-earliest < tc.spread/2 {
			t.Errorf("%v: renewed from %v to %v", tc.life, earliest, latest)
		}
	}
	for said, want := range map[time.Duration]time.Duration{0: unsaid, -time.Second: unsaid, time.Second: time.Second, 1000 * time.Hour: longest} {
		if got := lifeOf(said); got != want {
			t.Errorf("%v: %v", said, got)
		}
	}
}

func TestAFailingEndpointIsAskedLessAndLessOften(t *testing.T) {
	t.Parallel()
	e := newEndpointServer(t)
	e.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	now := time.Now()
	s := newSource(t, secretOptions(e), Deps{Now: func() time.Time { return now }})
	for want := 1; want <= 4; want++ {
		for range 50 {
			if _, err := s.Token(t.Context()); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
		}
		if e.count() != want {
			t.Errorf("asked %d times, want %d", e.count(), want)
		}
		now = now.Add(firstRest << (want - 1))
	}
	e.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	_, _ = s.Token(t.Context())
	e.answer = nil
	now = now.Add(119 * time.Second)
	if _, err := s.Token(t.Context()); !errors.Is(err, ErrDown) {
		t.Errorf("before it wishes: %v", err)
	}
	now = now.Add(time.Second)
	if got, err := s.Token(t.Context()); got == "" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestTheOldTokenIsUsedToItsEndWhileThereIsNoNewOne(t *testing.T) {
	t.Parallel()
	e := newEndpointServer(t)
	now := time.Now()
	s := newSource(t, secretOptions(e), Deps{Now: func() time.Time { return now }})
	first, _ := s.Token(t.Context())
	e.mu.Lock()
	e.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	e.mu.Unlock()
	now = now.Add(290 * time.Second)
	if got, err := s.Token(t.Context()); got != first || err != nil {
		t.Errorf("before its end: %q %v", got, err)
	}
	now = now.Add(11 * time.Second)
	if got, err := s.Token(t.Context()); !errors.Is(err, ErrDown) {
		t.Errorf("after its end: %q %v", got, err)
	}
}

// brokenStore answers everything wrongly.
type brokenStore struct{ record []byte }

func (b brokenStore) Load(context.Context) ([]byte, time.Duration, error) {
	return b.record, time.Minute, nil
}

func (brokenStore) Save(context.Context, string, []byte, time.Duration) error {
	return errors.New("no")
}

func (brokenStore) Refuse(context.Context, string, time.Duration) (bool, error) {
	return false, errors.New("no")
}

func (brokenStore) Lease(context.Context, time.Duration) (func(context.Context) error, bool, error) {
	return nil, false, errors.New("no")
}

func (brokenStore) Pin(context.Context, string, string) (string, error) { return "", errors.New("no") }

func TestABadRecordIsNoToken(t *testing.T) {
	t.Parallel()
	e := newEndpointServer(t)
	o := secretOptions(e)
	login := newShared(o, Deps{Store: brokenStore{}}).login
	for i, text := range []string{
		"", "no JSON", "null", `{"token":"x"}`, `{"token":"x","life":60000,"login":"other"}`,
		`{"token":"a b","life":60000,"login":"` + login + `"}`, `{"token":"x","life":-1,"login":"` + login + `"}`,
		`{"token":"` + strings.Repeat("x", 17<<10) + `","life":60000,"login":"` + login + `"}`,
	} {
		s := newSource(t, o, Deps{Store: brokenStore{[]byte(text)}})
		if got, err := s.Token(t.Context()); err != nil || !strings.HasPrefix(got, "t") || e.count() != i+1 {
			t.Errorf("%s: %q %v", text, got, err)
		}
	}
	good := `{"token":"shared","life":60000,"login":"` + login + `"}`
	if got, err := newSource(t, o, Deps{Store: brokenStore{[]byte(good)}}).Token(t.Context()); got != "shared" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestThePublicKeySetHasNothingPrivateInIt(t *testing.T) {
	t.Parallel()
	rs, ec, next := keyPEM(t, rsaKey(t, 2048)), keyPEM(t, ecKey(t, elliptic.P384())), keyPEM(t, ecKey(t, elliptic.P384()))
	smart := func(key config.Secret, kid string) Options {
		return Options{Kind: SmartBackend, ClientID: "x", Key: key, KeyID: kid}
	}
	rotating := smart(ec, "")
	rotating.NextKey, rotating.NextKeyID = next, "2027"
	text, err := PublicKeys(Options{}, smart(rs, "2026"), rotating, smart(rs, "2026"), Options{Kind: Bearer})
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("%s %v", text, err)
	}
	for i, want := range [][]string{
		{"alg RS384", "e AQAB", "kid 2026", "kty RSA", "n", "use sig"},
		{"alg ES384", "crv P-384", "kid", "kty EC", "use sig", "x", "y"},
		{"alg ES384", "crv P-384", "kid 2027", "kty EC", "use sig", "x", "y"},
	} {
		for k, name := range slices.Sorted(maps.Keys(set.Keys[i])) {
			member, value, fixed := strings.Cut(want[k], " ")
			if name != member || fixed && set.Keys[i][name] != value || set.Keys[i][name] == "" {
				t.Errorf("key %d: %s is %s, want %s", i, name, set.Keys[i][name], want[k])
			}
		}
		if len(set.Keys[i]) != len(want) {
			t.Errorf("key %d has %d members", i, len(set.Keys[i]))
		}
	}
	if len(set.Keys[1]["kid"]) != 43 {
		t.Errorf("no thumbprint: %s", set.Keys[1]["kid"])
	}
	if text, err := PublicKeys(Options{}, Options{Kind: Bearer}); text != nil || err != nil {
		t.Errorf("where nobody signs: %s %v", text, err)
	}
	if _, err := PublicKeys(smart(rs, "a"), smart(ec, "a")); err == nil {
		t.Error("two keys of one name are taken")
	}
	rotating.NextKeyID, rotating.KeyID = "a", "a"
	if err := rotating.Validate(); err == nil {
		t.Error("a next key of the same name is taken")
	}
	rotating.NextKey = config.NewSecret("no key")
	if err := rotating.Validate(); err == nil || !strings.HasPrefix(err.Error(), "next_key: ") {
		t.Errorf("%v", err)
	}
}

// TestAThumbprintIsThatOfTheStandard takes the example of RFC 7638, 3.1.
func TestAThumbprintIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	key := jwk{Type: "RSA", E: "AQAB", N: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}
	if got := key.thumbprint(); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Error(got)
	}
}
