package upstream

import (
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// marking is a house whose EHR leaves a trace of every slot.
func marking(t *testing.T, options ...func(*Options)) *house {
	t.Helper()
	begun := time.Now()
	h := newHouse(t, Slots, func(o *ehrsim.Options) {
		o.MarkDeleted = true
		o.Now = func() time.Time { return noon.Add(time.Since(begun)) }
	}, append([]func(*Options){func(o *Options) { o.Quirks.Deletions = "marked" }}, options...)...)
	h.settled()
	h.srv.ClearRequests()
	return h
}

// questions are those for slots since the last ClearRequests.
func (h *house) questions() (changes, whole int) {
	for _, r := range h.srv.Requests(0) {
		switch {
		case strings.Contains(r.Query, "_lastUpdated"):
			changes++
		case strings.Contains(r.Path, "/Slot"):
			whole++
		}
	}
	return changes, whole
}

func TestWhatChangedIsAskedForWhereDeletionsLeaveATrace(t *testing.T) {
	t.Parallel()
	h := marking(t)
	ids := h.truth()
	h.srv.ClearRequests()
	// What was made just before the first answer is told once more.
	if got := h.look(); got.Basis == "" && !got.Unchanged {
		t.Fatalf("the whole was read")
	}
	gone, taken := ids[0], ids[len(ids)/2]
	if err := h.srv.DeleteSlot(gone); err != nil {
		t.Fatal(err)
	}
	if err := h.srv.SetSlotStatus(taken, "busy"); err != nil {
		t.Fatal(err)
	}
	before := h.token
	got := h.look()
	if !got.Complete || got.Unchanged || got.Basis != before || got.Token == before || got.Token == "" {
		t.Fatalf("complete %v, unchanged %v, basis %q of %q", got.Complete, got.Unchanged, got.Basis, before)
	}
	if !slices.Contains(got.Touched, gone) || !slices.Contains(got.Touched, taken) || slices.Contains(idsOf(got), gone) || slices.Contains(idsOf(got), taken) {
		t.Errorf("touched %v, come %v", got.Touched, idsOf(got))
	}
	if err := h.srv.SetSlotStatus(taken, "free"); err != nil {
		t.Fatal(err)
	}
	if got = h.look(); !slices.Contains(idsOf(got), taken) {
		t.Errorf("come %v", idsOf(got))
	}
	if changes, whole := h.questions(); changes == 0 || whole != changes {
		// every question for changes is one at /Slot; their later pages too
		for _, r := range h.srv.Requests(0) {
			if strings.Contains(r.Query, "status=free") {
				t.Errorf("%d questions for changes, and %s?%s", changes, r.Path, r.Query)
			}
		}
	}
}

func TestTheWholeIsReadWhereChangesAreNotEnough(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil   func(h *house)
		options func(*Options)
		proof   bool
	}{
		"deletions are silent":    {nil, func(o *Options) { o.Quirks.Deletions = "silent" }, false},
		"an hour has passed":      {func(h *house) { h.later(time.Hour) }, nil, false},
		"a claim ended":           {nil, nil, true},
		"the store holds another": {func(h *house) { h.token = "another" }, nil, false},
		"the directory was read":  {func(h *house) { h.c.Directory(h.t.Context()) }, nil, false}, //nolint:errcheck // the version counts
		"the question is refused": {func(h *house) {
			h.fault(ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 400, Path: "/Slot?_count=40&_include=Slot%3Aschedule&_lastUpdated"})
		}, nil, false},
		"a record cannot be used": {func(h *house) { h.touch(4); h.fault(ehrsim.Fault{Kind: ehrsim.FaultReversed, Count: 1, Path: "/Slot"}) }, nil, false},
		"the answer is cut": {func(h *house) {
			h.fault(ehrsim.Fault{Kind: ehrsim.FaultCutAnswer, Path: "/Slot?_count=40&_include=Slot%3Aschedule&_lastUpdated"})
		}, func(o *Options) { o.Quirks.OffsetPaging = "never" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var options []func(*Options)
			if tc.options != nil {
				options = append(options, tc.options)
			}
			h := marking(t, options...)
			if tc.spoil != nil {
				tc.spoil(h)
			}
			got := h.lookOn(scheduling.Basis{Token: h.token, Proof: tc.proof})
			if got.Basis != "" || !got.Complete {
				t.Errorf("complete %v, basis %q", got.Complete, got.Basis)
			}
			h.clear()
			if n := len(h.truth()); got.Slots() != n {
				t.Errorf("%d slots of %d", got.Slots(), n)
			}
		})
	}
}

// touch changes a slot and changes it back.
func (h *house) touch(n int) {
	h.t.Helper()
	id := h.some(n)
	for _, status := range []string{"busy", "free"} {
		if err := h.srv.SetSlotStatus(id, status); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) fault(f ehrsim.Fault) {
	h.t.Helper()
	if _, err := h.srv.AddFaults(f); err != nil {
		h.t.Fatal(err)
	}
}

// Pages that are as they were say nothing once changes were merged: what is in the
// store is another answer by then.
func TestAPageThatIsAsItWasIsReadAfterChangesWereMerged(t *testing.T) {
	t.Parallel()
	h := marking(t)
	id := h.some(3)
	for _, status := range []string{"busy", "free"} {
		if err := h.srv.SetSlotStatus(id, status); err != nil {
			t.Fatal(err)
		}
		if status == "busy" {
			if got := h.look(); got.Basis == "" || !slices.Contains(got.Touched, id) {
				t.Fatalf("basis %q, touched %v", got.Basis, got.Touched)
			}
		}
	}
	h.later(time.Hour)
	if got := h.look(); got.Unchanged || !slices.Contains(idsOf(got), id) {
		t.Error("the slot that is back was taken for one that never went")
	}
}
