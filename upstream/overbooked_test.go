package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// byClinic writes at the EHR as its own people do.
func (w *deskWorld) byClinic(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.source.Base+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// overbook puts a second patient on the offer's slot, as a front desk may.
func (w *deskWorld) overbook(t *testing.T, offer scheduling.OfferRecord) {
	t.Helper()
	s := offer.Slots[0]
	w.byClinic(t, http.MethodPost, "/Appointment", map[string]any{
		"resourceType": "Appointment", "status": "booked",
		"start": s.Start.Format(time.RFC3339), "end": s.End.Format(time.RFC3339),
		"slot": []any{map[string]string{"reference": "Slot/" + s.ID}},
		"participant": append([]any{map[string]any{"actor": map[string]string{"reference": "Patient/pat-2"}, "status": "accepted"}},
			participantsOf(offer)...),
	})
}

func participantsOf(offer scheduling.OfferRecord) (out []any) {
	for _, a := range offer.Actors {
		if a.ID != "" && a.Kind != scheduling.KindOrganization {
			out = append(out, map[string]any{"actor": map[string]string{"reference": fmt.Sprint(a.Kind, "/", a.ID)}, "status": "accepted"})
		}
	}
	return out
}

func TestLaw3ACancelNeverFreesASlotOnWhichSomebodyElseStands(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		for _, steps := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " in steps ", steps), func(t *testing.T) {
				t.Parallel()
				w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = steps }, nil)
				offer := w.offer()
				made := w.book(t, offer, nil)
				w.overbook(t, offer)
				call := scheduling.CancelCall{Offer: offer, Native: made.ID, Identifier: "key-1"}
				for range 2 { // the second finds it cancelled already
					if err := w.Cancel(t.Context(), call); err != nil || w.slot(t, offer) != "busy" {
						t.Fatalf("%v, the slot of the second patient is %s", err, w.slot(t, offer))
					}
				}
				if err := w.Vacate(t.Context(), scheduling.VacateCall{Offer: offer, Native: made.ID, Identifier: "key-1"}); err != nil || w.slot(t, offer) != "busy" {
					t.Fatalf("%v, the slot of the second patient is %s", err, w.slot(t, offer))
				}
				next := bookCall(offer, nil)
				next.Identifier, next.Patients = "key-3", []string{"pat-3"}
				_, err := w.Book(t.Context(), next)
				wantCode(t, "a third patient", err, scheduling.SlotTaken)
			})
		}
	}
}

func TestLaw3AMoveNeverFreesASlotOnWhichSomebodyElseStands(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, func(o *Options) { o.Quirks.Reschedule = "move" })
	old, next := w.offer(), w.offer()
	made := w.book(t, old, nil)
	w.overbook(t, old)
	call := bookCall(next, nil)
	call.Identifier, call.Moves = "key-2", made.ID
	if _, err := w.Book(t.Context(), call); err != nil || w.slot(t, old) != "busy" || w.slot(t, next) != "busy" {
		t.Errorf("%v, the slot of the second patient is %s, the new one %s", err, w.slot(t, old), w.slot(t, next))
	}
}

func TestAMoveKeepsWhatTheClinicHasAdded(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, func(o *Options) { o.Quirks.Reschedule = "move" })
	old, next := w.offers[0], w.offers[0]
	for _, o := range w.offers { // another practitioner's
		if fmt.Sprint(o.Actors) != fmt.Sprint(old.Actors) {
			next = o
		}
	}
	made := w.book(t, old, nil)
	path := "/Appointment/" + made.ID
	body := w.byClinic(t, http.MethodGet, path, nil)
	identifiers, _ := body["identifier"].([]any)
	body["identifier"] = append([]any{map[string]any{"system": "urn:ehr:visit", "value": "V-77", "use": "official"}}, identifiers...)
	participants, _ := body["participant"].([]any)
	body["participant"] = append(participants,
		map[string]any{"actor": map[string]any{"reference": "Location/room-5"}, "status": "accepted"},
		map[string]any{"actor": map[string]any{"reference": "Practitioner/nurse-9"}, "status": "tentative", "required": "optional"})
	w.byClinic(t, http.MethodPut, path, body)

	call := bookCall(next, nil)
	call.Identifier, call.Moves = "key-9", made.ID
	if _, err := w.Book(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	after := w.byClinic(t, http.MethodGet, path, nil)
	text, _ := json.Marshal(after)
	has := func(part string) bool { return strings.Contains(string(text), part) }
	for _, part := range []string{"V-77", `"official"`, "key-9", "Location/room-5", "Practitioner/nurse-9", `"optional"`, "Patient/pat-1"} {
		if !has(part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
	if has(`"key-1"`) {
		t.Errorf("the mark of the old booking is still in %s", text)
	}
	for _, a := range old.Actors {
		if ref := fmt.Sprint(a.Kind, "/", a.ID); a.Kind == scheduling.KindPractitioner && !strings.Contains(fmt.Sprint(participantsOf(next)), ref) && has(ref+`"`) {
			t.Errorf("whose slot it was, %s, is still in %s", ref, text)
		}
	}
	read, err := w.Read(t.Context(), made.ID, scheduling.ForBook)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range next.Actors {
		if a.Kind != scheduling.KindOrganization && !strings.Contains(string(text), fmt.Sprint(a.Kind, "/", a.ID)) {
			t.Errorf("%s/%s is not in %s", a.Kind, a.ID, text)
		}
	}
	if !read.Start.Equal(next.Start()) {
		t.Errorf("moved to %v", read.Start)
	}
}
