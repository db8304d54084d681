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

func TestAnAddressOfAnotherServerMatchesNothing(t *testing.T) {
	t.Parallel()
	r, source, _ := loaded(t)
	for _, id := range []string{"who", scheduling.ResourceID("a", scheduling.KindPractitioner, "who")} {
		ref := scheduling.Ref{Kind: scheduling.KindPractitioner, ID: id, URL: "https://evil.example/fhir/Practitioner/" + id}
		q := scheduling.Query{Count: 1, Practitioners: []scheduling.Ref{ref}, Sources: []scheduling.SourceID{source.ID}}
		if found := find(t, r, q); found.Total != 0 {
			t.Errorf("%s: %d offers", ref.URL, found.Total)
		}
	}
	own := scheduling.Ref{Kind: scheduling.KindPractitioner, ID: "who", URL: source.Base + "/Practitioner/who"}
	if found := find(t, r, scheduling.Query{Count: 1, Practitioners: []scheduling.Ref{own}}); found.Total == 0 {
		t.Error("the source's own address matches nothing")
	}
}
