package upstream

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// Whatever is lost after it was sent is in doubt, never refused; and a write is
// sent once.
func TestLaw5WhatWasSentAndNotAnsweredIsInDoubt(t *testing.T) {
	t.Parallel()
	late := ehrsim.Duration(time.Hour)
	for name, at := range writtenTo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, at.dialect, at.release, nil, func(o *Options) { hasty(o); o.Booking.CallTimeout = config.Duration(300 * time.Millisecond) })
			for fault, f := range map[string]ehrsim.Fault{
				"lost":                  {Kind: ehrsim.FaultLost},
				"lost by time":          {Kind: ehrsim.FaultLost, Hang: true},
				"done and lost":         {Kind: ehrsim.FaultCommitLost},
				"done and lost by time": {Kind: ehrsim.FaultCommitLost, Hang: true},
				"done late":             {Kind: ehrsim.FaultCommitLate, Delay: late},
				"done and 500":          {Kind: ehrsim.FaultCommitError},
				"done and 503":          {Kind: ehrsim.FaultCommitError, Status: 503},
				"done and 504":          {Kind: ehrsim.FaultCommitError, Status: 504},
				"done and HTML":         {Kind: ehrsim.FaultCommitNonsense},
				"dies in the middle":    {Kind: ehrsim.FaultDie},
			} {
				w.inDoubt(t, fault, f)
			}
		})
	}
}

// inDoubt makes every call meet the fault, each with an offer of its own.
func (w *deskWorld) inDoubt(t *testing.T, fault string, f ehrsim.Fault) {
	t.Helper()
	w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultLatency})
	held, offers := [2]*scheduling.Hold{}, [2]scheduling.OfferRecord{w.offer(), w.offer()}
	for i := range held {
		held[i] = w.hold(t, offers[i])
	}
	cancelled := w.offer()
	once := func(offer scheduling.OfferRecord, hold *scheduling.Hold) scheduling.BookCall {
		call := bookCall(offer, hold)
		call.Identifier = "key-" + offer.Slots[0].ID // as the desk's, none is used twice
		return call
	}
	made, err := w.Book(t.Context(), once(cancelled, nil))
	if err != nil {
		t.Fatalf("%s: %v", fault, err)
	}
	for what, call := range map[string]struct {
		on string
		do func() error
	}{
		"hold": {"hold", func() error {
			_, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: w.offer(), Identifier: "k", Length: time.Minute})
			return err
		}},
		"book": {"book", func() error {
			_, err := w.Book(t.Context(), once(w.offer(), nil))
			return err
		}},
		"book what is held": {"book", func() error {
			_, err := w.Book(t.Context(), once(offers[0], held[0]))
			return err
		}},
		"release": {"release,cancel", func() error {
			return w.Release(t.Context(), scheduling.ReleaseCall{Offer: offers[1], Hold: *held[1]})
		}},
		"cancel": {"cancel", func() error {
			return w.Cancel(t.Context(), scheduling.CancelCall{Offer: cancelled, Native: made.ID})
		}},
	} {
		f.On = call.on
		w.fault(t, f)
		before := w.writes()
		wantCode(t, fault+": "+what, call.do(), scheduling.InDoubt)
		if n := w.writes() - before; n > 2 {
			t.Errorf("%s: %s: %d writes were sent", fault, what, n)
		}
	}
}

// writes counts the requests that change something.
func (w *deskWorld) writes() int {
	n := 0
	for _, r := range w.srv.Requests(0) {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.Path, "$find") && !strings.HasSuffix(r.Path, "$prefetch") {
			n++
		}
	}
	return n
}

// An empty answer is an answer.
func TestAnEmptyAnswerIsReadByItsLocationOrLookedFor(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, at.dialect, at.release, func(o *ehrsim.Options) { o.EmptyAnswers = at.dialect == Slots; o.NoTransactions = true }, nil)
			if at.dialect == Argonaut {
				w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultCommitEmpty, On: "book"})
			}
			offer := w.offer()
			a, err := w.Book(t.Context(), bookCall(offer, nil))
			if err != nil {
				t.Fatal(err)
			}
			if at.dialect == Slots && a.ID == "" {
				t.Error("the Location was not read")
			}
			found, err := w.Find(t.Context(), scheduling.FindCall{Identifier: "key-1", Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End()})
			if err != nil || len(found) != 1 || a.ID != "" && found[0].ID != a.ID {
				t.Errorf("%+v %v; booked %+v", found, err, a)
			}
		})
	}
}

// What certainly was not sent is source-down, at once and with a time to wait.
func TestLaw5WhatWasCertainlyNotSentIsNotInDoubt(t *testing.T) {
	t.Parallel()
	book := func(ctx context.Context, c *Client) error {
		_, err := c.Book(ctx, bookCall(anOffer(), nil))
		return err
	}
	t.Run("a refused connection", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		c := client(t, "http://"+l.Addr().String(), argonautR4)
		wantCode(t, "book", book(t.Context(), c), scheduling.SourceDown)
	})
	t.Run("a name that nobody has", func(t *testing.T) {
		t.Parallel()
		wantCode(t, "book", book(t.Context(), client(t, "http://nobody.invalid/fhir", argonautR4)), scheduling.SourceDown)
	})
	t.Run("an open breaker", func(t *testing.T) {
		t.Parallel()
		var calls atomic.Int32
		c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				calls.Add(1)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}), func(o *Options) { argonautR4(o); o.Limits.BreakerFailures = 2 })
		for range 2 {
			wantCode(t, "book", book(t.Context(), c), scheduling.InDoubt)
		}
		err := book(t.Context(), c)
		wantCode(t, "book", err, scheduling.SourceDown)
		if e := scheduling.AsError(err); e.RetryAfter == 0 || calls.Load() != 2 {
			t.Errorf("retry after %v, %d calls", e.RetryAfter, calls.Load())
		}
	})
	t.Run("no budget", func(t *testing.T) {
		t.Parallel()
		c := client(t, serve(t, answers(200, appointmentJSON("booked"))), argonautR4)
		c.budget.pause(time.Now().Add(time.Minute))
		err := book(t.Context(), c)
		wantCode(t, "book", err, scheduling.SourceDown)
		if e := scheduling.AsError(err); e.RetryAfter < 50*time.Second {
			t.Errorf("retry after %v", e.RetryAfter)
		}
	})
	t.Run("a caller who is gone already", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantCode(t, "book", book(ctx, client(t, serve(t, answers(200, appointmentJSON("booked"))), argonautR4)), scheduling.SourceDown)
	})
	t.Run("nobody accepts the connection in time", func(t *testing.T) {
		t.Parallel()
		c := client(t, "http://192.0.2.1/fhir", func(o *Options) { argonautR4(o); hasty(o) })
		wantCode(t, "book", book(t.Context(), c), scheduling.SourceDown)
	})
	t.Run("no token", func(t *testing.T) {
		t.Parallel()
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		c := client(t, base, func(o *Options) {
			argonautR4(o)
			o.Auth.Kind, o.Auth.ClientID, o.Auth.ClientSecret, o.Auth.TokenURL = "client_secret", "x", secret("y"), base+"/token"
		})
		wantCode(t, "book", book(t.Context(), c), scheduling.SourceDown)
	})
}

// The waiting for the budget is part of a write's time: past it another gateway
// has the entry, and nothing may be sent.
func TestAWriteThatWaitedTooLongIsNeverSent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var posts atomic.Int32
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
		<-release
		w.WriteHeader(http.StatusNotFound)
	}), func(o *Options) {
		argonautR4(o)
		hasty(o)
		o.Limits.Concurrency = 1
		o.Booking.CallTimeout = config.Duration(50 * time.Millisecond)
	})
	done := make(chan struct{})
	go func() { defer close(done); _, _ = c.Metadata(t.Context()) }()
	for c.Budget()["inFlight"] != 1 {
		time.Sleep(time.Millisecond)
	}
	_, err := c.Book(t.Context(), bookCall(anOffer(), nil))
	wantCode(t, "book", err, scheduling.SourceDown)
	close(release)
	<-done
	if posts.Load() != 0 {
		t.Error("it was sent")
	}
}
