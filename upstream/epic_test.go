package upstream

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/fhir"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestAnEpicSourceIsTreatedAsWhatItIs(t *testing.T) {
	t.Parallel()
	w := byFind(t, Epic, nil, nil)
	w.Learn(t.Context())
	can := w.Can()
	if can.Hold != scheduling.HoldNone || !can.GatewayHolds || can.Exclusive || !can.Search || can.Slots || can.Patients != 1 || !can.Bookable || w.Way() != "find" {
		t.Errorf("%+v", can)
	}
	if way := w.Registering().Way; way != scheduling.RegisterMatch {
		t.Errorf("registers by %s", way)
	}
	_, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: w.offer(), Identifier: "key-1", Length: time.Minute})
	wantCode(t, "hold", err, scheduling.NotSupported)
	// Without our identifier on appointments nobody can tell which are ours.
	_, err = w.Ours(t.Context())
	wantCode(t, "ours", err, scheduling.NotSupported)
}

// The slot has another id each time it is proposed, and is booked by the one it
// has at that moment.
func TestAnEpicSlotIsLookedForOnceMoreAndBooked(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(*Options){"json": nil, "dates": func(o *Options) { o.Quirks.DateOnly = true }, "xml": func(o *Options) { o.Quirks.Accept = "xml" }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := byFind(t, Epic, func(o *ehrsim.Options) { o.Patches = true }, bend)
			offer, free := w.offer(), len(w.srv.Slots("free"))
			w.srv.ClearRequests()
			made := w.book(t, offer, nil)
			counts := w.srv.Counters().ByPath
			if counts["POST /Appointment/$find"] != 1 || counts["POST /Appointment/$book"] != 1 {
				t.Errorf("%v", counts)
			}
			a, err := w.Read(t.Context(), made.ID, scheduling.ForBook)
			who, _ := offer.Actor(scheduling.KindPractitioner)
			where, _ := offer.Actor(scheduling.KindLocation)
			takes := func(one scheduling.Actor) func(scheduling.Actor) bool {
				return func(other scheduling.Actor) bool { return one.Kind == other.Kind && one.ID == other.ID }
			}
			if err != nil || a.Status != scheduling.ApptBooked || !a.Start.Equal(offer.Start()) || !a.End.Equal(offer.End()) || !slices.Equal(a.Patient, []string{"pat-1"}) ||
				!slices.ContainsFunc(a.Actors, takes(who)) || !slices.ContainsFunc(a.Actors, takes(where)) {
				t.Fatalf("%+v %v", a, err)
			}
			if book, err := w.srv.Appointment(made.ID); err != nil || book.Comment != "bring the films" || len(book.Identifiers) > 0 {
				t.Errorf("%+v %v", book, err)
			}
			found, err := w.Find(t.Context(), scheduling.FindCall{Identifier: "key-1", Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End()})
			if err != nil || len(found) != 1 || found[0].ID != made.ID {
				t.Errorf("%+v %v", found, err)
			}
			_, err = w.Book(t.Context(), bookCall(offer, nil))
			wantCode(t, "booked again", err, scheduling.SlotTaken)
			if err = w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID, ETag: a.ETag}); err != nil {
				t.Fatal(err)
			}
			if n := len(w.srv.Slots("free")); n != free {
				t.Errorf("%d slots are free, %d were", n, free)
			}
			w.book(t, offer, nil) // the same slot, proposed anew
		})
	}
}

// Who cannot cancel there is told so, and nothing is sent.
func TestWhatCannotBeCancelledIsToldSo(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]*deskWorld{
		"epic":          byFind(t, Epic, nil, nil),
		"as configured": byFind(t, IHE, nil, func(o *Options) { o.Quirks.Cancel = "none" }),
	} {
		offer := w.offer()
		made := w.book(t, offer, nil)
		writes := w.writes()
		wantCode(t, name, w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID}), scheduling.NotSupported)
		if w.writes() != writes {
			t.Errorf("%s: something was sent", name)
		}
		if a, err := w.srv.Appointment(made.ID); err != nil || a.Status != "booked" {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
}

// What is not proposed any more is taken, and no booking is tried; what cannot be
// asked is not.
func TestAnEpicSlotThatIsNotProposedAnyMoreIsTaken(t *testing.T) {
	t.Parallel()
	w := byFind(t, Epic, nil, func(o *Options) { o.Limits.Retries = new(int) })
	try := func(what string, f *ehrsim.Fault, spoil func(slot string), want scheduling.Code) {
		t.Helper()
		offer, slot := w.offer(), ""
		for _, one := range w.srv.Slots("free") {
			if w.known(one) == offeredAs(offer) {
				slot = one.ID
			}
		}
		if spoil != nil {
			spoil(slot)
		}
		if f != nil {
			w.fault(t, *f)
		}
		writes := w.writes()
		_, err := w.Book(t.Context(), bookCall(offer, nil))
		wantCode(t, what, err, want)
		if w.writes() != writes {
			t.Errorf("%s: a booking was sent", what)
		}
		w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
	}
	try("deleted", nil, func(slot string) { _ = w.srv.DeleteSlot(slot) }, scheduling.SlotTaken)
	try("taken", nil, func(slot string) { _, _ = w.srv.TakeSlot(slot, "", false) }, scheduling.SlotTaken)
	try("moved", nil, func(slot string) {
		s, _ := w.srv.Slot(slot)
		_ = w.srv.MoveSlot(slot, s.Start.Add(5*time.Minute), s.End.Add(5*time.Minute))
	}, scheduling.SlotTaken)
	try("of another type", nil, func(slot string) { _ = w.srv.SetSlotType(slot, "") }, scheduling.SlotTaken)
	try("not asked", &ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 500, Path: "/Appointment/$find"}, nil, scheduling.SourceDown)
	try("a cut answer", &ehrsim.Fault{Kind: ehrsim.FaultCutJSON, Path: "/Appointment/$find"}, nil, scheduling.SourceDown)
	try("no login", &ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 401, Path: "/Appointment/$find"}, nil, scheduling.SourceLogin)
}

// Between looking and booking somebody may come, and an id may age.
func TestLaw2AnEpicRefusalIsJudgedByItsCode(t *testing.T) {
	t.Parallel()
	const taken, unacceptable, unclear = scheduling.SlotTaken, scheduling.NotAcceptable, scheduling.SourceRefused
	for name, tc := range map[string]struct {
		status int
		body   string
		want   scheduling.Code
	}{
		"59144, the id is not known":       {200, bundleJSON(epicJSON("59144", "invalid appointment ID")), taken},
		"59144 with 400":                   {400, epicJSON("59144", "invalid appointment ID"), taken},
		"4101, nothing there":              {200, bundleJSON(epicJSON("4101", "no results")), taken},
		"59200, no visit type":             {200, bundleJSON(epicJSON("59200", "Cadence Decision Tree was unable to determine a Visit Type")), unacceptable},
		"59134, something went wrong":      {200, bundleJSON(epicJSON("59134", "processing")), unclear},
		"59141, there twice":               {200, bundleJSON(epicJSON("59141", "duplicate record")), unclear},
		"59109 beside a yes":               {200, bundleJSON(appointmentJSON("booked"), strings.ReplaceAll(epicJSON("59109", "optional invalid"), `"fatal"`, `"information"`)), ""},
		"the patient":                      {400, outcomeJSON("fatal", "not-found", "no such patient"), unacceptable},
		"a call to the clinic":             {200, bundleJSON(outcomeJSON("error", "business-rule", "Please call the clinic")), scheduling.NeedsClinic},
		"401":                              {401, "", scheduling.SourceLogin},
		"500, which may have done it":      {500, "", scheduling.InDoubt},
		"an answer that is cut":            {200, bundleJSON(appointmentJSON("booked"))[:50], scheduling.InDoubt},
		"the appointment without its name": {200, bundleJSON(appointmentJSON("booked")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var booked atomic.Int32
			offer := anOffer()
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "$find"):
					_, _ = w.Write([]byte(bundleJSON(proposalJSON("tmp-1"))))
				case strings.HasSuffix(r.URL.Path, "$book"):
					booked.Add(1)
					w.WriteHeader(tc.status)
					_, _ = w.Write([]byte(tc.body))
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})
			c := client(t, base, func(o *Options) { utc(o); o.Dialect = Epic })
			offer.Slots[0].ID, offer.Slots[0].Virtual = virtualID("src", offer.Actors, &offer.Slots[0]), true
			_, err := c.Book(t.Context(), bookCall(offer, nil))
			wantCode(t, "book", err, tc.want)
			if booked.Load() != 1 {
				t.Errorf("%d bookings were sent", booked.Load())
			}
		})
	}
}

func proposalJSON(id string) string {
	return `{"resourceType":"Appointment","id":"` + id + `","status":"proposed","start":"2030-01-01T08:00:00Z","end":"2030-01-01T08:15:00Z",
		"participant":[{"actor":{"reference":"Practitioner/p1"},"status":"needs-action"}]}`
}

// An id of which nothing is known any more is refused by 59144.
func TestAnEpicIDThatHasAgedIsRefusedAsTaken(t *testing.T) {
	t.Parallel()
	w := byFind(t, Epic, func(o *ehrsim.Options) { o.OfferLife = -1 }, nil)
	_, err := w.Book(t.Context(), bookCall(w.offer(), nil))
	wantCode(t, "book", err, scheduling.SlotTaken)
}

// Nothing found is no cut; more than is given is.
func TestLaw8AnEpicAnswerSaysByItsCodeWhetherItIsWhole(t *testing.T) {
	t.Parallel()
	for code, whole := range map[string]bool{"4101": true, "4127": false, "59133": false, "59200": false} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "$find") {
				_, _ = w.Write([]byte(bundleJSON(epicJSON(code, "words"))))
				return
			}
			w.WriteHeader(http.StatusNotFound)
		})
		c := client(t, base, func(o *Options) { utc(o); o.Dialect = Epic })
		if got := fetch(t, c, ahead(noon, 1)); got.Complete != whole {
			t.Errorf("%s: complete %v, %s", code, got.Complete, got.Cut)
		}
	}
}

func TestLaw5AnEpicBookingWithoutAnAnswerIsInDoubtAndFoundByItsPatient(t *testing.T) {
	t.Parallel()
	w := byFind(t, Epic, nil, hasty)
	for kind, done := range map[ehrsim.FaultKind]bool{
		ehrsim.FaultLost: false, ehrsim.FaultCommitLost: true, ehrsim.FaultCommitError: true, ehrsim.FaultCommitNonsense: true, ehrsim.FaultDie: true,
	} {
		offer := w.offer()
		w.fault(t, ehrsim.Fault{Kind: kind, On: "book"})
		writes := w.writes()
		_, err := w.Book(t.Context(), bookCall(offer, nil))
		wantCode(t, string(kind), err, scheduling.InDoubt)
		if n := w.writes() - writes; n != 1 {
			t.Errorf("%s: %d bookings were sent", kind, n)
		}
		w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
		found, err := w.Find(t.Context(), scheduling.FindCall{Identifier: "key-1", Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End()})
		stands := slices.ContainsFunc(found, func(a scheduling.Appointment) bool { return a.Start.Equal(offer.Start()) && a.Status.Stands() })
		if err != nil || stands != done {
			t.Errorf("%s: found %v, %v", kind, stands, err)
		}
	}
}

func TestLaw3OneOfManyBooksAnEpicSlot(t *testing.T) {
	t.Parallel()
	w := byFind(t, Epic, nil, nil)
	offer := w.offer()
	if won := race(t, w.Client, 12, func(i int) scheduling.BookCall { return rival(offer, i) }); len(won) != 1 || len(w.srv.DoubleBooked()) > 0 {
		t.Errorf("%d won; twice: %v", len(won), w.srv.DoubleBooked())
	}
}

// What was booked other than asked is seen by reading it.
func TestLaw1AnEpicSourceThatBooksAnotherSlotOrPatientIsFoundOut(t *testing.T) {
	t.Parallel()
	w := byFind(t, Epic, nil, nil)
	for kind, wrong := range map[ehrsim.FaultKind]func(scheduling.Appointment, scheduling.OfferRecord) bool{
		ehrsim.FaultOtherPatient: func(a scheduling.Appointment, _ scheduling.OfferRecord) bool {
			return !slices.Contains(a.Patient, "pat-1")
		},
		ehrsim.FaultOtherSlot: func(a scheduling.Appointment, o scheduling.OfferRecord) bool { return !a.Start.Equal(o.Start()) },
	} {
		w.fault(t, ehrsim.Fault{Kind: kind})
		offer := w.offer()
		a, err := w.Read(t.Context(), w.book(t, offer, nil).ID, scheduling.ForBook)
		if err != nil || !wrong(a, offer) {
			t.Errorf("%s: %+v %v", kind, a, err)
		}
	}
}

// FuzzEpicProposals reads any answer of $find, as prefetch and as the look before
// a booking: neither falls over, and no id that is none is ever sent.
func FuzzEpicProposals(f *testing.F) {
	f.Add([]byte(bundleJSON(proposalJSON("tmp-1"))))
	f.Add([]byte(bundleJSON(proposalJSON("../../x"), epicJSON("4101", "none"))))
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Appointment","status":"proposed","start":"2030-01-01T08:00","participant":[{}]}}]}`))
	offer := anOffer()
	offer.Slots[0].ID = virtualID("src", offer.Actors, &offer.Slots[0])
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := readPage(body)
		if err != nil {
			return
		}
		h := newHarvest(kindAppointment, nil, 1000)
		h.temporary = true
		h.page(page)
		c := &Client{source: scheduling.Source{ID: "src", Zone: time.UTC}}
		if id := c.sameAs(h, offer); id != "" && !scheduling.ValidID(id) {
			t.Errorf("%q", id)
		}
		for _, r := range h.records {
			if !r.slot.Virtual || r.slot.ID != "" {
				t.Errorf("a temporary id is an identity: %+v", r.slot)
			}
		}
	})
}

func readPage(body []byte) (*fhir.Page, error) {
	return fhir.ReadBundle(scheduling.STU3, fhir.JSON, body) //nolint:wrapcheck // only whether there is one counts
}
