package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// call posts a resource to an operation, in a format and a version.
func (w *world) call(rel scheduling.Release, format fhir.Format, path string, body model.Resource, header ...string) reply {
	w.t.Helper()
	text := ""
	if body != nil {
		data, err := fhir.Write(rel, format, body)
		if err != nil {
			w.t.Fatal(scheduling.AsError(err).Err)
		}
		text = string(data)
	}
	kind := format.ContentType()
	return w.ask(http.MethodPost, "/fhir/"+string(rel)+path, text, append([]string{siteKey, "Content-Type: " + kind}, header...)...)
}

// parameters makes one of names and texts in turn.
func parameters(pairs ...string) *model.Parameters {
	p := &model.Parameters{}
	for i := 0; i < len(pairs); i += 2 {
		p.Parameter = append(p.Parameter, model.Parameter{Name: pairs[i], ValueURI: pairs[i+1]})
	}
	return p
}

// one is the one Appointment of a Bundle, and what its outcome says.
func (w *world) one(r reply, rel scheduling.Release) (*model.Appointment, string) {
	w.t.Helper()
	b, ok := w.resource(r, rel).(*model.Bundle)
	if !ok || b.Type != "searchset" || *b.Total != 1 || len(b.Entry) == 0 || len(b.Entry) > 2 {
		w.t.Fatalf("status %d, not a Bundle of one: %s", r.status, r.body)
	}
	a, ok := b.Entry[0].Resource.(*model.Appointment)
	if !ok || b.Entry[0].Search.Mode != "match" {
		w.t.Fatalf("not an Appointment: %s", r.body)
	}
	if want := w.base + "/fhir/" + string(rel) + "/Appointment/" + a.ID; b.Entry[0].FullURL != want {
		w.t.Errorf("fullUrl %q, want %q", b.Entry[0].FullURL, want)
	}
	text := ""
	if len(b.Entry) == 2 {
		text = told(b.Entry[1].Resource.(*model.OperationOutcome))
	}
	return a, text
}

// every plays in both versions and both formats.
func every(t *testing.T, play func(t *testing.T, w *world, desk *fakeDesk, rel scheduling.Release, format fhir.Format)) {
	t.Helper()
	for _, rel := range releases() {
		for _, format := range []fhir.Format{fhir.JSON, fhir.XML} {
			t.Run(string(rel)+" "+format.String(), func(t *testing.T) {
				t.Parallel()
				w, desk := withDesk(t, nil)
				play(t, w, desk, rel, format)
			})
		}
	}
}

func TestAnOfferIsHeldBookedReadAndCancelled(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world, desk *fakeDesk, rel scheduling.Release, format fhir.Format) {
		hit := w.anOffer("napa", 0)
		accept := "Accept: " + format.ContentType()

		r := w.call(rel, format, "/Appointment/"+hit.ID+"/$hold", nil, accept)
		a, text := w.one(r, rel)
		if r.status != 200 || a.Status != "pending" || text != "" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("hold: %d %s %q", r.status, a.Status, text)
		}
		lasts := httpTime(t, r, "Expires").Sub(httpTime(t, r, "Date"))
		if lasts < 4*time.Minute+58*time.Second || lasts > 5*time.Minute+2*time.Second {
			t.Errorf("the hold lasts %s", lasts)
		}
		if !strings.HasSuffix(a.Start, "-08:00") || len(a.Slot) != 1 || a.Participant[0].Status != "tentative" {
			t.Errorf("held: %+v", a)
		}

		r = w.call(rel, format, "/Appointment/%24book", parameters("appt-id", "Appointment/"+hit.ID, "patient-id", "Patient/p1", "comment", "by the stairs"), accept, "Idempotency-Key: k-1")
		a, _ = w.one(r, rel)
		if r.status != 200 || a.Status != "booked" || a.ID != hit.ID || r.header.Get("Location") != "" || r.header.Get("Expires") != "" {
			t.Errorf("book: %d %+v", r.status, a)
		}
		last := a.Participant[len(a.Participant)-1]
		if last.Actor.Reference != "Patient/p1" || last.Status != "accepted" || a.Comment != "by the stairs" {
			t.Errorf("booked: %+v", a)
		}
		if got := desk.books[0]; got.Key != "k-1" || got.Comment != "by the stairs" || !slices.Equal(got.Patients, []string{"p1"}) || got.ByResource {
			t.Errorf("the desk was asked %+v", got)
		}

		r = w.get("/fhir/"+string(rel)+"/Appointment/"+hit.ID, siteKey, accept)
		read, ok := w.resource(r, rel).(*model.Appointment)
		if r.status != 200 || !ok || read.Status != "booked" || r.header.Get("ETag") != `W/"2"` || read.Meta.VersionID != "2" || r.header.Get("X-Slotgate-Complete") != "true" {
			t.Errorf("read: %d %v %s", r.status, r.header, r.body)
		}

		r = w.patch(rel, hit.ID, `[{"op":"test","path":"/status","value":"booked"},{"op":"replace","path":"/status","value":"cancelled"}]`,
			"Content-Type: application/json-patch+json", accept, `If-Match: W/"2"`)
		gone, ok := w.resource(r, rel).(*model.Appointment)
		if r.status != 200 || !ok || gone.Status != "cancelled" || gone.Participant[0].Status != "declined" || r.header.Get("ETag") != `W/"3"` {
			t.Errorf("cancel: %d %s", r.status, r.body)
		}
	})
}

func httpTime(t *testing.T, r reply, name string) time.Time {
	t.Helper()
	at, err := http.ParseTime(r.header.Get(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return at
}

// patch sends a patch of an appointment.
func (w *world) patch(rel scheduling.Release, id, body string, header ...string) reply {
	w.t.Helper()
	return w.ask(http.MethodPatch, "/fhir/"+string(rel)+"/Appointment/"+id, body, append([]string{siteKey}, header...)...)
}

// TestAResourceIsBooked: 201 and a Location, whichever way the resource comes.
func TestAResourceIsBooked(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world, desk *fakeDesk, rel scheduling.Release, format fhir.Format) {
		for n, tc := range []struct {
			name string
			body func(*model.Appointment, scheduling.Hit) model.Resource
		}{
			{"a bare Appointment", func(a *model.Appointment, _ scheduling.Hit) model.Resource { return a }},
			{"appt-resource", func(a *model.Appointment, _ scheduling.Hit) model.Resource {
				return &model.Parameters{Parameter: []model.Parameter{{Name: "appt-resource", Resource: a}}}
			}},
			{"appointment-resource", func(a *model.Appointment, _ scheduling.Hit) model.Resource {
				return &model.Parameters{Parameter: []model.Parameter{{Name: "appointment-resource", Resource: a}}}
			}},
			{"with the patient apart", func(a *model.Appointment, _ scheduling.Hit) model.Resource {
				a.Participant = a.Participant[:1]
				return &model.Parameters{Parameter: []model.Parameter{
					{Name: "appt-resource", Resource: a},
					{Name: "patient-id", ValueReference: &model.Reference{Reference: w.base + "/fhir/r4/Patient/p1"}},
				}}
			}},
			{"with the id that $find gave", func(a *model.Appointment, hit scheduling.Hit) model.Resource {
				a.ID = hit.ID
				return a
			}},
			{"with an id of the client's own", func(a *model.Appointment, _ scheduling.Hit) model.Resource { a.ID = "draft-7"; return a }},
		} {
			hit := w.anOffer("york", n)
			r := w.call(rel, format, "/Appointment/$book", tc.body(made(hit), hit))
			a, _ := w.one(r, rel)
			if r.status != 201 || r.header.Get("Location") != w.base+"/fhir/"+string(rel)+"/Appointment/"+hit.ID || a.Status != "booked" || a.ID != hit.ID {
				t.Errorf("%s: %d %q: %s", tc.name, r.status, r.header.Get("Location"), r.body)
			}
			got := desk.books[len(desk.books)-1]
			if !got.ByResource || !got.Start.Equal(hit.Start()) || !got.End.Equal(hit.End()) || len(got.Slots) != 1 || !slices.Equal(got.Patients, []string{"p1"}) {
				t.Errorf("%s: the desk was asked %+v", tc.name, got)
			}
		}
		held := w.anOffer("napa", 40)
		r := w.call(rel, format, "/Appointment/$hold", made(held))
		if a, _ := w.one(r, rel); r.status != 201 || a.Status != "pending" || r.header.Get("Expires") == "" {
			t.Errorf("hold: %d %s", r.status, r.body)
		}
	})
}

// made is the Appointment that a client makes of a slot.
func made(hit scheduling.Hit) *model.Appointment {
	return &model.Appointment{
		Status: "proposed",
		Slot:   []model.Reference{{Reference: "Slot/" + scheduling.ResourceID(hit.Setting.Source, scheduling.KindSlot, hit.Slots[0].ID)}},
		Start:  hit.Start().Format(time.RFC3339), End: hit.End().In(hit.Setting.Zone).Format(time.RFC3339),
		Participant: []model.AppointmentParticipant{
			{Actor: &model.Reference{Display: "Dr. Ada"}, Status: "needs-action"},
			{Actor: &model.Reference{Reference: "Patient/p1"}, Status: "needs-action"},
		},
	}
}

func TestIHEBooksMovesAndCancelsByTheStatus(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world, desk *fakeDesk, rel scheduling.Release, format fhir.Format) {
		ihe := func(a *model.Appointment) *model.Parameters {
			return &model.Parameters{Parameter: []model.Parameter{{Name: "appointment-resource", Resource: a}}}
		}
		first, second := w.anOffer("york", 0), w.anOffer("york", 1)
		w.call(rel, format, "/Appointment/$hold", &model.Parameters{Parameter: []model.Parameter{
			{Name: "appointment-reference", ValueReference: &model.Reference{Reference: "Appointment/" + first.ID}},
		}})
		if desk.holds[0].ID != first.ID || desk.holds[0].ByResource {
			t.Errorf("held by reference: %+v", desk.holds[0])
		}
		pending := made(first)
		pending.Status = "pending"
		w.one(w.call(rel, format, "/Appointment/$book", ihe(pending)), rel)

		moved := made(second)
		moved.ID, moved.Status = first.ID, "booked"
		r := w.call(rel, format, "/Appointment/$book", ihe(moved))
		if got := desk.books[1]; got.Replaces != first.ID || got.Reschedule != scheduling.Move || got.ID != "" || len(got.Slots) != 1 || r.status != 201 {
			t.Errorf("moved: %d, the desk was asked %+v", r.status, got)
		}
		gone := made(second)
		gone.ID, gone.Status = second.ID, "cancelled"
		gone.CancelationReason = &model.CodeableConcept{Coding: []model.Coding{{Code: "patient-cancel"}}}
		r = w.call(rel, format, "/Appointment/$book", ihe(gone), "Idempotency-Key: bye")
		a, _ := w.one(r, rel)
		if got := desk.cancels[0]; got.ID != second.ID || got.Reason != "patient-cancel" || got.Key != "bye" || r.status != 200 || a.Status != "cancelled" {
			t.Errorf("cancelled: %d, the desk was asked %+v", r.status, got)
		}
	})
}

func TestNoticesAreTold(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	hit := w.anOffer("napa", 0)
	desk.bend = func(v *booking.View) {
		v.Notices = []booking.Notice{booking.HeldByGatewayOnly, booking.NotProved, booking.OldStillBooked}
		v.NotProved = []string{"slot", "location"}
	}
	body := parameters("appt-id", hit.ID, "patient-id", "p1", "colour", "blue")
	body.Parameter = append(body.Parameter, model.Parameter{Name: "coverage", Resource: &model.Coverage{Status: "active", Beneficiary: &model.Reference{Display: "x"}, Payor: []model.Reference{{Display: "y"}}}})
	a, text := w.one(w.call(scheduling.R4, fhir.JSON, "/Appointment/$book?shape=round", body), scheduling.R4)
	for _, want := range []string{
		"held by the gateway only", "not proved: the source did not return slot, location", "replaced appointment not cancelled yet",
		"parameter colour is not known", "parameter shape is not known", "parameter coverage was not applied",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told: %s", want, text)
		}
	}
	var tags []string
	for _, tag := range a.Meta.Tag {
		tags = append(tags, tag.Code)
	}
	if !slices.Equal(tags, []string{"held-by-gateway", "not-proved", "replaced-not-cancelled"}) {
		t.Errorf("tags %v", tags)
	}
	if r := w.call(scheduling.R4, fhir.JSON, "/Appointment/$book", body, "Prefer: handling=strict"); r.status != 400 {
		t.Errorf("strictly: %d", r.status)
	}
}

func TestWhatIsInDoubtIs202(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world, desk *fakeDesk, rel scheduling.Release, format fhir.Format) {
		hit := w.anOffer("york", 0)
		desk.bend = func(v *booking.View) {
			v.InDoubt, v.RetryAfter, v.Status = true, 3*time.Second, scheduling.ApptPending
			v.Entry.Doubt = &scheduling.Doubt{Unresolved: true}
		}
		location := w.base + "/fhir/" + string(rel) + "/Appointment/" + hit.ID
		accept := "Accept: " + format.ContentType()
		r := w.call(rel, format, "/Appointment/"+hit.ID+"/$book", parameters("patient-id", "p1"), accept)
		a, text := w.one(r, rel)
		if r.status != 202 || r.header.Get("Location") != location || r.header.Get("Retry-After") != "3" || !strings.Contains(r.body, "in-doubt") || !strings.Contains(r.body, "unresolved") || text == "" {
			t.Errorf("book: %d %v %s", r.status, r.header, r.body)
		}
		if a.Status != "pending" || !tagged(a, "in-doubt") {
			t.Errorf("book: %+v", a)
		}
		r = w.get(path(t, location), siteKey, accept)
		if a, ok := w.resource(r, rel).(*model.Appointment); r.status != 200 || !ok || a.Status != "pending" || !tagged(a, "in-doubt") || r.header.Get("Retry-After") != "3" {
			t.Errorf("read: %d %s", r.status, r.body)
		}
		r = w.patch(rel, hit.ID, `[{"op":"replace","path":"/status","value":"cancelled"}]`, "Content-Type: application/json", accept)
		if _, ok := w.resource(r, rel).(*model.OperationOutcome); r.status != 202 || !ok || w.code(r, rel) != "in-doubt" || r.header.Get("Location") != location {
			t.Errorf("cancel: %d %s", r.status, r.body)
		}
	})
}

func tagged(a *model.Appointment, code string) bool {
	return slices.ContainsFunc(a.Meta.Tag, func(c model.Coding) bool { return c.System == fhir.ErrorSystem && c.Code == code })
}
