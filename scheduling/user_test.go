package scheduling_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
)

const secretToken = "s3cret-t0ken"

func token(t testing.TB, text string) scheduling.UserToken {
	t.Helper()
	tok, ok := scheduling.NewUserToken(text)
	if !ok {
		t.Fatalf("not taken: %.40q", text)
	}
	return tok
}

func TestLaw10AUserTokenShowsItselfToNobody(t *testing.T) {
	t.Parallel()
	tok := token(t, secretToken)
	type holder struct {
		Token scheduling.UserToken
		As    scheduling.As
	}
	h := holder{tok, scheduling.AsUser(tok)}
	var said bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&said, verb+verb+verb, tok, &tok, h.Token)
	}
	for _, verb := range []string{"%v", "%+v"} {
		fmt.Fprintf(&said, verb+verb, h, &h)
	}
	slog.New(slog.NewJSONHandler(&said, nil)).Info("x", "token", tok, "holder", h)
	slog.New(slog.NewTextHandler(&said, nil)).Info("x", "token", tok, "holder", h)
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	said.Write(data)
	for _, secret := range []string{secretToken, fmt.Sprintf("%x", secretToken), fmt.Sprintf("%X", secretToken), base64.StdEncoding.EncodeToString([]byte(secretToken))} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("shown as %s: %s", secret, said.String())
		}
	}
	if tok.Reveal() != secretToken {
		t.Error("it is lost")
	}
}

func TestWhatATokenMayBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"a": true, "eyJ.abc.def-_~+/=": true, "1|laravel": true, strings.Repeat("x", scheduling.MaxUserToken): true,
		"": false, "a b": false, "a,b": false, "a\nb": false, "é": false, "a;b": false, `a"b`: false, "\x00": false, "a\x7f": false,
		strings.Repeat("x", scheduling.MaxUserToken+1): false,
	} {
		if tok, ok := scheduling.NewUserToken(text); ok != want || tok.Given() != want {
			t.Errorf("%.20q: %v", text, ok)
		}
	}
}

func claims(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestWhatATokenSaysOfItself(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		patient string
		expires int64
	}{
		claims(`{"patient":"p1","exp":1800000000}`):  {"p1", 1800000000},
		claims(`{"patient":"Patient/p1"}`):           {"p1", 0},
		claims(`{"patient":"https://e/Patient/p1"}`): {"p1", 0},
		claims(`{"patient":7,"exp":"soon"}`):         {},
		claims(`{"patient":{"id":"p1"}}`):            {},
		claims(`{"exp":1e300}`):                      {},
		claims(`[]`):                                 {},
		claims(`{`):                                  {},
		"opaque":                                     {},
		"a.b.c":                                      {},
		"a.b.c.d":                                    {},
	} {
		patient, expires := token(t, text).Claims()
		if patient != want.patient || !expires.IsZero() != (want.expires != 0) || want.expires != 0 && expires != time.Unix(want.expires, 0).UTC() {
			t.Errorf("%s: %q %v", text, patient, expires)
		}
	}
}

func FuzzUserToken(f *testing.F) {
	f.Add("opaque")
	f.Add(claims(`{"patient":"p1","exp":1800000000}`))
	f.Fuzz(func(t *testing.T, text string) {
		tok, ok := scheduling.NewUserToken(text)
		if ok != tok.Given() || ok && tok.Reveal() != text {
			t.Fatal("it is another one")
		}
		if patient, _ := tok.Claims(); strings.Contains(patient, "/") {
			t.Fatalf("not an id: %q", patient)
		}
	})
}

func TestNobodyIsAskedForByMistake(t *testing.T) {
	t.Parallel()
	var nobody scheduling.As
	if _, user := nobody.User(); user || nobody.Ours() {
		t.Error("the zero value is somebody")
	}
	if _, user := scheduling.AsUser(scheduling.UserToken{}).User(); user || scheduling.AsUser(scheduling.UserToken{}).Ours() {
		t.Error("no token is somebody")
	}
	if !scheduling.AsGateway().Ours() {
		t.Error("our login is nobody's")
	}
}

func TestIdsOfWhatWasMadeElsewhereAreTheirOwn(t *testing.T) {
	t.Parallel()
	id := scheduling.ElsewhereID("napa", "1")
	if !scheduling.ValidID(id) || !scheduling.IsElsewhereID(id) || id != scheduling.ElsewhereID("napa", "1") || !strings.HasPrefix(id, scheduling.SourceTag("napa")+"-") {
		t.Errorf("%s", id)
	}
	for _, other := range []string{scheduling.OfferID("napa", 0, "1"), scheduling.ResourceID("napa", "Appointment", "1"), "", "x", strings.Repeat("a", len(id))} {
		if scheduling.IsElsewhereID(other) {
			t.Errorf("%q is taken for one", other)
		}
	}
	if id == scheduling.ElsewhereID("york", "1") || id == scheduling.ElsewhereID("napa", "2") {
		t.Error("two are one")
	}
}
