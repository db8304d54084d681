package ehrsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// fault sets one fault in place of all.
func (w *wire) fault(f Fault) {
	w.t.Helper()
	if _, err := w.srv.SetFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

// until polls for something that must come about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestEveryShapeOfRefusalLooksSoOnTheWire(t *testing.T) {
	t.Parallel()
	want := map[string]struct {
		status         int
		severity, code string
		kind           string // of the body: OO, Bundle of an OO, Bundle with the Appointment cancelled
		says           string
	}{
		"cancelled":      {200, "error", "conflict", "cancelled", ""},
		"outcome-error":  {200, "error", "conflict", "outcome", ""},
		"outcome-fatal":  {200, "fatal", "not-found", "outcome", ""},
		"bundle-error":   {200, "error", "conflict", "bundle", ""},
		"bundle-fatal":   {200, "fatal", "not-found", "bundle", ""},
		"epic":           {200, "fatal", "not-found", "bundle", "59144"},
		"invalid":        {400, "error", "invalid", "outcome", "Requested time slot is not available"},
		"no-slot":        {400, "error", "processing", "outcome", "No slot found for given details"},
		"unauthorized":   {401, "error", "login", "outcome", ""},
		"forbidden":      {403, "error", "forbidden", "outcome", ""},
		"not-found":      {404, "error", "not-found", "outcome", ""},
		"conflict":       {409, "error", "conflict", "outcome", ""},
		"duplicate":      {409, "error", "duplicate", "outcome", "DUPLICATE_REJECTED"},
		"gone":           {410, "error", "not-found", "outcome", ""},
		"version":        {412, "error", "conflict", "outcome", ""},
		"unprocessable":  {422, "error", "business-rule", "outcome", ""},
		"locked":         {423, "error", "lock-error", "outcome", ""},
		"throttled":      {429, "error", "throttled", "outcome", ""},
		"throttled-text": {429, "error", "throttled", "outcome", "Try in another 844 seconds"},
	}
	w := start(t, small)
	slot := w.open(1)[0].ID
	for _, shape := range RefusalShapes() {
		t.Run(shape, func(t *testing.T) {
			tc, ok := want[shape]
			if !ok {
				t.Fatal("no row for this shape")
			}
			w.fault(Fault{Kind: FaultRefuse, Shape: shape, RetryAfter: 844})
			for _, op := range []string{"$hold", "$book"} {
				a := w.post("/Appointment/offer-"+slot+"/"+op, params("patient-id", "Patient/pat-1"))
				body := a.json(t)
				note := body
				if tc.kind != "outcome" {
					note = resources(body, "outcome")[0]
				}
				if a.StatusCode != tc.status || digString(note, "issue", 0, "severity") != tc.severity || digString(note, "issue", 0, "code") != tc.code || !strings.Contains(a.text, tc.says) {
					t.Errorf("%d %s", a.StatusCode, a.text)
				}
				cancelled := resources(body, "match")
				if tc.kind == "cancelled" && (len(cancelled) != 1 || digString(cancelled[0], "status") != "cancelled" || digString(cancelled[0], "id") != "offer-"+slot) || tc.kind != "cancelled" && len(cancelled) > 0 {
					t.Errorf("appointments: %v", cancelled)
				}
				if after := a.Header.Get("Retry-After"); (after == "844") != (shape == "throttled") {
					t.Errorf("Retry-After %q", after)
				}
			}
		})
	}
	if len(w.srv.Appointments()) != 0 || w.status(slot) != "free" {
		t.Errorf("something was done: %v", w.srv.Appointments())
	}
}

func TestATakenSlotIsRefusedInTheServersOwnShape(t *testing.T) {
	t.Parallel()
	for _, shape := range RefusalShapes() {
		w := start(t, Options{Practitioners: 1, Days: 3, Refusal: shape})
		sl := w.open(1)[0]
		if _, err := w.srv.TakeSlot(sl.ID, "", false); err != nil {
			t.Fatal(err)
		}
		if a := w.post("/Appointment/$book", built(sl, "")); a.StatusCode != refusalShapes[shape].status {
			t.Errorf("%s: %d %s", shape, a.StatusCode, a.text)
		}
	}
	if _, err := New(Options{Refusal: "politely"}); err == nil {
		t.Error("a shape that is none")
	}
}

// deed is a booking under a fault: what the caller saw and what the book says.
type deed struct {
	w    *wire
	slot Slot
	got  answer
	err  error
}

func (d deed) standing() int { return len(d.w.srv.Book()) }

func bookUnder(t *testing.T, dialect Dialect, f Fault) deed {
	t.Helper()
	w := start(t, smallWith(func(o *Options) { o.Dialect = dialect }))
	d := deed{w: w, slot: w.open(1)[0]}
	w.fault(f)
	path, body := "/Appointment/$book", built(d.slot, `,"identifier":[{"system":"urn:ours","value":"k"}]`)
	if dialect == Slots {
		path, body = "/Appointment", bookedOn(d.slot.ID, "k", "pat-1")
	}
	d.got, d.err = w.do(t.Context(), http.MethodPost, path, body, "Content-Type", "application/fhir+json")
	return d
}

func TestEveryFaultOfBookingReallyHappens(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault Fault
		check func(t *testing.T, d deed)
	}{
		"nothing done, and the line is dead": {Fault{Kind: FaultLost}, func(t *testing.T, d deed) {
			if d.err == nil || d.standing() != 0 {
				t.Errorf("%v, %d", d.err, d.standing())
			}
		}},
		"booked, and the line is dead": {Fault{Kind: FaultCommitLost}, func(t *testing.T, d deed) {
			if d.err == nil || d.standing() != 1 {
				t.Errorf("%v, %d", d.err, d.standing())
			}
		}},
		"the line is dead, and booked later": {Fault{Kind: FaultCommitLate, Delay: Duration(40 * time.Millisecond)}, func(t *testing.T, d deed) {
			if d.err == nil || d.standing() != 0 {
				t.Errorf("%v, %d at once", d.err, d.standing())
			}
			until(t, "the late booking", func() bool { return d.standing() == 1 })
		}},
		"booked, and 500": {Fault{Kind: FaultCommitError, Status: 503}, func(t *testing.T, d deed) {
			if d.got.StatusCode != 503 || d.standing() != 1 {
				t.Errorf("%d, %d", d.got.StatusCode, d.standing())
			}
		}},
		"not booked, and 500": {Fault{Kind: FaultStatus, On: "book"}, func(t *testing.T, d deed) {
			if d.got.StatusCode != 500 || d.standing() != 0 {
				t.Errorf("%d, %d", d.got.StatusCode, d.standing())
			}
		}},
		"booked, and an empty body": {Fault{Kind: FaultCommitEmpty}, func(t *testing.T, d deed) {
			if d.got.StatusCode != 200 || d.got.text != "" || d.standing() != 1 {
				t.Errorf("%d %q, %d", d.got.StatusCode, d.got.text, d.standing())
			}
		}},
		"booked, and nonsense": {Fault{Kind: FaultCommitNonsense}, func(t *testing.T, d deed) {
			if d.got.StatusCode != 200 || !strings.Contains(d.got.text, "<html>") || d.standing() != 1 {
				t.Errorf("%d %q, %d", d.got.StatusCode, d.got.text, d.standing())
			}
		}},
		"booked, and dead in the middle": {Fault{Kind: FaultDie}, func(t *testing.T, d deed) {
			if d.err == nil && d.got.err == nil || d.standing() != 1 {
				t.Errorf("%v %v %s, %d", d.err, d.got.err, d.got.text, d.standing())
			}
		}},
		"another slot": {Fault{Kind: FaultOtherSlot}, func(t *testing.T, d deed) {
			got := d.w.srv.Appointments()[0]
			if got.Slots[0] == d.slot.ID || !got.Start.After(d.slot.Start) || d.w.status(d.slot.ID) != "free" || !strings.Contains(d.got.text, got.Slots[0]) || got.Identifiers[0] != "urn:ours|k" {
				t.Errorf("%+v for %s", got, d.slot.ID)
			}
		}},
		"another patient": {Fault{Kind: FaultOtherPatient}, func(t *testing.T, d deed) {
			if got := d.w.srv.Appointments()[0]; got.Patients[0] == "Patient/pat-1" || len(got.Patients) != 1 || !strings.Contains(d.got.text, got.Patients[0]) {
				t.Errorf("%+v", got)
			}
		}},
		"told, not booked": {Fault{Kind: FaultFalseBooked}, func(t *testing.T, d deed) {
			if !strings.Contains(d.got.text, `"booked"`) || d.got.StatusCode != 201 || d.standing() != 0 || d.w.status(d.slot.ID) != "free" {
				t.Errorf("%d %s, %d", d.got.StatusCode, d.got.text, d.standing())
			}
		}},
		"slow": {Fault{Kind: FaultLatency, On: "book", Delay: Duration(30 * time.Millisecond)}, func(t *testing.T, d deed) {
			if seen := d.w.srv.Requests(0); d.got.StatusCode != 201 || time.Duration(seen[0].Took) < 30*time.Millisecond {
				t.Errorf("%d %v", d.got.StatusCode, seen)
			}
		}},
	} {
		for _, dialect := range []Dialect{Argonaut, Slots} {
			t.Run(name+", "+string(dialect), func(t *testing.T) {
				t.Parallel()
				d := bookUnder(t, dialect, tc.fault)
				if d.err == nil {
					_ = d.got.Body.Close()
				}
				tc.check(t, d)
				if d.w.srv.Counters().ByFault[string(tc.fault.Kind)] != 1 {
					t.Errorf("struck: %v", d.w.srv.Counters().ByFault)
				}
			})
		}
	}
}

func TestWithHangTheCallerHangsUpFirst(t *testing.T) {
	t.Parallel()
	for kind, early := range map[FaultKind]int{FaultCommitLost: 1, FaultCommitLate: 0, FaultLost: 0} {
		w := start(t, small)
		sl := w.open(1)[0]
		w.fault(Fault{Kind: kind, Hang: true})
		gone := make(chan error)
		ctx, hangUp := contextOf(t)
		go func() {
			_, err := w.do(ctx, http.MethodPost, "/Appointment/$book", built(sl, ""), "Content-Type", "application/fhir+json")
			gone <- err
		}()
		until(t, "the request", func() bool { return w.srv.Counters().Requests == 1 && len(w.srv.Book()) == early })
		hangUp()
		if err := <-gone; err == nil {
			t.Errorf("%s: an answer came", kind)
		}
		until(t, "the end", func() bool { return w.srv.Counters().InFlight == 0 })
		if late := len(w.srv.Book()); kind != FaultLost && late != 1 || kind == FaultLost && late != 0 {
			t.Errorf("%s: %v", kind, w.srv.Book())
		}
	}
}

func TestACancelCanBeToldAndNotDoneOrLeaveTheSlotBusy(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	sl := w.open(1)[0]
	id := "offer-" + sl.ID
	w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-1"))
	w.fault(Fault{Kind: FaultFalseCancel})
	if a := w.cancelBy(id); digString(a.json(t), "status") != "cancelled" || w.srv.Book()[0].Status != "booked" || w.status(sl.ID) != "busy" {
		t.Errorf("%s %v", a.text, w.srv.Book())
	}
	w.fault(Fault{Kind: FaultKeepBusy})
	if a := w.cancelBy(id); digString(a.json(t), "status") != "cancelled" || len(w.srv.Book()) != 0 || w.status(sl.ID) != "busy" {
		t.Errorf("%s %v, slot %s", a.text, w.srv.Book(), w.status(sl.ID))
	}
	p := plainServer(t, nil)
	slot := p.open(1)[0].ID
	p.send(http.MethodPut, "/Slot/"+slot, "application/fhir+json", p.slotWith(slot, "busy"))
	p.fault(Fault{Kind: FaultKeepBusy})
	if a := p.send(http.MethodPut, "/Slot/"+slot, "application/fhir+json", p.slotWith(slot, "free")); a.StatusCode != 200 || p.status(slot) != "busy" {
		t.Errorf("%d, slot %s", a.StatusCode, p.status(slot))
	}
}

func TestHoldsAreLostEarlyAndRivalsComeBetween(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	free := w.open(2)
	id := "offer-" + free[0].ID
	w.fault(Fault{Kind: FaultLoseHolds})
	a := w.post("/Appointment/"+id+"/$hold", "")
	if digString(first(t, a), "status") != "pending" || a.Header.Get("Expires") == a.Header.Get("Date") || w.status(free[0].ID) != "free" || len(w.srv.Book()) != 0 {
		t.Errorf("%s, slot %s", a.text, w.status(free[0].ID))
	}
	id = "offer-" + free[1].ID
	w.fault(Fault{Kind: FaultRival})
	if a := w.post("/Appointment/"+id+"/$hold", ""); digString(first(t, a), "status") != "pending" {
		t.Errorf("a rival comes at booking: %s", a.text)
	}
	if a := w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-1")); digString(first(t, a), "status") != "cancelled" {
		t.Errorf("booked in spite of the rival: %s", a.text)
	}
	if lines := w.srv.Book(); len(lines) != 1 || lines[0].Patients[0] != rivalPatient || lines[0].Slot != free[1].ID {
		t.Errorf("%v", lines)
	}
	p := plainServer(t, nil)
	slot := p.open(1)[0].ID
	p.fault(Fault{Kind: FaultRival})
	if a := p.post("", transactionOf(p.slotWith(slot, "busy"), slot, "1", bookedOn(slot, "k", "pat-1"), "")); a.StatusCode != 412 || len(p.srv.Book()) != 1 || p.srv.Book()[0].Patients[0] != rivalPatient {
		t.Errorf("%d %s: %v", a.StatusCode, a.text, p.srv.Book())
	}
}

func TestSearchesAreAnsweredFromACacheOrLagBehind(t *testing.T) {
	t.Parallel()
	now := monday
	w := start(t, smallWith(func(o *Options) { o.Now = func() time.Time { return now } }))
	sl := w.open(1)[0]
	count := func(header ...string) int { return total(w.ok("/Appointment?patient=pat-1&status=booked", header...)) }
	minute := Duration(time.Minute)
	w.fault(Fault{Kind: FaultStaleSearch, Delay: minute})
	offers := func() int { return total(w.ok("/Appointment/$find?_count=1000&start=2026-02-02")) }
	before := offers()
	count()
	w.post("/Appointment/$book", built(sl, ""))
	if count() != 0 || offers() != before {
		t.Error("not from the cache")
	}
	if count("Cache-Control", "no-cache") != 1 {
		t.Error("no-cache was not heeded")
	}
	w.fault(Fault{Kind: FaultStaleSearch, Delay: minute, Stubborn: true})
	if count("Cache-Control", "no-cache") != 0 {
		t.Error("not stubborn")
	}
	w.fault(Fault{Kind: FaultLaggingSearch, Delay: minute})
	if count() != 0 {
		t.Error("seen at once")
	}
	now = now.Add(61 * time.Second)
	if count() != 1 {
		t.Error("never seen")
	}
	w.fault(Fault{Kind: FaultStaleSearch, Delay: minute})
	if offers() != before-1 {
		t.Error("the cache is for ever")
	}
}

func TestAFaultKeepsToWhatItIsOn(t *testing.T) {
	t.Parallel()
	w := start(t, small)
	free := w.open(3)
	w.fault(Fault{Kind: FaultRefuse, Shape: "locked", On: "book,cancel", Count: 1})
	if a := w.post("/Appointment/offer-"+free[0].ID+"/$hold", ""); a.StatusCode != 200 {
		t.Errorf("a hold: %d", a.StatusCode)
	}
	if a := w.get("/Slot"); a.StatusCode != 200 {
		t.Errorf("a search: %d", a.StatusCode)
	}
	if a := w.cancelBy("offer-" + free[0].ID); a.StatusCode != 423 {
		t.Errorf("a cancel: %d", a.StatusCode)
	}
	if a := w.cancelBy("offer-" + free[0].ID); a.StatusCode != 200 {
		t.Errorf("after its count: %d", a.StatusCode)
	}
	for _, f := range []Fault{{Kind: FaultRefuse, Shape: "rudely"}, {Kind: FaultRefuse, On: "sleep"}} {
		if _, err := w.srv.SetFaults(f); err == nil {
			t.Errorf("%+v", f)
		}
	}
}

func TestTheHistoryTellsWhatWasWrittenWithoutTheBody(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		w := start(t, smallWith(func(o *Options) { o.KeepBodies = keep }))
		id := "offer-" + w.open(1)[0].ID
		body := params("patient-id", "Patient/pat-1", "comment", "Canary-McCanaryface")
		w.post("/Appointment/"+id+"/$book", body)
		w.post("/Appointment/"+id+"/$book", body)
		w.cancelBy(id, "If-Match", `W/"1"`)
		w.send(http.MethodPost, "/Patient/_search", "application/x-www-form-urlencoded", "family=Winters")
		w.send(http.MethodPost, "/Patient", "application/fhir+xml", `<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"><gender value="male"/></Patient>`)
		got := w.srv.Requests(0)
		var kinds, doing []string
		for _, r := range got {
			kinds, doing = append(kinds, r.BodyKind), append(doing, r.Doing)
		}
		if fmt.Sprint(kinds) != "[Parameters Parameters patch form Patient]" || fmt.Sprint(doing) != "[book book cancel search register]" {
			t.Errorf("%v %v", kinds, doing)
		}
		if got[0].BodyDigest == "" || got[0].BodyDigest != got[1].BodyDigest || got[2].IfMatch != `W/"1"` {
			t.Errorf("%+v", got)
		}
		if strings.Contains(fmt.Sprint(got), "Canary") != keep {
			t.Errorf("bodies are kept: %v", !keep)
		}
	}
}

func TestEveryKindOfFaultIsListed(t *testing.T) {
	t.Parallel()
	for kind := range doings {
		if !slices.Contains(FaultKinds(), kind) {
			t.Errorf("%s", kind)
		}
	}
}
