package vault_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"slotgate/cache/vault"
	"slotgate/config"
)

func key(id string, fill byte) vault.Key {
	raw := []byte(strings.Repeat(string(rune('A'+fill)), 32))
	return vault.Key{ID: id, Key: config.NewSecret(base64.StdEncoding.EncodeToString(raw))}
}

func open(t testing.TB, keys ...vault.Key) *vault.Vault {
	t.Helper()
	v, err := vault.Open(vault.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t testing.TB, v *vault.Vault, text string, place ...string) string {
	t.Helper()
	e, err := v.Seal("entry", []byte(text), place...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWhatIsSealedOpensAtItsPlaceAndShowsNothing(t *testing.T) {
	t.Parallel()
	for _, v := range []*vault.Vault{open(t, key("k1", 1)), vault.Ephemeral()} {
		a, b := seal(t, v, "Ada Lovelace", "key", "field"), seal(t, v, "Ada Lovelace", "key", "field")
		if a == b {
			t.Error("two envelopes of one text are alike")
		}
		if strings.Contains(a, "Ada") || !strings.HasPrefix(a, "v1|"+v.KeyIDs()[0]+"|") || strings.Count(a, "|") != 3 {
			t.Errorf("envelope %q", a)
		}
		got, err := v.Unseal("entry", a, "key", "field")
		if err != nil || string(got) != "Ada Lovelace" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestAnEnvelopeOpensNowhereElse(t *testing.T) {
	t.Parallel()
	v := open(t, key("k1", 1))
	e := seal(t, v, "Ada", "key", "field")
	for name, c := range map[string]struct {
		vault   *vault.Vault
		purpose string
		place   []string
		want    error
	}{
		"another field":                {v, "entry", []string{"key", "other"}, vault.ErrDamaged},
		"another key of Redis":         {v, "entry", []string{"other", "field"}, vault.ErrDamaged},
		"the same letters, cut apart":  {v, "entry", []string{"keyf", "ield"}, vault.ErrDamaged},
		"no place":                     {v, "entry", nil, vault.ErrDamaged},
		"another purpose":              {v, "answer", []string{"key", "field"}, vault.ErrDamaged},
		"another key of the same name": {open(t, key("k1", 2)), "entry", []string{"key", "field"}, vault.ErrDamaged},
		"a vault without the key":      {open(t, key("k2", 1)), "entry", []string{"key", "field"}, vault.ErrNoKey},
		"somebody's random key":        {vault.Ephemeral(), "entry", []string{"key", "field"}, vault.ErrNoKey},
	} {
		if got, err := c.vault.Unseal(c.purpose, e, c.place...); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	v := open(t, key("k1", 1))
	e := seal(t, v, "Ada", "key")
	for i := range len(e) {
		for bit := range 8 {
			changed := []byte(e)
			changed[i] ^= 1 << bit
			if got, err := v.Unseal("entry", string(changed), "key"); err == nil {
				t.Fatalf("bit %d of byte %d: %q opens as %q", bit, i, changed, got)
			}
		}
	}
	for i := range len(e) {
		if _, err := v.Unseal("entry", e[:i], "key"); err == nil {
			t.Fatalf("the first %d bytes open", i)
		}
	}
}

func TestRotationSealsWithTheFirstAndOpensWithAll(t *testing.T) {
	t.Parallel()
	old := open(t, key("k1", 1))
	both := open(t, key("k2", 2), key("k1", 1))
	if got, err := both.Unseal("entry", seal(t, old, "Ada", "key"), "key"); err != nil || string(got) != "Ada" {
		t.Errorf("the old key: %q, %v", got, err)
	}
	if e := seal(t, both, "Ada", "key"); !strings.HasPrefix(e, "v1|k2|") {
		t.Errorf("sealed as %q", e)
	}
	digests := both.Digests("patient", "p1")
	if len(digests) != 2 || digests[0] != both.Digest("patient", "p1") || digests[1] != old.Digest("patient", "p1") {
		t.Errorf("digests %v", digests)
	}
	if both.Fingerprint("k1") != old.Fingerprint("k1") || old.Fingerprint("k1") == open(t, key("k1", 2)).Fingerprint("k1") || both.Fingerprint("k3") != "" {
		t.Error("fingerprints do not tell keys apart")
	}
}

func TestDigestsDependOnKeyPurposeAndParts(t *testing.T) {
	t.Parallel()
	a, b := open(t, key("k1", 1)), open(t, key("k1", 2))
	seen := map[string]int{}
	for i, d := range []string{
		a.Digest("patient", "p", "q"), a.Digest("patient", "pq"), a.Digest("patient", "pq", ""), a.Digest("key", "p", "q"), b.Digest("patient", "p", "q"),
	} {
		if len(d) != 32 {
			t.Errorf("digest %q", d)
		}
		if other, twice := seen[d]; twice {
			t.Errorf("digests %d and %d are alike", other, i)
		}
		seen[d] = i
	}
}

func TestOptionsSayWhatIsWrongAndNeverTheKey(t *testing.T) {
	t.Parallel()
	good := key("k1", 1)
	secret := func(text string) vault.Key { return vault.Key{ID: "k1", Key: config.NewSecret(text)} }
	for name, c := range map[string]struct {
		keys []vault.Key
		want string
	}{
		"none":             {nil, ""},
		"one":              {[]vault.Key{good}, ""},
		"in hex":           {[]vault.Key{secret(strings.Repeat("0aF9", 16))}, ""},
		"in base64url":     {[]vault.Key{secret(base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff\xfe", 16))))}, ""},
		"no id":            {[]vault.Key{{Key: good.Key}}, "needs an id"},
		"an id with a bar": {[]vault.Key{{ID: "a|b", Key: good.Key}}, "needs an id"},
		"two of one id":    {[]vault.Key{good, good}, "two have the id k1"},
		"no key":           {[]vault.Key{{ID: "k1"}}, "k1 is missing"},
		"a short one":      {[]vault.Key{secret(hex.EncodeToString([]byte("geheim")))}, "k1 is too short"},
		"a pass phrase":    {[]vault.Key{secret("geheim, geheim!")}, "neither base64 nor hex"},
	} {
		o := vault.Options{Keys: c.keys}
		err := o.Validate()
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", name, c.want, err)
		}
		if text := fmt.Sprint(err, o); strings.Contains(text, "geheim") || strings.Contains(text, hex.EncodeToString([]byte("geheim"))) {
			t.Errorf("%s: %s", name, text)
		}
		if _, err := vault.Open(o); (err == nil) != (c.want == "" && len(c.keys) > 0) {
			t.Errorf("%s: Open says %v", name, err)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	v := vault.Ephemeral()
	e, err := v.Seal("entry", []byte("Ada"), "key")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "v1|||", "v1|k|AAAA|", e[:len(e)-1], strings.Replace(e, "v1", "v2", 1), "v1|" + v.KeyIDs()[0] + "|AAAAAAAAAAAAAAAA|"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := v.Unseal("entry", text, "key"); err == nil && text != e {
			t.Fatalf("%q opens as %q", text, got)
		}
	})
}
