package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"slotgate/cache"
	"slotgate/config"
)

func TestMain(m *testing.M) {
	cache.LogClientTo(slog.New(slog.DiscardHandler))
	// The probe of go-redis for a server that is gone sleeps a second, also when its pool is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// endpointServer is a token endpoint with its discovery document.
type endpointServer struct {
	*httptest.Server
	mu     sync.Mutex
	asked  int
	forms  []map[string]string
	basics []string
	answer http.HandlerFunc // nil: a new token that lives for expires seconds
	life   int
	seen   map[string]bool // jti
	key    crypto.PublicKey
}

func newEndpointServer(t *testing.T) *endpointServer {
	t.Helper()
	e := &endpointServer{life: 300, seen: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/fhir/.well-known/smart-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"token_endpoint": e.URL + "/token"})
	})
	mux.HandleFunc("/token", e.token)
	e.Server = httptest.NewServer(mux)
	t.Cleanup(e.Close)
	return e
}

func (e *endpointServer) token(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = r.ParseForm()
	e.asked++
	form := map[string]string{}
	for name := range r.PostForm {
		form[name] = r.PostForm.Get(name)
	}
	e.forms = append(e.forms, form)
	user, password, _ := r.BasicAuth()
	e.basics = append(e.basics, user+":"+password)
	if e.answer != nil {
		e.answer(w, r)
		return
	}
	if e.key != nil && !e.goodAssertion(form["client_assertion"]) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"secret words"}`))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":%d}`, e.asked, e.life)
}

// goodAssertion judges as a SMART server does: algorithm, audience, life, and a
// jti that is used once.
func (e *endpointServer) goodAssertion(text string) bool {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return e.key, nil },
		jwt.WithValidMethods([]string{"RS384", "ES384"}), jwt.WithAudience(e.URL+"/token"), jwt.WithExpirationRequired(),
		jwt.WithIssuer("slotgate"), jwt.WithSubject("slotgate"))
	if err != nil || e.seen[claims.ID] || claims.ID == "" || time.Until(claims.ExpiresAt.Time) > 5*time.Minute {
		return false
	}
	e.seen[claims.ID] = true
	return true
}

func (e *endpointServer) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

func keyPEM(t *testing.T, key crypto.Signer) config.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return config.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSource(t *testing.T, o Options, deps Deps) Source {
	t.Helper()
	s, err := New(o, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnOpenSourceAndAFixedTokenAskNobody(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{"": {}, "abc": {Kind: Bearer, Token: config.NewSecret("abc")}} {
		s := newSource(t, o, Deps{})
		got, err := s.Token(t.Context())
		if got != want || err != nil || s.Refused(t.Context(), got) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestAClientSecretGoesWhereTheEndpointWantsIt(t *testing.T) {
	t.Parallel()
	for style, basic := range map[Style]string{"": "slotgate:s3cret", Basic: "slotgate:s3cret", Post: ":"} {
		e := newEndpointServer(t)
		s := newSource(t, Options{
			Kind: ClientSecret, ClientID: "slotgate", ClientSecret: config.NewSecret("s3cret"), Style: style,
			TokenURL: e.URL + "/token", Scopes: []string{"system/Slot.read", "system/Schedule.read"},
		}, Deps{})
		got, err := s.Token(t.Context())
		if got != "t1" || err != nil {
			t.Fatalf("%q %v", got, err)
		}
		form := e.forms[0]
		if e.basics[0] != basic || form["scope"] != "system/Slot.read system/Schedule.read" || form["grant_type"] != "client_credentials" || (form["client_secret"] == "s3cret") != (style == Post) {
			t.Errorf("style %q: %v %v", style, e.basics, form)
		}
	}
}

func TestSmartBackendSignsWithBothAlgorithmsAndANewAssertionEachTime(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RS384": rsaKey(t, 2048), "ES384": ecKey(t, elliptic.P384())} {
		e := newEndpointServer(t)
		e.key, e.life = key.Public(), 20
		var mu sync.Mutex
		now := time.Now()
		s := newSource(t, Options{Kind: SmartBackend, ClientID: "slotgate", Key: keyPEM(t, key), KeyID: "k1"}, Deps{
			Base: e.URL + "/fhir", Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		})
		for want := 1; want <= 2; want++ {
			got, err := s.Token(t.Context())
			if err != nil || got != fmt.Sprintf("t%d", want) {
				t.Fatalf("%s: %q %v", name, got, err)
			}
			mu.Lock()
			now = now.Add(30 * time.Second) // past the token's life
			mu.Unlock()
		}
		head, _, err := jwt.NewParser().ParseUnverified(e.forms[0]["client_assertion"], &jwt.RegisteredClaims{})
		if err != nil || head.Header["alg"] != name || head.Header["kid"] != "k1" || head.Header["typ"] != "JWT" {
			t.Errorf("%v %v", head.Header, err)
		}
	}
}

func TestManyCallersAtOnceAskForOneToken(t *testing.T) {
	t.Parallel()
	e := newEndpointServer(t)
	s := newSource(t, secretOptions(e), Deps{})
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if got, err := s.Token(t.Context()); got != "t1" || err != nil {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	wg.Wait()
	if e.count() != 1 {
		t.Errorf("asked %d times", e.count())
	}
}

func secretOptions(e *endpointServer) Options {
	return Options{Kind: ClientSecret, ClientID: "slotgate", ClientSecret: config.NewSecret("s3cret"), TokenURL: e.URL + "/token"}
}

func TestTheFirstCallerMayGoAwayTheOthersGetTheToken(t *testing.T) {
	t.Parallel()
	e := newEndpointServer(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	e.answer = func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-goOn
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"late","token_type":"Bearer"}`))
	}
	s := newSource(t, secretOptions(e), Deps{})
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error), make(chan string)
	go func() { _, err := s.Token(ctx); first <- err }()
	<-asked
	go func() { got, _ := s.Token(t.Context()); second <- got }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	close(goOn)
	if got := <-second; got != "late" {
		t.Errorf("second: %q", got)
	}
}

func TestARefusedTokenIsRenewedButNotWithEveryCall(t *testing.T) {
	t.Parallel()
	e := newEndpointServer(t)
	now := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	e.life = 86400
	s := newSource(t, secretOptions(e), Deps{Now: func() time.Time { return now }})
	first, _ := s.Token(t.Context())
	if !s.Refused(t.Context(), first) {
		t.Error("the first refusal is not believed")
	}
	second, _ := s.Token(t.Context())
	if second != "t2" || !s.Refused(t.Context(), first) {
		t.Errorf("then %q, and those who come late with the old one are not told", second)
	}
	now = now.Add(atMostEvery - time.Second)
	if s.Refused(t.Context(), second) {
		t.Error("an EHR that refuses all is asked for a token with every call")
	}
	if kept, _ := s.Token(t.Context()); kept != second || e.count() != 2 {
		t.Errorf("%q after %d requests", kept, e.count())
	}
	now = now.Add(2 * time.Second)
	if !s.Refused(t.Context(), second) {
		t.Error("it is not renewed any more")
	}
}

func TestWhatGoesWrongAtTheEndpointIsToldWithoutItsWords(t *testing.T) {
	t.Parallel()
	body := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"refused":         {body(401, `{"error":"invalid_client","error_description":"canary"}`), ErrRefused},
		"bad request":     {body(400, `{"error":"invalid_scope","error_description":"canary"}`), ErrRefused},
		"down":            {body(503, `canary`), ErrDown},
		"throttled":       {body(429, `canary`), ErrDown},
		"HTML":            {body(200, `<html>canary</html>`), ErrNonsense},
		"no token":        {body(200, `{"token_type":"bearer"}`), ErrNonsense},
		"another type":    {body(200, `{"access_token":"canary","token_type":"mac"}`), ErrNonsense},
		"a broken header": {body(200, `{"access_token":"can\r\nary","token_type":"bearer"}`), ErrNonsense},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, ErrNonsense},
		"an error in a 200":         {body(200, `{"error":"invalid_client","error_description":"canary"}`), ErrRefused},
		"an unknown error in a 200": {body(200, `{"error":"canary"}`), ErrNonsense},
		"a huge answer":             {body(200, `{"token_type":"bearer","access_token":"`+strings.Repeat("x", 2<<20)+`"}`), ErrNonsense},
		"a huge token":              {body(200, `{"token_type":"bearer","access_token":"`+strings.Repeat("x", 17<<10)+`"}`), ErrNonsense},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpointServer(t)
			e.answer = tc.answer
			_, err := newSource(t, secretOptions(e), Deps{}).Token(t.Context())
			if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	o := Options{Kind: ClientSecret, ClientID: "x", ClientSecret: config.NewSecret("y"), TokenURL: gone.URL}
	if _, err := newSource(t, o, Deps{}).Token(t.Context()); !errors.Is(err, ErrDown) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestLaw11TheTokenEndpointIsPinnedAtFirstGoodDiscovery(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P384())
	var evil, good int
	document := "no JSON"
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("/.well-known/smart-configuration", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(document)) })
	grant := func(n *int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			*n++
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"t","token_type":"bearer","expires_in":1}`))
		}
	}
	mux.HandleFunc("/good", grant(&good))
	mux.HandleFunc("/evil", grant(&evil))
	now := time.Now()
	s := newSource(t, Options{Kind: SmartBackend, ClientID: "slotgate", Key: keyPEM(t, key)}, Deps{Base: srv.URL, Now: func() time.Time { return now }})
	for _, bad := range []string{"no JSON", `{}`, `{"token_endpoint":"javascript:alert(1)"}`, `{"token_endpoint":"/good"}`} {
		document = bad
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrNonsense) {
			t.Errorf("%s: %v", bad, err)
		}
		now = now.Add(longRest)
	}
	document = `{"token_endpoint":"` + srv.URL + `/good"}`
	if _, err := s.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	document = `{"token_endpoint":"` + srv.URL + `/evil"}`
	now = now.Add(time.Minute) // the token is over
	if _, err := s.Token(t.Context()); err != nil || evil != 0 || good != 2 {
		t.Errorf("%v, %d at the pinned endpoint, %d at the other", err, good, evil)
	}
	e := &endpoint{base: "https://ehr.example.org"}
	if err := e.good("http://ehr.example.org/token"); !errors.Is(err, ErrNonsense) {
		t.Errorf("an endpoint without TLS: %v", err)
	}
}

func TestOnlyKeysThatSmartTakesAreTaken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key  config.Secret
		want string
	}{
		"P-256":        {keyPEM(t, ecKey(t, elliptic.P256())), "use RSA of 2048 bits or more, or EC on P-384"},
		"RSA of 1024":  {keyPEM(t, rsaKey(t, 1024)), "use RSA of 2048 bits or more, or EC on P-384"},
		"no PEM":       {config.NewSecret("hello"), "no private key in PEM form"},
		"a broken PEM": {config.NewSecret("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"), "no private key in PEM form"},
	} {
		o := Options{Kind: SmartBackend, ClientID: "slotgate", Key: tc.key}
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
