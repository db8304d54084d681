package replica

import (
	"testing"

	"slotgate/scheduling"
)

func TestAnOfferIsFoundByItsSlot(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	hits := find(t, r, scheduling.Query{Count: 10}).Offers
	if len(hits) == 0 {
		t.Fatal("nothing is loaded")
	}
	for _, hit := range hits {
		id := scheduling.ResourceID(hit.Setting.Source, scheduling.KindSlot, hit.Slots[0].ID)
		got, ok := r.BySlots([]string{id})
		if !ok || got.ID != hit.ID {
			t.Errorf("by its slot %s: %s, %v; want %s", id, got.ID, ok, hit.ID)
		}
		if _, ok := r.BySlots([]string{id, id}); ok {
			t.Error("an offer of two slots was found")
		}
		if _, ok := r.BySlots([]string{hit.ID}); ok {
			t.Error("an offer's id was taken for a slot's")
		}
	}
	if _, ok := r.BySlots(nil); ok {
		t.Error("no slots were found")
	}
}
