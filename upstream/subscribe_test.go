package upstream

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestSubscriptionsAreMadeReadRenewedFoundAndRemoved(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ehrsim.Options{
		"argonaut STU3":           {Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3},
		"slots R4":                {Dialect: ehrsim.Slots, FHIR: ehrsim.R4},
		"slots R4, empty answers": {Dialect: ehrsim.Slots, FHIR: ehrsim.R4, EmptyAnswers: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Practitioners, o.Days = 1, 2
			o.Notify = ehrsim.Notify{Offered: true, MaxLife: time.Hour}
			ehr, base := sim(t, o)
			heard := make(chan string, 10)
			hook := serve(t, func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get("Authorization") })
			c := client(t, base, func(u *Options) {
				u.Dialect, u.FHIR = string(o.Dialect), scheduling.Release(o.FHIR)
				if o.EmptyAnswers {
					u.Quirks.Accept = "xml"
				}
			})
			if ok, err := c.OffersSubscriptions(t.Context()); !ok || err != nil {
				t.Fatal(ok, err)
			}
			channel := scheduling.Channel{Endpoint: hook + "/notify/src", Header: "Authorization: Bearer s"}
			sub, err := c.Subscribe(t.Context(), channel, time.Now().Add(24*time.Hour))
			if err != nil || sub.ID == "" {
				t.Fatal(sub, err)
			}
			if got := <-heard; got != "Bearer s" {
				t.Errorf("the source shows %q", got)
			}
			read, err := c.ReadSubscription(t.Context(), sub.ID)
			if err != nil || read.Broken() || read.End.IsZero() || read.End.After(time.Now().Add(time.Hour)) {
				t.Error(read, err)
			}
			if again, err := c.Resubscribe(t.Context(), sub.ID, channel, time.Now().Add(48*time.Hour)); err != nil || again.ID != sub.ID {
				t.Error(again, err)
			}
			for _, ch := range []scheduling.Channel{channel, {Endpoint: channel.Endpoint}} {
				if found, err := c.FindSubscriptions(t.Context(), ch); err != nil || len(found) != 1 || found[0].ID != sub.ID {
					t.Error(found, err)
				}
			}
			if found, err := c.FindSubscriptions(t.Context(), scheduling.Channel{Endpoint: "https://others.example.org", Header: "x"}); err != nil || len(found) != 0 {
				t.Error(found, err)
			}
			for range 2 { // what is not there is removed
				if err := c.Unsubscribe(t.Context(), sub.ID); err != nil {
					t.Error(err)
				}
			}
			if n := len(ehr.Subscriptions()); n != 0 {
				t.Errorf("%d are left", n)
			}
			if _, err := c.ReadSubscription(t.Context(), sub.ID); scheduling.CodeOf(err) != scheduling.UnknownID {
				t.Error(err)
			}
			if _, err := c.Resubscribe(t.Context(), sub.ID, channel, time.Now().Add(time.Hour)); scheduling.CodeOf(err) != scheduling.UnknownID {
				t.Error(err)
			}
		})
	}
}

func TestASourceThatTakesNoSubscriptionIsHeard(t *testing.T) {
	t.Parallel()
	ehr, base := sim(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 2})
	c := client(t, base, nil)
	if ok, err := c.OffersSubscriptions(t.Context()); ok || err != nil {
		t.Error(ok, err)
	}
	channel := scheduling.Channel{Endpoint: "http://127.0.0.1:1/notify/src", Header: "Authorization: Bearer s3cret"}
	if _, err := c.Subscribe(t.Context(), channel, time.Now().Add(time.Hour)); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Error(err)
	}
	if found, err := c.FindSubscriptions(t.Context(), channel); err != nil || found != nil {
		t.Error(found, err)
	}
	// A Subscription that fails keeps nobody from booking.
	for range 20 {
		if _, err := ehr.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 500, Path: "/Subscription"}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Subscribe(t.Context(), channel, time.Now().Add(time.Hour))
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Error(err)
		}
	}
	if state := c.Breakers()[string(guardWrite)]; state != "closed" {
		t.Errorf("the breaker of writes is %s", state)
	}
	if n := ehr.Counters().ByPath["POST /Subscription"]; n > 20 {
		t.Errorf("a Subscription was asked for %d times in 20", n)
	}
}

func TestSubscribeIsTrueFalseOrAuto(t *testing.T) {
	t.Parallel()
	var s Subscribe
	for _, text := range []string{"true", "false", "auto"} {
		if err := s.UnmarshalText([]byte(text)); err != nil || string(s) != text {
			t.Error(text, s, err)
		}
	}
	if err := s.UnmarshalText([]byte("yes")); err == nil {
		t.Error("yes is taken")
	}
	for key, o := range map[string]Options{
		"subscribe":              {Dialect: Links, Notifying: Notifying{Subscribe: SubscribeAlways}},
		"subscription.lifetime":  {Notifying: Notifying{Subscription: Subscription{Lifetime: 1}}},
		"subscription.heartbeat": {Notifying: Notifying{Subscription: Subscription{Heartbeat: 1}}},
		"subscription.secret":    {Notifying: Notifying{Subscription: Subscription{Secret: "post"}}},
	} {
		o.ID, o.Base = "src", "https://ehr.example.org"
		setDefault(&o.Dialect, Slots)
		o.SetDefaults()
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), key[strings.LastIndex(key, ".")+1:]) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
