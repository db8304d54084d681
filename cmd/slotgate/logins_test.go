package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
	"slotgate/upstream/token"
)

// signingKey makes a key as it stands in a key_file.
func signingKey(t *testing.T) config.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return config.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestTwoGatewaysAtAnEHRBehindSMARTBackendServices books with one token for
// both, which is revoked in the middle, and changes our key while it does.
func TestTwoGatewaysAtAnEHRBehindSMARTBackendServices(t *testing.T) {
	t.Parallel()
	login := token.Options{Kind: token.SmartBackend, ClientID: "gateway", Key: signingKey(t), KeyID: "old", Scopes: []string{"system/*.cruds"}}
	keys, err := token.PublicKeys(login)
	if err != nil {
		t.Fatal(err)
	}
	sim := ehrsim.Options{
		Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4, Zone: "America/Denver", Practitioners: 2, Days: 7,
		Login: ehrsim.Login{Kind: ehrsim.SmartLogin, ClientID: "gateway", Keys: string(keys)},
	}
	h := newHouse(t, clinic{"smart", sim, func(o *upstream.Options) { o.Auth = login }})
	ehr := h.sims["smart"]
	// From now on it reads our keys where they are published.
	ehr.ChangeLogin(ehrsim.LoginChange{Keys: h.nodes[0].public.url() + "/.well-known/jwks.json"})
	slots := h.slots(t, "smart", 10)
	began := ehr.Logins()
	if began.Granted != 1 || began.Live != 1 {
		t.Errorf("two gateways, %d tokens: %+v", began.Granted, began)
	}

	tries := h.bookAll(t, slots[:5])
	ehr.RevokeTokens()
	tries = append(tries, h.bookAll(t, slots[5:])...)
	after := ehr.Logins()
	if after.Granted != 2 || after.Requests != began.Requests+1 {
		t.Errorf("after all tokens were revoked: %+v, before %+v", after, began)
	}

	// The next key is published first, then it signs, then the old one goes.
	h.change(t, func(o *token.Options) { o.NextKey, o.NextKeyID = signingKey(t), "new" })
	h.wantKeys(t, "old", "new")
	h.change(t, func(o *token.Options) { o.Key, o.KeyID, o.NextKey, o.NextKeyID = o.NextKey, "new", o.Key, "old" })
	h.wantKeys(t, "new", "old")
	h.change(t, func(o *token.Options) { o.NextKey = config.Secret{} })
	h.wantKeys(t, "new")
	if now := ehr.Logins(); now.Requests != after.Requests {
		t.Errorf("a change of keys alone asks for a token: %+v", now)
	}
	h.forget(t, "token")
	h.forget(t, "refused") // as if it were long ago
	ehr.RevokeTokens()
	if err := soon(t.Context(), func() error {
		if now := ehr.Logins(); now.Granted != 3 || now.Live != 1 {
			return fmt.Errorf("no login with the new key: %+v", now)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if now := ehr.Logins(); fmt.Sprint(now.Refused) != fmt.Sprint(began.Refused) {
		t.Errorf("refused: %v", now.Refused)
	}
	if err := h.agrees(t.Context(), "smart", tries); err != nil {
		t.Error(err)
	}
}

// bookAll holds and books each of the slots at once, by turns at both gateways.
func (h *house) bookAll(t *testing.T, slots []slot) []tried {
	t.Helper()
	tries := make([]tried, len(slots))
	var running sync.WaitGroup
	for i, s := range slots {
		running.Go(func() {
			u := h.user(1000*len(s.native) + int(s.start.Unix()/60%100_000))
			if held := u.hold(t.Context(), i%2, s.offer); held.code != http.StatusOK {
				t.Errorf("hold: %s %s", held, held.raw)
			}
			tries[i] = tried{u, s, u.book(t.Context(), (i+1)%2, s.offer)}
			if got := tries[i].answer; got.status != "booked" {
				t.Errorf("book: %s %s", got, got.raw)
			}
		})
	}
	running.Wait()
	return tries
}

// change gives all nodes a configuration with another login.
func (h *house) change(t *testing.T, bend func(*token.Options)) {
	t.Helper()
	next := *h.file
	next.Sources = slices.Clone(h.file.Sources)
	bend(&next.Sources[0].Auth)
	if err := next.Validate(); err != nil {
		t.Fatal(err)
	}
	h.file = &next
	for _, n := range h.nodes {
		if err := n.reload(h.file); err != nil {
			t.Fatal(err)
		}
	}
}

// wantKeys reads our public keys at each gateway.
func (h *house) wantKeys(t *testing.T, want ...string) {
	t.Helper()
	for _, n := range h.nodes {
		res, err := h.client.Get(n.public.url() + "/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(text, &set); err != nil {
			t.Fatalf("%s %s", res.Status, text)
		}
		var got []string
		for _, key := range set.Keys {
			got = append(got, key["kid"])
			if key["d"] != "" || key["use"] != "sig" || key["alg"] != "ES384" {
				t.Errorf("%v", key)
			}
		}
		if !slices.Equal(got, want) || res.Header.Get("Cache-Control") != "public, max-age=300" || strings.Contains(string(text), "PRIVATE") {
			t.Errorf("keys %v, want %v: %s", got, want, text)
		}
	}
}

// forget takes one of the source's keys out of Redis.
func (h *house) forget(t *testing.T, key string) {
	t.Helper()
	o, err := redis.ParseURL(h.file.Redis.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	if n, err := c.Del(t.Context(), "slotgate:{s:smart}:"+key).Result(); n != 1 || err != nil {
		t.Fatalf("%s: %d, %v", key, n, err)
	}
}

func TestTwoKeysOfOneNameAreAWrongConfig(t *testing.T) {
	t.Parallel()
	f := newFile()
	for _, id := range []scheduling.SourceID{"one", "two"} {
		o := upstream.Options{ID: id, Base: "https://ehr.example.org", Dialect: "slots"}
		o.Auth = token.Options{Kind: token.SmartBackend, ClientID: "x", Key: signingKey(t), KeyID: "k"}
		o.SetDefaults()
		f.Sources = append(f.Sources, o)
	}
	if err := f.Validate(); err == nil || !strings.Contains(err.Error(), `two keys have the name "k"`) || !strings.Contains(err.Error(), "sources[1].auth.kid") {
		t.Error(err)
	}
	f.Sources[1].Auth.KeyID = ""
	if err := f.Validate(); err != nil {
		t.Error(err)
	}
}
