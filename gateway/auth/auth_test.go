package auth

import (
	"strings"
	"testing"

	"slotgate/scheduling"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	a, err := New(Options{
		Callers: []Caller{
			{ID: "site", KeySHA256: Digest("k1"), Trusted: []scheduling.SourceID{"napa"}},
			{ID: "book", KeySHA256: strings.ToUpper(Digest("k2")), Rights: []Right{Directory}},
		},
		Anonymous: []Right{Find},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := strings.Repeat("s", MinSession)
	for _, tc := range []struct {
		name string
		cred Credentials
		want Principal
		code scheduling.Code
	}{
		{"no key is anonymous", Credentials{}, Principal{}, ""},
		{"no key leaves a session unread", Credentials{Session: "x"}, Principal{}, ""},
		{"a key is its caller", Credentials{Authorization: "Bearer k1"}, Principal{Caller: "site"}, ""},
		{"the scheme is without regard to case", Credentials{Authorization: "bearer  k1 "}, Principal{Caller: "site"}, ""},
		{"a digest in capitals is the same", Credentials{Authorization: "Bearer k2"}, Principal{Caller: "book"}, ""},
		{"a session is the subject", Credentials{Authorization: "Bearer k1", Session: session}, Principal{Caller: "site", Subject: session}, ""},
		{"an unknown key", Credentials{Authorization: "Bearer k3"}, Principal{}, scheduling.Unauthorized},
		{"part of a key", Credentials{Authorization: "Bearer k"}, Principal{}, scheduling.Unauthorized},
		{"the digest is not the key", Credentials{Authorization: "Bearer " + Digest("k1")}, Principal{}, scheduling.Unauthorized},
		{"an empty key", Credentials{Authorization: "Bearer "}, Principal{}, scheduling.Unauthorized},
		{"another scheme", Credentials{Authorization: "Basic azE6"}, Principal{}, scheduling.Unauthorized},
		{"a huge key", Credentials{Authorization: "Bearer " + strings.Repeat("k", 1<<20)}, Principal{}, scheduling.Unauthorized},
		{"a session that is empty", Credentials{Authorization: "Bearer k1", SessionShown: true}, Principal{}, scheduling.BadRequest},
		{"a session of blanks", Credentials{Authorization: "Bearer k1", Session: strings.Repeat(" ", MinSession), SessionShown: true}, Principal{}, scheduling.BadRequest},
		{"a session too short", Credentials{Authorization: "Bearer k1", Session: session[1:]}, Principal{}, scheduling.BadRequest},
		{"a session too long", Credentials{Authorization: "Bearer k1", Session: strings.Repeat("s", MaxSession+1)}, Principal{}, scheduling.BadRequest},
		{"a session with a blank", Credentials{Authorization: "Bearer k1", Session: session + " s"}, Principal{}, scheduling.BadRequest},
		{"a session with a control character", Credentials{Authorization: "Bearer k1", Session: session + "\x7f"}, Principal{}, scheduling.BadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := a.Authenticate(tc.cred)
			if scheduling.CodeOf(err) != tc.code {
				t.Fatalf("error %v, want code %q", err, tc.code)
			}
			if p.Caller != tc.want.Caller || p.Subject != tc.want.Subject {
				t.Errorf("principal %+v, want %+v", p, tc.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	a, err := New(Options{
		Callers:   []Caller{{ID: "all", KeySHA256: Digest("1")}, {ID: "some", KeySHA256: Digest("2"), Rights: []Right{Directory}}},
		Anonymous: []Right{Find},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		auth  string
		right Right
		code  scheduling.Code
	}{
		{"anonymous may do what is open", "", Open, ""},
		{"anonymous may do what the options say", "", Find, ""},
		{"anonymous needs a key for the rest", "", Directory, scheduling.Unauthorized},
		{"a key may do everything", "Bearer 1", Directory, ""},
		{"a key with rights may do those", "Bearer 2", Directory, ""},
		{"a key with rights may not do others", "Bearer 2", Find, scheduling.Forbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := a.Authenticate(Credentials{Authorization: tc.auth})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Check(p, tc.right); scheduling.CodeOf(err) != tc.code {
				t.Errorf("error %v, want code %q", err, tc.code)
			}
		})
	}
}

func TestPrincipalTravelsInTheContext(t *testing.T) {
	t.Parallel()
	if p := From(t.Context()); !p.Anonymous() || p.May(Find) {
		t.Errorf("a bare context has the principal %+v", p)
	}
	a, err := New(Options{Callers: []Caller{{ID: "site", KeySHA256: Digest("k"), Trusted: []scheduling.SourceID{"napa"}}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Authenticate(Credentials{Authorization: "Bearer k"})
	if err != nil {
		t.Fatal(err)
	}
	got := From(With(t.Context(), p))
	if got.Caller != "site" || !got.Trusts("napa") || got.Trusts("other") {
		t.Errorf("principal %+v", got)
	}
}

func TestADigestIsOfCallerSubjectAndKey(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef")
	seen := map[string]bool{}
	for _, p := range []Principal{
		{Caller: "a", Subject: "bc"}, {Caller: "ab", Subject: "c"}, {Caller: "abc"}, {Subject: "abc"}, {Caller: "a", Subject: "b"},
	} {
		for _, k := range [][]byte{key, []byte("another key")} {
			d := p.Digest(k)
			if seen[d] || len(d) != 64 || strings.Trim(d, "0123456789abcdef") != "" || d != p.Digest(k) {
				t.Errorf("%+v: %q", p, d)
			}
			seen[d] = true
		}
	}
}

func TestHowMuchMayBeHeld(t *testing.T) {
	t.Parallel()
	a, err := New(Options{Callers: []Caller{{ID: "a", KeySHA256: Digest("1")}, {ID: "b", KeySHA256: Digest("2"), HoldsUnnamed: 100}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		key, session string
		want         int
	}{
		{"1", "", 30},
		{"1", strings.Repeat("s", MinSession), 3},
		{"2", "", 100},
		{"2", strings.Repeat("s", MinSession), 3},
	} {
		p, err := a.Authenticate(Credentials{Authorization: "Bearer " + tc.key, Session: tc.session})
		if err != nil || p.Holds(3, 30) != tc.want {
			t.Errorf("key %s, session %q: %d, %v", tc.key, tc.session, p.Holds(3, 30), err)
		}
	}
	if p := From(t.Context()); len(p.Trusted()) != 0 {
		t.Errorf("nobody is trusted with %v", p.Trusted())
	}
}

func TestTheDemoKeyDoesEverything(t *testing.T) {
	t.Parallel()
	a, err := New(Demo())
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Authenticate(Credentials{Authorization: "Bearer demo"})
	if err != nil || p.Caller != "demo" {
		t.Fatalf("principal %+v, error %v", p, err)
	}
	for _, right := range Rights() {
		if !p.May(right) {
			t.Errorf("the demo key may not %q", right)
		}
	}
	if p.Holds(3, 30) != 100 {
		t.Errorf("the demo key may hold %d", p.Holds(3, 30))
	}
	if nobody, err := a.Authenticate(Credentials{}); err != nil || nobody.May(Book) || !nobody.May(Find) {
		t.Errorf("without a key: %+v, %v", nobody, err)
	}
}

func TestOptionsRefuseWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := Caller{ID: "a", KeySHA256: Digest("k")}
	for _, tc := range []struct {
		name string
		opts Options
		want string
	}{
		{"no id", Options{Callers: []Caller{{KeySHA256: Digest("k")}}}, "id: must be"},
		{"a hostile id", Options{Callers: []Caller{{ID: "a\nb", KeySHA256: Digest("k")}}}, "id: must be"},
		{"the key itself", Options{Callers: []Caller{{ID: "a", KeySHA256: "secret"}}}, "key_sha256: must be"},
		{"one id twice", Options{Callers: []Caller{good, {ID: "a", KeySHA256: Digest("l")}}}, "callers[1].id: two"},
		{"one key twice", Options{Callers: []Caller{good, {ID: "b", KeySHA256: Digest("k")}}}, "callers[1].key_sha256: two"},
		{"booking without a key", Options{Anonymous: []Right{Find, Book}}, "anonymous[1]: the right"},
		{"holds of less than none", Options{Callers: []Caller{{ID: "a", KeySHA256: Digest("k"), HoldsUnnamed: -1}}}, "holds_unnamed: must be"},
		{"an unknown right", Options{Anonymous: []Right{"write"}}, "anonymous[0]: unknown right"},
		{"an unknown right of a caller", Options{Callers: []Caller{{ID: "a", KeySHA256: Digest("k"), Rights: []Right{"x"}}}}, "rights[0]: unknown right"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tc.opts)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}
