package booking

import (
	"strings"
	"testing"

	"slotgate/scheduling"
)

func FuzzReadIdentifier(f *testing.F) {
	d := &Desk{Deps: Deps{Secret: []byte("0123456789abcdef")}}
	offer := scheduling.OfferID("napa", 0, "s1")
	real := d.identifier(offer, "p1", keyDigest("k"))
	for _, seed := range []string{real, "", "...", real + ".", strings.ToUpper(real), "a.b.c.d", real[:len(real)-1], "x" + real} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		id, principal, ok := d.readIdentifier(value)
		if !ok {
			return
		}
		parts := strings.Split(value, ".")
		if d.identifier(id, principal, parts[2]) != value {
			t.Errorf("%q was taken for ours", value)
		}
	})
}

func TestAnIdentifierOfOursIsReadAndAForgedOneIsNot(t *testing.T) {
	t.Parallel()
	d := &Desk{Deps: Deps{Secret: []byte("0123456789abcdef")}}
	other := &Desk{Deps: Deps{Secret: []byte("another-secret-x")}}
	value := d.identifier("napa1-x", "p1", keyDigest("k"))
	if offer, principal, ok := d.readIdentifier(value); !ok || offer != "napa1-x" || principal != "p1" {
		t.Fatalf("read %q %q %v", offer, principal, ok)
	}
	if _, _, ok := other.readIdentifier(value); ok {
		t.Fatal("another secret takes it for its own")
	}
	if _, _, ok := d.readIdentifier(strings.Replace(value, "p1", "p2", 1)); ok {
		t.Fatal("another principal's")
	}
}
