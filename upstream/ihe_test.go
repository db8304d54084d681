package upstream

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// known is a slot as everybody can tell it: who, where and when.
func (w *deskWorld) known(s ehrsim.Slot) string {
	return strings.TrimPrefix(s.Schedule, "Schedule/") + " " + s.Start.UTC().Format(time.RFC3339)
}

// offeredAs is the same of an offer: the simulated EHR names its schedules after
// practitioner and place.
func offeredAs(o scheduling.OfferRecord) string {
	who, _ := o.Actor(scheduling.KindPractitioner)
	where, _ := o.Actor(scheduling.KindLocation)
	return "sched-" + strings.TrimPrefix(who.ID, "prac-") + "-" + strings.TrimPrefix(where.ID, "loc-") + " " + o.Start().UTC().Format(time.RFC3339)
}

// byFind are the dialects that know no more than $find.
func byFind(t *testing.T, dialect string, simulate func(*ehrsim.Options), bend func(*Options)) *deskWorld {
	t.Helper()
	release := scheduling.R4
	if dialect == Epic {
		release = scheduling.STU3
	}
	return worldOf(t, dialect, release, simulate, func(o *Options) {
		o.Quirks.Search = ""
		if bend != nil {
			bend(o)
		}
	})
}

func TestADialectOfFindReadsEachOpenSlotOnceWithPractitionerAndPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sim  func(*ehrsim.Options)
		bend func(*Options)
	}{
		"ihe":                        {nil, nil},
		"ihe in XML":                 {nil, func(o *Options) { o.Quirks.Accept = "xml" }},
		"ihe in pages":               {nil, func(o *Options) { o.Quirks.PageSize = 7 }},
		"ihe in the server's pages":  {func(o *ehrsim.Options) { o.PageSize = 9 }, func(o *Options) { o.Quirks.PageSize = -1 }},
		"ihe without slots":          {func(o *ehrsim.Options) { o.FindNoSlot = true }, nil},
		"ihe by dates":               {nil, func(o *Options) { o.Quirks.DateOnly = true }},
		"epic":                       {nil, nil},
		"epic in XML":                {nil, func(o *Options) { o.Quirks.Accept = "xml" }},
		"epic by dates":              {nil, func(o *Options) { o.Quirks.DateOnly = true }},
		"epic of places without one": {func(o *ehrsim.Options) { o.NoTimezone, o.Zone = true, "Europe/Vienna" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dialect, _, _ := strings.Cut(name, " ")
			w := byFind(t, dialect, tc.sim, tc.bend)
			var want, got []string
			for _, slot := range w.srv.Slots("free") {
				if slot.Start.After(noon) && slot.Start.Before(noon.Add(8*24*time.Hour)) {
					want = append(want, w.known(slot))
				}
			}
			for _, offer := range w.offers {
				if offer.Start().Before(noon.Add(8 * 24 * time.Hour)) {
					got = append(got, offeredAs(offer))
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%d slots are known, %d are open", len(got), len(want))
			}
			for _, r := range w.srv.Requests(0) {
				if strings.HasSuffix(r.Path, "$find") && (r.Method != http.MethodPost || r.Query != "") {
					t.Errorf("%s %s?%s", r.Method, r.Path, r.Query)
				}
			}
			for _, offer := range w.offers {
				if virtual := dialect == Epic || strings.Contains(name, "without slots"); offer.Slots[0].Virtual != virtual || dialect == Epic && offer.Slots[0].Appointment != "" {
					t.Fatalf("%+v", offer.Slots[0])
				}
			}
			again := offersOf(t, w.Client, ahead(noon, 9))
			same := func(a, b scheduling.OfferRecord) bool { return a.Slots[0].ID == b.Slots[0].ID }
			if !slices.EqualFunc(w.offers, again, same) {
				t.Error("asked again, the slots have other ids")
			}
		})
	}
}

// A scope of one schedule asks the source for its practitioner alone, where the
// source knows the question.
func TestAScopeOfOneScheduleIsAskedForByReference(t *testing.T) {
	t.Parallel()
	w := byFind(t, IHE, nil, nil)
	scope := ahead(noon, 9)
	scope.Schedules = []string{w.offers[0].Schedule}
	w.srv.ClearRequests()
	for _, offer := range offersOf(t, w.Client, scope) {
		if offer.Schedule != w.offers[0].Schedule {
			t.Errorf("%+v", offer)
		}
	}
	who, _ := w.offers[0].Actor(scheduling.KindPractitioner)
	for _, r := range w.srv.Requests(0) {
		if want := `"name":"practitioner","valueReference":{"reference":"Practitioner/` + who.ID + `"}`; strings.HasSuffix(r.Path, "$find") && !strings.Contains(r.Body, want) {
			t.Errorf("asked by %s", r.Body)
		}
	}
}

// The days on which the clocks change have 23 and 25 hours.
func TestLaw9DaysOf23And25HoursAreAskedForWholeByFind(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{IHE, Epic} {
		for day, starts := range map[string][]string{
			"2026-03-29": {"2026-03-28T23:00:00Z", "2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T21:45:00Z"},
			"2026-10-25": {"2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T22:45:00Z"},
		} {
			t.Run(dialect+" "+day, func(t *testing.T) {
				t.Parallel()
				at := func(text string) time.Time {
					when, err := time.Parse(time.RFC3339, text)
					if err != nil {
						t.Fatal(err)
					}
					return when
				}
				first := at(starts[0])
				o := practice(func(o *ehrsim.Options) {
					o.Dialect, o.Zone, o.Days, o.Practitioners = ehrsim.Dialect(dialect), "Europe/Vienna", 1, 1
					o.Now = func() time.Time { return first.Add(-48 * time.Hour) }
				})
				srv, base := sim(t, o)
				schedule := srv.Slots()[0].Schedule
				// What lies just outside is of the days beside it.
				for _, start := range append([]time.Time{first.Add(-15 * time.Minute), at(starts[3]).Add(15 * time.Minute)}, at(starts[0]), at(starts[1]), at(starts[2]), at(starts[3])) {
					if _, err := srv.AddSlot(ehrsim.Slot{Schedule: schedule, Start: start, End: start.Add(15 * time.Minute)}); err != nil {
						t.Fatal(err)
					}
				}
				c := registered(t, Options{ID: "src", Base: base, Dialect: dialect, Timezone: configZone(t, "Europe/Vienna")}, Deps{Now: srv.Now})
				when, _ := time.Parse(time.DateOnly, day)
				date := scheduling.DayOf(when, time.UTC)
				got := fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: date, To: date + 1}})
				var found []string
				for _, window := range got.Windows {
					for _, slot := range window {
						found = append(found, slot.Start.UTC().Format(time.RFC3339))
					}
				}
				slices.Sort(found)
				if !slices.Equal(found, starts) || !got.Complete {
					t.Errorf("%v, want %v; cut: %s", found, starts, got.Cut)
				}
			})
		}
	}
}

// A page as full as was asked for, without a total, may be the first of many.
func TestLaw8AFullPageOfFindWithoutATotalIsCut(t *testing.T) {
	t.Parallel()
	page := `{"resourceType":"Bundle","type":"searchset"%s,"entry":[{"resource":{"resourceType":"Appointment","id":"a","status":"proposed",
		"start":"2026-02-04T08:00:00Z","end":"2026-02-04T08:15:00Z","participant":[{"actor":{"reference":"Practitioner/p"},"status":"needs-action"}]}}]}`
	for total, whole := range map[string]bool{"": false, `,"total":1`: true, `,"total":2`: false} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "$find"):
				_, _ = fmt.Fprintf(w, page, total)
			case strings.HasSuffix(r.URL.Path, "/p"):
				_, _ = w.Write([]byte(`{"resourceType":"Practitioner","id":"p"}`))
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		})
		c := client(t, base, func(o *Options) { utc(o); o.Dialect, o.Quirks.PageSize = IHE, 1 })
		got := fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 2, 4), To: scheduling.Date(2026, 2, 5)}})
		if got.Complete != whole || got.Slots() != 1 {
			t.Errorf("%q: complete %v (%s), %d slots", total, got.Complete, got.Cut, got.Slots())
		}
	}
}

func TestAnIHESourceIsTreatedAsItsProfileSays(t *testing.T) {
	t.Parallel()
	w := byFind(t, IHE, nil, nil)
	w.Learn(t.Context())
	can := w.Can()
	if can.Hold != scheduling.HoldEHR || !can.Exclusive || !can.Search || can.Slots || can.Reschedule != scheduling.Move || !can.Bookable || w.Way() != "find" {
		t.Errorf("%+v", can)
	}
	none := byFind(t, IHE, func(o *ehrsim.Options) { o.NoHold = true }, nil)
	none.Learn(t.Context())
	if can = none.Can(); can.Hold != scheduling.HoldNone || !can.GatewayHolds || !can.Exclusive {
		t.Errorf("without $hold: %+v", can)
	}
}

// Whichever way the profile leaves, and whatever the source shows of slots.
func TestAnIHEAppointmentIsHeldBookedMovedAndCancelledByItsStatus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sim  func(*ehrsim.Options)
		bend func(*Options)
		ours bool
	}{
		"by resource":         {nil, nil, true},
		"by resource, in XML": {nil, func(o *Options) { o.Quirks.Accept = "xml" }, true},
		"by reference":        {nil, func(o *Options) { o.Quirks.Name = "id" }, false},
		"without slots":       {func(o *ehrsim.Options) { o.FindNoSlot = true }, nil, true},
	} {
		for _, held := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", held ", held), func(t *testing.T) {
				t.Parallel()
				w := byFind(t, IHE, tc.sim, tc.bend)
				offer, next, free := w.offer(), w.offer(), len(w.srv.Slots("free"))
				var hold *scheduling.Hold
				if held {
					hold = w.hold(t, offer)
				}
				made := w.book(t, offer, hold)
				a, err := w.Read(t.Context(), made.ID, scheduling.ForBook)
				if err != nil || a.Status != scheduling.ApptBooked || !a.Start.Equal(offer.Start()) || !slices.Equal(a.Patient, []string{"pat-1"}) || a.HasIdentifier("key-1") != tc.ours {
					t.Fatalf("%+v %v", a, err)
				}
				found, err := w.Find(t.Context(), scheduling.FindCall{Identifier: "key-1", Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End()})
				if err != nil || len(found) != 1 || found[0].ID != made.ID {
					t.Errorf("found %+v %v", found, err)
				}
				call := bookCall(next, nil)
				call.Moves, call.MovesETag = made.ID, a.ETag
				if a, err = w.Book(t.Context(), call); err != nil || a.ID != made.ID || !a.Start.Equal(next.Start()) {
					t.Fatalf("moved: %+v %v", a, err)
				}
				if a, err = w.Read(t.Context(), made.ID, scheduling.ForBook); err != nil || a.Status != scheduling.ApptBooked || !a.Start.Equal(next.Start()) {
					t.Errorf("moved: %+v %v", a, err)
				}
				if err = w.Cancel(t.Context(), scheduling.CancelCall{Offer: next, Native: made.ID, Reason: "pat"}); err != nil {
					t.Fatal(err)
				}
				book, err := w.srv.Appointment(made.ID)
				if err != nil || book.Status != "cancelled" || book.Reason != "pat" || book.Comment != "bring the films" {
					t.Errorf("%+v %v", book, err)
				}
				if n := len(w.srv.Slots("free")); n != free {
					t.Errorf("%d slots are free, %d were", n, free)
				}
			})
		}
	}
}

func TestAnIHEHoldIsReleasedAndNothingElseIs(t *testing.T) {
	t.Parallel()
	w := byFind(t, IHE, nil, nil)
	offer := w.offer()
	hold := w.hold(t, offer)
	_, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: offer, Identifier: "key-2", Length: time.Minute})
	wantCode(t, "a second hold", err, scheduling.SlotTaken)
	if err = w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: *hold}); err != nil || w.slot(t, offer) != "free" {
		t.Errorf("released: %v, the slot is %s", err, w.slot(t, offer))
	}
	other := w.offer()
	hold = w.hold(t, other)
	w.book(t, other, hold)
	wantCode(t, "release of what is booked", w.Release(t.Context(), scheduling.ReleaseCall{Offer: other, Hold: *hold}), scheduling.NotAcceptable)
	if w.slot(t, other) != "busy" {
		t.Error("the release undid the booking")
	}
	built := w.offer()
	built.Slots[0].Appointment = ""
	_, err = w.Hold(t.Context(), scheduling.HoldCall{Offer: built, Identifier: "key-3", Length: time.Minute})
	wantCode(t, "a hold of what the source did not propose", err, scheduling.NotSupported)
}

// The profile's refusal is an OperationOutcome and nothing else, whatever the
// call.
func TestLaw2AnIHERefusalIsAnOutcomeAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status       int
		body         string
		book, cancel scheduling.Code
	}{
		"fatal not-found":             {200, bundleJSON(outcomeJSON("fatal", "not-found", "gone")), scheduling.SlotTaken, scheduling.UnknownID},
		"bare":                        {200, outcomeJSON("fatal", "not-found", "gone"), scheduling.SlotTaken, scheduling.UnknownID},
		"fatal conflict":              {200, bundleJSON(outcomeJSON("fatal", "conflict", "")), scheduling.SlotTaken, scheduling.SourceRefused},
		"fatal business-rule":         {200, bundleJSON(outcomeJSON("fatal", "business-rule", "")), scheduling.NotAcceptable, scheduling.NotAcceptable},
		"of the patient":              {200, bundleJSON(outcomeJSON("fatal", "not-found", "Patient/9 is not known")), scheduling.NotAcceptable, scheduling.UnknownID},
		"the OperationDefinition's":   {200, bundleJSON(appointmentJSON("cancelled"), outcomeJSON("fatal", "not-found", "")), scheduling.SlotTaken, scheduling.SourceRefused},
		"400":                         {400, outcomeJSON("fatal", "invalid", "Bad Request"), scheduling.NotAcceptable, scheduling.NotAcceptable},
		"401":                         {401, outcomeJSON("fatal", "login", "Unauthorized"), scheduling.SourceLogin, scheduling.SourceLogin},
		"403":                         {403, outcomeJSON("fatal", "forbidden", "Forbidden"), scheduling.SourceLogin, scheduling.SourceLogin},
		"an outcome of mere notes":    {200, bundleJSON(appointmentJSON("booked"), outcomeJSON("information", "informational", "")), "", scheduling.SourceRefused},
		"a fatal one beside a yes":    {200, bundleJSON(appointmentJSON("booked"), outcomeJSON("fatal", "exception", "")), scheduling.SourceRefused, scheduling.SourceRefused},
		"an answer that was cut":      {200, bundleJSON(appointmentJSON("booked"))[:60], scheduling.InDoubt, scheduling.InDoubt},
		"500, which may have done it": {500, outcomeJSON("fatal", "exception", ""), scheduling.InDoubt, scheduling.InDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, answers(tc.status, tc.body)), func(o *Options) { utc(o); o.Dialect = IHE })
			_, err := c.Book(t.Context(), bookCall(anOffer(), nil))
			wantCode(t, "book", err, tc.book)
			wantCode(t, "cancel", c.Cancel(t.Context(), scheduling.CancelCall{Offer: anOffer(), Native: "a1"}), tc.cancel)
		})
	}
}

// What was booked other than asked is seen by reading it.
func TestLaw1AnIHESourceThatBooksAnotherSlotOrPatientIsFoundOut(t *testing.T) {
	t.Parallel()
	w := byFind(t, IHE, nil, nil)
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
		if err = w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: a.ID}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
