package booking_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

func TestUnderOneKeyOtherResourcesAreAnotherRequest(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	offer := tr.offer(0)
	with := func(sent string) func(*booking.BookRequest) {
		return func(req *booking.BookRequest) { req.Target, req.Sent = target(offer), []byte(sent) }
	}
	first, err := tr.book(t, tr.desk, patient, with("ann"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := tr.book(t, tr.desk, patient, with("ann")); err != nil || again.Entry.ID != first.Entry.ID {
		t.Errorf("the same again: %v %v", again.Entry.ID, err)
	}
	_, err = tr.book(t, tr.desk, patient, with("bob"))
	wantCode(t, err, scheduling.NotAcceptable)
	_, err = tr.book(t, tr.desk, patient, with(""))
	wantCode(t, err, scheduling.NotAcceptable)
}

func TestLaw10NothingOfARequestCanBeTriedOutInRedis(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterSearch, nil)
	person := patientFrom(t, canaryPatient)
	known, _, err := w.Register(t.Context(), "ann", person, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	all := dump(t, w.redis)
	if !strings.Contains(all, known.ID) {
		t.Fatalf("the dump shows nothing: %.300s", all)
	}
	for name, text := range map[string]string{
		"what the registrar digests": fmt.Sprintf("%q", []any{"register", person.Release, person.Resource}),
		"the resource":               string(person.Resource),
		"what was sent":              canaryPatient,
		"the number":                 "CANARY-77",
	} {
		sum := sha256.Sum256([]byte(text))
		for _, digest := range []string{hex.EncodeToString(sum[:])[:16], string(sum[:8])} {
			if strings.Contains(all, digest) {
				t.Errorf("an unkeyed digest of %s stands in Redis", name)
			}
		}
	}
	// A gateway with the same secret knows the request, one with another does not.
	deps := w.deps
	deps.Metrics = nil
	if again, added, err := w.registrar(deps).Register(t.Context(), "ann", person, "key-1"); err != nil || again.ID != known.ID || !added {
		t.Errorf("again: %v %v %v", again, added, err)
	}
	deps.Secret = []byte("another secret of 32 bytes or so")
	if _, _, err := w.registrar(deps).Register(t.Context(), "ann", person, "key-1"); !strings.Contains(fmt.Sprint(err), "another request") {
		t.Errorf("the digest does not depend on the secret: %v", err)
	}
	deps.Secret = []byte("short")
	if _, err := booking.NewRegistrar(deps, booking.DefaultRegisterOptions()); err == nil {
		t.Error("a short secret is taken")
	}
}
