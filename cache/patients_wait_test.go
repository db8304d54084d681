package cache_test

import (
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// Who is told that they are registered, or insured, must be so after a failover:
// with too few replicas nobody is told, and to ask again makes nobody twice.
func TestLaw12APersonIsToldAsRegisteredOnceReplicasHaveThem(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		v := vault.Ephemeral()
		alone := newPatients(t, open(t, server.URL(), func(o *cache.Options) { o.WaitReplicas, o.WaitTimeout = 1, 50*time.Millisecond }), v)
		plain := newPatients(t, open(t, server.URL()), v)
		first, again := scheduling.NewPatientID([26]byte{1}), scheduling.NewPatientID([26]byte{2})
		if _, _, err := alone.Add(t.Context(), "ann", canary(first)); scheduling.CodeOf(err) != scheduling.Shedding {
			t.Fatalf("told: %v", err)
		}
		if known, added, err := plain.Add(t.Context(), "ann", canary(again)); err != nil || added || known.ID != first {
			t.Errorf("asked again: %s, added: %v, %v", known.ID, added, err)
		}
		c := scheduling.Coverage{
			ID: scheduling.NewCoverageID([26]byte{3}), Version: 1, Patient: first, Release: scheduling.R4,
			Resource: []byte(`{"resourceType":"Coverage"}`), Created: noon,
		}
		if _, _, err := alone.AddCoverage(t.Context(), "ann", c); scheduling.CodeOf(err) != scheduling.Shedding {
			t.Errorf("told as insured: %v", err)
		}
		if _, err := alone.ReplaceCoverage(t.Context(), "ann", c, 0); scheduling.CodeOf(err) != scheduling.Shedding {
			t.Errorf("told as changed: %v", err)
		}
	})
}
