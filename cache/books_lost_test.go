package cache_test

import (
	"errors"
	"testing"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

func TestWhileBooksAreLostNobodySaysThatThereIsNoAppointment(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		b := newBooks(t, s, vault.Ephemeral())
		entry := func(slot string) scheduling.Entry {
			e := entryOf(scheduling.EntryBooked, "p1", 0, slot)
			e.Private.Patients = []scheduling.PatientRef{{Asked: "ada", Native: "7"}}
			return e
		}
		restored, gone := entry("slot1"), entry("slot2")
		before := newBooks(t, s, vault.Ephemeral()) // of a gateway that is no more
		save(t, before, taking(restored))
		save(t, before, taking(gone))
		must(t, cache.ClientOf(s).FlushAll(t.Context()).Err())

		shed := func(what string, err error) {
			t.Helper()
			var e *scheduling.Error
			if !errors.As(err, &e) || e.Code != scheduling.Shedding || e.RetryAfter <= 0 || e.Source != source {
				t.Errorf("%s: %v, want shedding by the source with a time to try again", what, err)
			}
		}
		lost := func() {
			t.Helper()
			_, err := b.Read(t.Context(), gone.ID)
			shed("an entry", err)
			_, err = b.ByPatient(t.Context(), source, "p1", "ada")
			shed("a list", err)
		}
		lost()
		settled(t, b)
		change := taking(restored)
		change.Restore = true
		save(t, b, change)
		eventually(t, "an entry that is there again", func() bool {
			e, err := b.Read(t.Context(), restored.ID)
			return err == nil && e.State == scheduling.EntryBooked
		})
		lost()

		must(t, b.Rebuilt(t.Context(), source))
		putBack(t, b)
		if _, err := b.Read(t.Context(), gone.ID); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("once rebuilt: %v, want unknown-id", err)
		}
		list, err := b.ByPatient(t.Context(), source, "p1", "ada")
		if err != nil || len(list) != 1 || list[0].ID != restored.ID {
			t.Errorf("once rebuilt: %v, %v", idList(list), err)
		}
	})
}
