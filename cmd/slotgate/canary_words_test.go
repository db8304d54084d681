package main

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What the canary says of itself. Nobody else has any of it, and every name has
// the same word in it.
const (
	canaryFamily   = "Quonxcanary"
	canaryGiven    = "Maximaquonxcanary"
	canaryPhone    = "+1 (555) 774-47-19206"
	canaryMail     = "quonxcanary@mail.example"
	canaryLine     = "77 Quonxcanary Street"
	canaryID       = "QUONXCANARY-4471"
	canaryBirth    = "1907-03-14"
	canaryComment  = `it hurts "here" & there, says quonxcanary`
	canaryPolicy   = "QUONXCANARY-POL-0099"
	canaryInsurer  = "Quonxcanary Mutual"
	canarySession  = "session-of-quonxcanary"
	canaryKey      = "key-of-quonxcanary"
	canaryAPIKey   = "api-key-of-quonxcanary"
	canaryToken    = "token-of-quonxcanary" // of a user, for one source
	canaryNickname = "Größequonxcanary"     // is written in many ways
	// canaryParam is a parameter that nobody knows. Its name is told to who sent
	// it, and to nobody else.
	canaryParam = "Quonxparameter"
)

// canaryCores are what is looked for: no value can be written without one.
var canaryCores = []string{"quonxcanary", "Quonxcanary", "QUONXCANARY", canaryBirth, "19070314", "774-47-19206", "7744719206", canaryParam}

// canaryValues are those that a digest without a key would give away.
var canaryValues = []string{
	canaryFamily, canaryGiven, canaryPhone, "+155577447 19206", canaryMail, canaryLine, canaryID, canaryBirth, canaryComment, canaryPolicy,
	canaryInsurer, canarySession, canaryKey, canaryAPIKey, canaryToken, canaryNickname, canaryID + "|", "urn:canary:mrn|" + canaryID,
}

// form is one way to write a core, or a digest of a value.
type form struct {
	name  string
	bytes []byte
}

// canaryForms are all ways in which a value of the canary could stand somewhere.
// The plain ones are looked for in lower case.
func canaryForms() (plain, exact []form) {
	for _, core := range canaryCores {
		add := func(to *[]form, name string, text string) {
			*to = append(*to, form{name + " of " + core, []byte(text)})
		}
		add(&plain, "text", strings.ToLower(core))
		add(&plain, "hex", hex.EncodeToString([]byte(core)))
		each := func(format string) string {
			var b strings.Builder
			for _, c := range []byte(core) {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
		add(&plain, "percent-encoding", each("%%%02x"))
		add(&plain, "JSON escapes", each(`\u%04x`))
		add(&plain, "hex escapes", each(`\x%02x`))
		add(&plain, "character references", each("&#%d;"))
		add(&plain, "hexadecimal references", each("&#x%x;"))
		add(&plain, "UTF-16", strings.ToLower(each("%c\x00")))
		for shift := range 3 {
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				add(&exact, "base64", inBase64(enc, core, shift))
			}
		}
	}
	for _, value := range canaryValues {
		for _, text := range []string{value, strings.ToLower(value)} {
			a, b, c := sha256.Sum256([]byte(text)), sha1.Sum([]byte(text)), md5.Sum([]byte(text))
			for _, sum := range [][]byte{a[:], b[:], c[:]} {
				plain = append(plain, form{"digest of " + value, []byte(hex.EncodeToString(sum)[:24])})
				exact = append(exact, form{"digest of " + value, sum},
					form{"digest of " + value, []byte(base64.StdEncoding.EncodeToString(sum)[:16])},
					form{"digest of " + value, []byte(base64.URLEncoding.EncodeToString(sum)[:16])})
			}
		}
	}
	return plain, exact
}

// inBase64 is what of a core's encoding does not depend on its neighbours, when
// it begins shift bytes into a group of three.
func inBase64(enc *base64.Encoding, core string, shift int) string {
	text := enc.EncodeToString([]byte(strings.Repeat("x", shift) + core))
	whole := (shift + len(core)) * 8 / 6
	return text[(shift*8+5)/6 : whole]
}

// place is somewhere that strings of the canary must not stand.
type place struct {
	name string
	data []byte
}

// leak is a string of the canary that was found.
type leak struct{ place, form, excerpt string }

func (l leak) String() string { return fmt.Sprintf("%s: %s: %q", l.place, l.form, l.excerpt) }

// leaks looks for the canary: at most a few of each place and form.
func leaks(places []place) []leak {
	plain, exact := canaryForms()
	var found []leak
	for _, p := range places {
		found = append(found, seen(p, lower(p.data), plain)...)
		found = append(found, seen(p, p.data, exact)...)
	}
	return found
}

// lower is bytes.ToLower for ASCII, which leaves every byte in its place.
func lower(data []byte) []byte {
	out := slices.Clone(data)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

// seen looks for all forms at once: there are hundreds, in many megabytes.
func seen(p place, in []byte, forms []form) (found []leak) {
	byStart := map[uint16][]form{}
	var begins [1 << 16]bool
	start := func(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
	for _, f := range forms {
		k := start(f.bytes)
		byStart[k], begins[k] = append(byStart[k], f), true
	}
	times := map[string]int{}
	for at := range len(in) - 1 {
		k := start(in[at:])
		if !begins[k] {
			continue
		}
		for _, f := range byStart[k] {
			// A name that nobody knows is told to who sent it.
			told := strings.HasSuffix(f.name, canaryParam) && slices.Contains([]string{"issues", "refusals"}, p.name)
			if told || times[f.name] == 3 || !bytes.HasPrefix(in[at:], f.bytes) {
				continue
			}
			times[f.name]++
			found = append(found, leak{p.name, f.name, string(p.data[max(0, at-160):min(len(p.data), at+80)])})
		}
	}
	return found
}

func TestTheCanaryIsRecognisedInEveryDress(t *testing.T) {
	t.Parallel()
	whole := canaryLine + " " + canaryBirth
	sum := sha256.Sum256([]byte(canaryID))
	for name, text := range map[string]string{
		"as it is":     whole,
		"upper case":   strings.ToUpper(whole),
		"base64":       base64.StdEncoding.EncodeToString([]byte(whole)),
		"base64 by 1":  base64.StdEncoding.EncodeToString([]byte("a" + whole)),
		"base64 by 2":  base64.URLEncoding.EncodeToString([]byte("ab" + whole)),
		"hex":          hex.EncodeToString([]byte(whole)),
		"HEX":          strings.ToUpper(hex.EncodeToString([]byte(whole))),
		"escaped":      `\u0051\u0075\u006F\u006e\u0078\u0063\u0061\u006e\u0061\u0072\u0079`,
		"percent":      "%51%75%6f%6E%78%63%61%6e%61%72%79",
		"a birth date": "born " + canaryBirth,
		"a phone":      "tel:+15557744719206",
		"digest":       "key:" + hex.EncodeToString(sum[:]),
		"raw digest":   "key:" + string(sum[:]),
	} {
		if got := leaks([]place{{name, []byte("before " + text + " after")}}); len(got) == 0 {
			t.Errorf("%s is not seen: %q", name, text)
		}
	}
	if got := leaks([]place{{"nothing", []byte("canary, quonx, 1907, 19206, " + strings.Repeat("abcdefgh", 1000))}}); len(got) != 0 {
		t.Errorf("seen where it is not: %v", got)
	}
}
