package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestLaw13WhatWasMadeElsewhereIsReadAndCancelledByItsUserOnly(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, napa := h.user(1), h.sims["napa"]
	id, native := elsewhere(t, h, u, tokenOne)
	at := "/fhir/r4/Appointment/" + id
	jsonPatch := []string{"Content-Type", "application/json-patch+json"}
	for what, c := range map[string]struct {
		by    user
		token string
		code  int
	}{
		"no token":         {u, "", 404},
		"another's token":  {u, tokenTwo, 403},
		"one that is over": {u, tokenOver, 401},
		"another session":  {h.user(2), tokenOne, 404},
	} {
		wantAnswer(t, what+", read", c.by.with(t, c.token, http.MethodGet, at, ""), c.code, "")
		wantAnswer(t, what+", cancel", c.by.with(t, c.token, http.MethodPatch, at, testedPatch, jsonPatch...), c.code, "")
	}
	a := u.with(t, tokenOne, http.MethodGet, at, "")
	wantAnswer(t, "read", a, 200, "")
	if a.status != "booked" || strings.Contains(a.raw, native) && native != id {
		t.Fatalf("%s\n%s", a, a.raw)
	}
	wantAnswer(t, "a stale If-Match", u.with(t, tokenOne, http.MethodPatch, at, testedPatch, append(jsonPatch, "If-Match", `W/"1"`)...), 412, "")
	wantAnswer(t, "a test that fails", u.with(t, tokenOne, http.MethodPatch, at, strings.Replace(testedPatch, `"booked"`, `"pending"`, 1), jsonPatch...), 409, "")
	if now, _ := napa.Appointment(native); now.Status != "booked" {
		t.Fatalf("it was touched: %s", now.Status)
	}
	etag := a.header.Get("ETag")
	wantAnswer(t, "cancel", u.with(t, tokenOne, http.MethodPatch, at, testedPatch, append(jsonPatch, "If-Match", etag, "Idempotency-Key", "once-1")...), 200, "")
	if now, _ := napa.Appointment(native); now.Status != "cancelled" {
		t.Fatalf("napa has it %s", now.Status)
	}
	plain := strings.Replace(testedPatch, `{"op":"test","path":"/status","value":"booked"},`, "", 1)
	wantAnswer(t, "again, under its key", u.with(t, tokenOne, http.MethodPatch, at, testedPatch, append(jsonPatch, "If-Match", etag, "Idempotency-Key", "once-1")...), 200, "")
	wantAnswer(t, "again", u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...), 200, "")
	if now, _ := napa.Appointment(native); len(now.History) != 2 {
		t.Fatalf("it was cancelled more than once: %+v", now.History)
	}
	for _, r := range napa.Requests(0) {
		if r.Method == http.MethodPatch && r.Bearer != napa.Carried(tokenOne)[0].Bearer {
			t.Fatal("it was cancelled with another login than the user's")
		}
	}
}

func TestLaw1ACancelOfWhatWasMadeElsewhereIsToldOnlyOnceItIsSeen(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, napa := h.user(1), h.sims["napa"]
	jsonPatch := []string{"Content-Type", "application/json-patch+json"}
	plain := `[{"op":"replace","path":"/status","value":"cancelled"}]`
	for _, c := range []struct {
		fault  ehrsim.FaultKind
		status int
		ends   string
	}{
		{ehrsim.FaultCommitLost, 200, "cancelled"},
		{ehrsim.FaultCommitNonsense, 200, "cancelled"},
		{ehrsim.FaultLost, 202, "booked"},
		{ehrsim.FaultFalseCancel, 202, "booked"},
		{ehrsim.FaultRefuse, 409, "booked"},
	} {
		id, native := elsewhere(t, h, u, tokenOne)
		at := "/fhir/r4/Appointment/" + id
		fault := ehrsim.Fault{Kind: c.fault, On: "cancel", Count: 1}
		want := c.status
		if c.fault == ehrsim.FaultRefuse {
			fault.Shape, want = "unprocessable", 422
			if !slices.Contains(ehrsim.RefusalShapes(), fault.Shape) {
				fault.Shape, want = "conflict", 502
			}
		}
		if _, err := napa.SetFaults(fault); err != nil {
			t.Fatal(err)
		}
		a := u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...)
		wantAnswer(t, string(c.fault), a, want, "")
		if now, _ := napa.Appointment(native); now.Status != c.ends {
			t.Fatalf("%s: napa has it %s", c.fault, now.Status)
		}
		if want != 202 {
			continue
		}
		if a.header.Get("Location") == "" || a.header.Get("Retry-After") == "" || !a.doubt {
			t.Fatalf("%s: in doubt as %v\n%s", c.fault, a.header, a.raw)
		}
		// While it is in doubt nothing is sent again.
		sent := len(napa.Carried(tokenOne))
		wantAnswer(t, "again", u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...), 202, "")
		for _, r := range napa.Carried(tokenOne)[sent:] {
			if r.Method == http.MethodPatch {
				t.Fatalf("%s: it was sent again", c.fault)
			}
		}
		if a := u.with(t, tokenOne, http.MethodGet, at, ""); a.code != 200 || !a.doubt {
			t.Fatalf("read: %s\n%s", a, a.raw)
		}
		// Past the doubt it is what the EHR says, and may be cancelled anew.
		eventually(t, func() error {
			a := u.with(t, tokenOne, http.MethodPatch, at, plain, jsonPatch...)
			if a.code != 200 || a.status != "cancelled" {
				return fmt.Errorf("%s: %s", c.fault, a)
			}
			return nil
		})
		if now, _ := napa.Appointment(native); now.Status != "cancelled" {
			t.Fatalf("%s: napa has it %s in the end", c.fault, now.Status)
		}
	}
}

func TestLaw13ATrustedCallerSeesWhatWasMadeElsewhere(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	u, trusted := h.user(1), []string{"Authorization", "Bearer trusted-key"}
	id, native := elsewhere(t, h, u, "", trusted...)
	at := "/fhir/stu3/Appointment/" + id
	wantAnswer(t, "read", u.with(t, "", http.MethodGet, at, "", trusted...), 200, "")
	wantAnswer(t, "read by another caller", u.with(t, "", http.MethodGet, at, ""), 404, "unknown-id")
	a := u.with(t, "", http.MethodPatch, at, testedPatch, append(trusted, "Content-Type", "application/json-patch+json")...)
	wantAnswer(t, "cancel", a, 200, "")
	if now, _ := h.sims["napa"].Appointment(native); now.Status != "cancelled" {
		t.Fatalf("napa has it %s", now.Status)
	}
	if all := matches(t, u.with(t, "", http.MethodGet, "/fhir/r4/Appointment?patient=pat-1", "", trusted...)); len(all) != 0 {
		t.Fatalf("without a source only what was made through us is listed: %v", all)
	}
	wantAnswer(t, "book", u.with(t, "", http.MethodPost, "/fhir/r4/Appointment/"+h.slots(t, "napa", 2)[1].offer+"/$book", bookOne, trusted...), 200, "")
}

func TestWhatAnotherCallerBookedForThePatientIsTheirsToCancelAtTheEHR(t *testing.T) {
	t.Parallel()
	h, _ := usersHouse(t)
	first, second := h.user(1), h.user(2)
	slot := h.slots(t, "york", 1)[0]
	a := first.with(t, tokenYork, http.MethodPost, "/fhir/r4/Appointment/"+slot.offer+"/$book", bookOne)
	wantAnswer(t, "book", a, 200, "")
	list := matches(t, second.with(t, tokenYork, http.MethodGet, "/fhir/r4/Appointment?patient=pat-1&source=york", ""))
	if len(list) != 1 || list[0]["id"] == a.id {
		t.Fatalf("the other session sees %v", list)
	}
	c := second.with(t, tokenYork, http.MethodPatch, "/fhir/r4/Appointment/"+fmt.Sprint(list[0]["id"]), testedPatch, "Content-Type", "application/json-patch+json")
	wantAnswer(t, "cancel", c, 200, "")
	if c.status != "cancelled" {
		t.Fatalf("%s\n%s", c, c.raw)
	}
	if n := len(h.sims["york"].Appointments("booked")); n != 0 {
		t.Fatalf("york has %d", n)
	}
	// Our books know at once: whoever booked it reads no appointment that is gone.
	e, err := h.nodes[0].keeper.books.Read(t.Context(), slot.offer)
	if err != nil || e.State != scheduling.EntryCancelled {
		t.Fatalf("%s %v", e.State, err)
	}
}
