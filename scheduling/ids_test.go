package scheduling_test

import (
	"testing"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func TestIdsAreValidAndStable(t *testing.T) {
	a := scheduling.OfferID("napa", 0, "slot-1")
	if a != scheduling.OfferID("napa", 0, "slot-1") {
		t.Error("the same slot has two ids")
	}
	// Ids outlive releases: links and bookings of callers hold them.
	if want := "3swgb-aricuxrx5thkf3kunhph"; a != want {
		t.Errorf("id of napa's slot-1 is %s, was %s", a, want)
	}
}

func TestDifferentThingsHaveDifferentIds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringN(0, 5, -1)
		slots := rapid.SliceOfN(part, 1, 3)
		s1, s2 := slots.Draw(t, "a"), slots.Draw(t, "b")
		src1, src2 := part.Draw(t, "source a"), part.Draw(t, "source b")
		g1, g2 := rapid.Uint32Range(0, 2).Draw(t, "gen a"), rapid.Uint32Range(0, 2).Draw(t, "gen b")
		same := src1 == src2 && g1 == g2 && len(s1) == len(s2)
		for i := 0; same && i < len(s1); i++ {
			same = s1[i] == s2[i]
		}
		id1 := scheduling.OfferID(scheduling.SourceID(src1), g1, s1...)
		id2 := scheduling.OfferID(scheduling.SourceID(src2), g2, s2...)
		if (id1 == id2) != same {
			t.Fatalf("%s and %s for %q %d %q and %q %d %q", id1, id2, src1, g1, s1, src2, g2, s2)
		}
		if !scheduling.ValidID(id1) {
			t.Fatalf("%s is not a FHIR id", id1)
		}
	})
}

func TestValidIDKnowsTheLimitsOfFHIR(t *testing.T) {
	long := make([]byte, 65)
	for i := range long {
		long[i] = 'a'
	}
	for id, want := range map[string]bool{
		"a": true, "A-9.z": true, "": false, "a b": false, "a/b": false, "ä": false, "a_b": false,
		string(long): false, string(long[:64]): true,
	} {
		if scheduling.ValidID(id) != want {
			t.Errorf("ValidID(%q) is not %v", id, want)
		}
	}
}
