package ehrsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// smartKey is a key pair with its half of a key set.
type smartKey struct {
	kid    string
	method jwt.SigningMethod
	key    crypto.Signer
	public map[string]string
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func newECKey(t *testing.T, kid string) smartKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return smartKey{kid, jwt.SigningMethodES384, key, map[string]string{
		"kty": "EC", "crv": "P-384", "kid": kid, "alg": "ES384", "use": "sig", "x": b64(point[1:49]), "y": b64(point[49:]),
	}}
}

func newRSAKey(t *testing.T, kid string) smartKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return smartKey{kid, jwt.SigningMethodRS384, key, map[string]string{
		"kty": "RSA", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
	}}
}

func setOf(keys ...smartKey) string {
	var list []map[string]string
	for _, key := range keys {
		list = append(list, key.public)
	}
	text, _ := json.Marshal(map[string]any{"keys": list}) // never fails
	return string(text)
}

// sign makes an assertion that is right, but for what bend does to it.
func (k smartKey) sign(t *testing.T, now time.Time, endpoint string, bend func(head, claims map[string]any)) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": "slotgate", "sub": "slotgate", "aud": endpoint, "exp": now.Add(4 * time.Minute).Unix(), "jti": rand.Text(),
	}
	token := jwt.NewWithClaims(k.method, claims)
	token.Header["kid"] = k.kid
	if bend != nil {
		bend(token.Header, claims)
	}
	text, err := token.SignedString(k.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// askToken posts a form to the token endpoint, and tells the answer.
func (w *wire) askToken(form url.Values, header ...string) (answer, map[string]any) {
	w.t.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	a, err := w.do(w.t.Context(), http.MethodPost, w.endpoint(), form.Encode(), header...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a, a.json(w.t)
}

func (w *wire) endpoint() string { return strings.TrimSuffix(w.base, BasePath) + tokenPath }

func smartForm(assertion, scopes string) url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "scope": {scopes}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
}

func TestAnAssertionIsTakenOnceAndOnlyIfAllOfItIsRight(t *testing.T) {
	t.Parallel()
	ec, other := newECKey(t, "ec"), newECKey(t, "ec")
	rs := newRSAKey(t, "rs")
	w := start(t, Options{Login: Login{Kind: SmartLogin, Keys: setOf(ec, rs)}})
	for _, key := range []smartKey{ec, rs} {
		once := smartForm(key.sign(t, monday, w.endpoint(), nil), "system/*.read")
		if a, body := w.askToken(once); a.StatusCode != http.StatusOK || body["token_type"] != "bearer" || body["expires_in"] != 300.0 {
			t.Errorf("%s: %d %v", key.kid, a.StatusCode, body)
		}
		if a, body := w.askToken(once); a.StatusCode != http.StatusUnauthorized || body["error_description"] != "jti replayed" {
			t.Errorf("%s again: %d %v", key.kid, a.StatusCode, body)
		}
	}
	at := func(d time.Duration) int64 { return monday.Add(d).Unix() }
	for why, bend := range map[string]func(head, claims map[string]any){
		"iss":                func(_, c map[string]any) { c["iss"] = "somebody" },
		"sub":                func(_, c map[string]any) { c["sub"] = "somebody" },
		"aud":                func(_, c map[string]any) { c["aud"] = w.base },
		"expired":            func(_, c map[string]any) { c["exp"] = at(0) },
		"exp too far ahead":  func(_, c map[string]any) { c["exp"] = at(5*time.Minute + time.Second) },
		"from the future":    func(_, c map[string]any) { c["iat"] = at(2 * time.Minute) },
		"no jti":             func(_, c map[string]any) { delete(c, "jti") },
		"no kid":             func(h, _ map[string]any) { delete(h, "kid") },
		"unknown kid":        func(h, _ map[string]any) { h["kid"] = "nobody's" },
		"key cannot be used": func(h, _ map[string]any) { h["kid"] = "rs" },
		"alg":                func(h, _ map[string]any) { h["alg"] = "none" },
		"no JWT":             func(h, _ map[string]any) { h["typ"] = "JWS" },
	} {
		a, body := w.askToken(smartForm(ec.sign(t, monday, w.endpoint(), bend), "system/*.read"))
		if a.StatusCode != http.StatusUnauthorized || body["error"] != "invalid_client" || body["error_description"] != why {
			t.Errorf("%s: %d %v", why, a.StatusCode, body)
		}
	}
	if _, body := w.askToken(smartForm(other.sign(t, monday, w.endpoint(), nil), "system/*.read")); body["error_description"] != "signature" {
		t.Errorf("another's key: %v", body)
	}
	if got := w.srv.Logins(); got.Granted != 2 || got.Requests != 17 || got.Live != 2 || got.Refused["jti replayed"] != 2 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNoRequestForATokenIsRefused(t *testing.T) {
	t.Parallel()
	key := newECKey(t, "ec")
	w := start(t, Options{Login: Login{Kind: SmartLogin, Keys: setOf(key), Scopes: []string{"system/Slot.rs"}}})
	for want, bend := range map[string]func(url.Values){
		"unsupported_grant_type grant_type":     func(f url.Values) { f.Set("grant_type", "password") },
		"invalid_request client_assertion_type": func(f url.Values) { f.Del("client_assertion_type") },
		"invalid_request repeated parameter":    func(f url.Values) { f.Add("scope", "system/*.*") },
		"invalid_client no JWT":                 func(f url.Values) { f.Set("client_assertion", "a.b.c") },
		"invalid_scope scope":                   func(f url.Values) { f.Set("scope", "system/Slot.cruds user/Slot.rs nonsense") },
	} {
		form := smartForm(key.sign(t, monday, w.endpoint(), nil), "system/Slot.rs")
		bend(form)
		if _, body := w.askToken(form); fmt.Sprint(body["error"], " ", body["error_description"]) != want {
			t.Errorf("want %s: %v", want, body)
		}
	}
	if a, err := w.do(t.Context(), http.MethodGet, w.endpoint()+"?grant_type=client_credentials", ""); err != nil || a.StatusCode != http.StatusBadRequest {
		t.Errorf("GET: %v %v", a, err)
	}
}

func TestKeysAreReadByURLAndMustBePublic(t *testing.T) {
	t.Parallel()
	key := newECKey(t, "ec")
	set := setOf(key)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(set)) }))
	t.Cleanup(keys.Close)
	w := start(t, Options{Login: Login{Kind: SmartLogin, Keys: keys.URL}})
	ask := func() string {
		_, body := w.askToken(smartForm(key.sign(t, monday, w.endpoint(), nil), "system/*.*"))
		return fmt.Sprint(body["error_description"])
	}
	if why := ask(); why != "<nil>" {
		t.Error(why)
	}
	set = setOf(newECKey(t, "next"))
	if why := ask(); why != "unknown kid" {
		t.Errorf("a key that was taken back: %s", why)
	}
	private := newECKey(t, "ec")
	private.public = maps.Clone(key.public)
	private.public["d"] = "secret"
	set = setOf(private)
	if why := ask(); why != "private key in the key set" {
		t.Error(why)
	}
	keys.Close()
	if why := ask(); why != "keys cannot be read" {
		t.Error(why)
	}
}

func TestASecretIsTakenFromWhereItShouldStand(t *testing.T) {
	t.Parallel()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("slotgate:s3%2Bcret"))
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.*"}}
	posted := maps.Clone(form)
	posted.Set("client_id", "slotgate")
	posted.Set("client_secret", "s3+cret")
	wrong := maps.Clone(posted)
	wrong.Set("client_secret", "s3cret")
	for style, want := range map[string][3]any{
		"": {nil, nil, "secret"}, "basic": {nil, "style", "style"}, "post": {"style", nil, "secret"},
	} {
		w := start(t, Options{Login: Login{Kind: SecretLogin, Secret: "s3+cret", Style: style}})
		_, a := w.askToken(form, "Authorization", basic)
		_, b := w.askToken(posted)
		_, c := w.askToken(wrong)
		if got := [3]any{a["error_description"], b["error_description"], c["error_description"]}; got != want {
			t.Errorf("style %q: %v, want %v", style, got, want)
		}
	}
}

func TestFHIRNeedsALiveTokenWithTheScope(t *testing.T) {
	t.Parallel()
	now := monday
	w := start(t, Options{Dialect: Slots, Login: Login{Kind: SecretLogin, Secret: "x", Life: time.Minute}, Now: func() time.Time { return now }})
	token := func(scopes string) string {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {scopes}, "client_id": {"slotgate"}, "client_secret": {"x"}}
		_, body := w.askToken(form)
		return fmt.Sprint("Bearer ", body["access_token"])
	}
	get := func(path, auth string) int {
		a, err := w.do(t.Context(), http.MethodGet, path, "", "Authorization", auth)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode
	}
	slots := token("system/Slot.read")
	for _, tc := range []struct {
		path, auth string
		want       int
	}{
		{"/metadata", "", 200},
		{"/.well-known/smart-configuration", "", 200},
		{"/Slot", "", 401},
		{"/Slot", "Bearer nobody's", 401},
		{"/Slot", slots, 200},
		{"/Schedule", slots, 403},
		{"/Schedule", token("system/*.s"), 200},
		{"/Patient/pat-1", token("system/*.s"), 403},
		{"/Patient/pat-1", token("system/Patient.cruds"), 200},
		{"/Patient/pat-1", token("system/*.write"), 403},
	} {
		if got := get(tc.path, tc.auth); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.path, got, tc.want)
		}
	}
	now = now.Add(time.Minute)
	if got := get("/Slot", slots); got != 401 {
		t.Errorf("a token that has ended: %d", got)
	}
	slots = token("system/Slot.rs")
	if n := w.srv.RevokeTokens(); n == 0 || get("/Slot", slots) != 401 {
		t.Errorf("%d revoked", n)
	}
}

func TestTheLoginIsChangedByTheControlAPI(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Login: Login{Kind: SecretLogin, Secret: "x"}})
	control := strings.TrimSuffix(w.base, BasePath) + "/_control/login"
	post := func(body string) map[string]any {
		a, err := w.do(t.Context(), http.MethodPost, control, body)
		if err != nil {
			t.Fatal(err)
		}
		return a.json(t)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.*"}, "client_id": {"slotgate"}, "client_secret": {"x"}}
	post(`{"refuse":1,"life":"20s","endpoint":"http://127.0.0.2/token"}`)
	if _, body := w.askToken(form); body["error"] != "invalid_client" {
		t.Error(body)
	}
	if _, body := w.askToken(form); body["expires_in"] != 20.0 {
		t.Error(body)
	}
	a, err := w.do(t.Context(), http.MethodGet, "/.well-known/smart-configuration", "")
	if err != nil || a.json(t)["token_endpoint"] != "http://127.0.0.2/token" {
		t.Error(a.text, err)
	}
	if got := post(`{"revoke":true}`); got["live"] != 0.0 || got["granted"] != 1.0 || got["requests"] != 2.0 {
		t.Error(got)
	}
	if _, err := w.srv.AddFaults(Fault{Kind: FaultStatus, Path: tokenPath, Status: 503}); err != nil {
		t.Fatal(err)
	}
	if a, _ := w.askToken(form); a.StatusCode != 503 {
		t.Errorf("a fault at the token endpoint: %d", a.StatusCode)
	}
	for _, o := range []Login{{Kind: "magic"}, {Kind: SecretLogin}, {Kind: SmartLogin, Style: "header"}, {Kind: SmartLogin, Life: -1}} {
		if err := (Options{Login: o}).Validate(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// FuzzAssertion: whatever is sent, nobody gets in, and nothing breaks.
func FuzzAssertion(f *testing.F) {
	const set = `{"keys":[{"kty":"EC","crv":"P-384","kid":"a","x":"AA","y":"AA"},{"kty":"RSA","kid":"b","n":"AA","e":"AQAB"}]}`
	srv, err := New(Options{Practitioners: 1, Days: 1, Now: frozen(monday), Login: Login{Kind: SmartLogin, Keys: set}})
	if err != nil {
		f.Fatal(err)
	}
	for _, head := range []string{`{"alg":"ES384","kid":"a","typ":"JWT"}`, `{"alg":"RS384","kid":"b","typ":"JWT"}`, `{"alg":"none"}`, `[]`} {
		f.Add(b64([]byte(head))+"."+b64([]byte(`{"iss":"slotgate"}`))+".AAAA", set)
	}
	f.Add("a.b.c", `{"keys":[{"d":"x"}]}`)
	f.Add("..", `{"keys":{}}`)
	f.Fuzz(func(t *testing.T, assertion, keys string) {
		if !strings.HasPrefix(strings.TrimSpace(keys), "{") {
			keys = set // others are addresses
		}
		login := srv.login.settings()
		login.Keys = keys
		if err := srv.login.checkAssertion(t.Context(), login, assertion, "http://localhost"+tokenPath); err == nil {
			t.Errorf("%q gets in", assertion)
		}
	})
}
