package upstream

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

const (
	annToken = "the-token-of-ann"
	bobToken = "the-token-of-bob"
)

func userToken(t *testing.T, text string) scheduling.As {
	t.Helper()
	token, ok := scheduling.NewUserToken(text)
	if !ok {
		t.Fatal("not a token")
	}
	return scheduling.AsUser(token)
}

// usersWorld is a source with a login of ours and two users, pat-1 and pat-2.
func usersWorld(t *testing.T, dialect string, release scheduling.Release) *deskWorld {
	t.Helper()
	return worldOf(t, dialect, release, func(o *ehrsim.Options) {
		o.RequireBearer = "ours"
		o.Users = []ehrsim.User{{Token: annToken, Patient: "pat-1"}, {Token: bobToken, Patient: "pat-2"}}
	}, func(o *Options) {
		bearer("ours")(o)
		o.Limits.BreakerFailures = 3
	})
}

func TestLaw13AUserSeesAtASourceWhatTheSourceShowsToThem(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ctx := usersWorld(t, at.dialect, at.release), t.Context()
			ann := userToken(t, annToken)
			r, err := w.UserPatient(ctx, ann, "pat-1")
			if err != nil || r.ID != "pat-1" || r.Names[0].Family != "Winters" || r.Release != at.release {
				t.Fatalf("%+v %v", r, err)
			}
			if _, err = w.UserPatient(ctx, ann, "pat-2"); scheduling.CodeOf(err) != scheduling.Forbidden {
				t.Fatalf("another patient: %v", err)
			}
			if err = w.ChecksTokens(ctx, "pat-1"); err != nil {
				t.Fatalf("it checks tokens: %v", err)
			}
			list, more, err := w.UserPatients(ctx, ann, scheduling.PatientSearch{Family: "Winters", Given: []string{"Ada"}}, 5)
			if err != nil || more || len(list) != 1 || list[0].ID != "pat-1" {
				t.Fatalf("%v %v %v", list, more, err)
			}
			made, err := w.srv.TakeSlot(w.offer().Slots[0].ID, "Patient/pat-1", false)
			if err != nil {
				t.Fatal(err)
			}
			other, err := w.srv.TakeSlot(w.offer().Slots[0].ID, "Patient/pat-2", false)
			if err != nil {
				t.Fatal(err)
			}
			appts, err := w.UserAppointments(ctx, ann, "pat-1", time.Time{}, time.Time{})
			if err != nil || len(appts) != 1 || appts[0].ID != made.ID || !appts[0].Start.Equal(made.Start) || appts[0].Zone == "" || len(appts[0].Actors) == 0 {
				t.Fatalf("%+v %v", appts, err)
			}
			if appts, err = w.UserAppointments(ctx, ann, "pat-1", made.Start.Add(time.Hour), time.Time{}); err != nil || len(appts) != 0 {
				t.Fatalf("outside of the period: %+v %v", appts, err)
			}
			for _, native := range []string{other.ID, "nothing"} {
				if _, err = w.UserAppointment(ctx, ann, native); scheduling.CodeOf(err) != scheduling.Forbidden {
					t.Fatalf("%s: %v", native, err)
				}
				if err = w.UserCancel(ctx, ann, scheduling.CancelCall{Native: native}); scheduling.CodeOf(err) != scheduling.Forbidden {
					t.Fatalf("cancel of %s: %v", native, err)
				}
			}
			if err = w.UserCancel(ctx, ann, scheduling.CancelCall{Native: made.ID, Offer: scheduling.OfferRecord{}}); err != nil && scheduling.CodeOf(err) != scheduling.Forbidden {
				t.Fatal(err)
			}
			a, err := w.UserAppointment(ctx, ann, made.ID)
			if err != nil || !a.Status.Void() {
				t.Fatalf("%+v %v", a, err)
			}
			for _, r := range w.srv.Requests(0) {
				if strings.Contains(r.Query, "amily") || strings.Contains(r.Path, "Winters") {
					t.Fatalf("demographics in an address: %s", r.Query)
				}
			}
		})
	}
}

func TestLaw13ATrustedCallersQuestionsGoWithOurLogin(t *testing.T) {
	t.Parallel()
	w := usersWorld(t, Argonaut, scheduling.R4)
	if _, err := w.UserPatient(t.Context(), scheduling.AsGateway(), "pat-2"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UserPatient(t.Context(), scheduling.As{}, "pat-2"); scheduling.CodeOf(err) != scheduling.Internal {
		t.Fatalf("in nobody's name: %v", err)
	}
	list, _, err := w.UserPatients(t.Context(), scheduling.AsGateway(), scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{Value: "1002"}}}, 5)
	if err != nil || len(list) != 1 || list[0].ID != "pat-2" {
		t.Fatalf("%v %v", list, err)
	}
}

// tiers answers a user's token with a status, and our login with a Patient.
func tiers(status *atomic.Int32, header http.Header) http.HandlerFunc {
	ours := tiny(func(w http.ResponseWriter, _ *http.Request) { page(w, 0, "") })
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer ours" {
			ours(w, r)
			return
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		if status.Load() == http.StatusOK {
			_, _ = io.WriteString(w, "<html>log in</html>")
			return
		}
		w.WriteHeader(int(status.Load()))
	}
}

func TestLaw6AUsersTokenNeitherOpensABreakerNorSlowsAnybodyDown(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	reg := prometheus.NewRegistry()
	o := Options{ID: "src", Base: serve(t, tiers(&status, http.Header{"Retry-After": {"600"}})), Dialect: Slots}
	quick(&o)
	bearer("ours")(&o)
	utc(&o)
	o.Limits.BreakerFailures = 2
	var said bytes.Buffer
	c := registered(t, o, Deps{Registerer: reg, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	for code, wants := range map[int32]scheduling.Code{401: scheduling.Unauthorized, 403: scheduling.Forbidden, 429: scheduling.Throttled, 200: scheduling.SourceNonsense, 500: scheduling.SourceDown} {
		status.Store(code)
		for range 5 {
			_, err := c.UserPatient(t.Context(), userToken(t, annToken), "p1")
			if scheduling.CodeOf(err) != wants {
				t.Fatalf("%d: %v", code, err)
			}
			if e := scheduling.AsError(err); (code == 401 || code == 403) && (e.Who != scheduling.Client || e.Param != "X-Source-Authorization") {
				t.Fatalf("%+v", e)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), annToken) {
				t.Fatal("the token is in an error")
			}
		}
	}
	for guard, state := range c.Breakers() {
		if state != "closed" {
			t.Errorf("breaker %s is %s", guard, state)
		}
	}
	if _, err := c.Fetch(t.Context(), ahead(noon, 1)); err != nil {
		t.Fatalf("others wait for a user's pause: %v", err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families) + said.String(); strings.Contains(text, "source-login") || strings.Contains(text, annToken) {
		t.Fatal("told as a fault of our login, or with the token")
	}
}

func TestASourceThatAnswersWhoeverAsksProvesNothing(t *testing.T) {
	t.Parallel()
	var seen atomic.Value
	patient := func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, `{"resourceType":"Patient","id":"p1"}`)
	}
	c := client(t, serve(t, patient), nil)
	if err := c.ChecksTokens(t.Context(), "p1"); scheduling.CodeOf(err) != scheduling.NotSupported {
		t.Fatalf("%v", err)
	}
	if text, _ := seen.Load().(string); !strings.HasPrefix(text, "Bearer none-") {
		t.Fatalf("asked with %q", text)
	}
	for status, want := range map[int]scheduling.Code{401: "", 403: "", 404: "", 400: "", 500: scheduling.SourceDown, 429: scheduling.Throttled} {
		c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), nil)
		if err := c.ChecksTokens(t.Context(), "p1"); scheduling.CodeOf(err) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestLaw11AUsersTokenFollowsNoOneElsewhere(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"resourceType":"Patient","id":"p1"}`)
	})
	var tokens atomic.Int32
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+annToken {
			tokens.Add(1)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/metadata"):
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/Appointment"):
			page(w, 2, other.base+"/Appointment?page=2", `{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-11-24T10:00:00Z","end":"2026-11-24T10:20:00Z","participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"}]}`)
		default:
			http.Redirect(w, r, other.base+"/Patient/p1", http.StatusTemporaryRedirect)
		}
	}), func(o *Options) { bearer("ours")(o); utc(o) })
	ann := userToken(t, annToken)
	if _, err := c.UserPatient(t.Context(), ann, "p1"); scheduling.CodeOf(err) != scheduling.SourceNonsense {
		t.Errorf("a redirect: %v", err)
	}
	if _, _, err := c.UserPatients(t.Context(), ann, scheduling.PatientSearch{Family: "x"}, 5); err == nil {
		t.Error("a redirect of a search was followed")
	}
	if _, err := c.UserAppointments(t.Context(), ann, "p1", time.Time{}, time.Time{}); scheduling.CodeOf(err) != scheduling.SourceNonsense {
		t.Errorf("a next link: %v", err)
	}
	if other.calls.Load() != 0 || tokens.Load() == 0 {
		t.Errorf("another origin got %d calls; the source got the token %d times", other.calls.Load(), tokens.Load())
	}
}

func TestWhatAnEHRAnswersAUserWithIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		code scheduling.Code
	}{
		"too large":        {`{"resourceType":"Patient","id":"p1","x":"` + strings.Repeat("x", 3<<20) + `"}`, scheduling.SourceNonsense},
		"no FHIR":          {`<html>log in</html>`, scheduling.SourceNonsense},
		"another resource": {`{"resourceType":"Practitioner","id":"p1"}`, scheduling.SourceNonsense},
		"another patient":  {`{"resourceType":"Patient","id":"p2"}`, scheduling.SourceNonsense},
		"nothing":          {``, scheduling.SourceNonsense},
	} {
		source := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) }), func(o *Options) { o.Limits.MaxBody = 2 << 20 })
		if _, err := source.UserPatient(t.Context(), userToken(t, annToken), "p1"); scheduling.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := source.UserPatient(t.Context(), userToken(t, annToken), "../p1"); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("an id that is none: %v", err)
		}
	}
}
