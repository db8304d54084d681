package upstream

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// The probe of go-redis for a server that is gone sleeps a second, also when its pool is closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// quick are limits under which tests do not wait for the budget.
func quick(o *Options) {
	o.Limits.Rate, o.Limits.Concurrency = 10_000, 8
	o.Limits.RetryWait = config.Duration(20 * time.Millisecond)
}

// client makes one client of options that need only what the test is about.
func client(t *testing.T, base string, bend func(*Options)) *Client {
	t.Helper()
	o := Options{ID: "src", Base: base, Dialect: Slots}
	quick(&o)
	if bend != nil {
		bend(&o)
	}
	return registered(t, o, Deps{})
}

func registered(t *testing.T, o Options, deps Deps) *Client {
	t.Helper()
	r, err := NewRegistry([]Options{o}, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	c, ok := r.Get(o.ID)
	if !ok {
		t.Fatal("the source is not in the registry")
	}
	return c
}

// sim starts a simulated EHR.
func sim(t *testing.T, o ehrsim.Options) (*ehrsim.Server, string) {
	t.Helper()
	srv, err := ehrsim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	base, err := srv.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv, base
}

// serve starts a hand-made server.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL + "/fhir"
}

// ahead is the scope of all schedules for so many days from now.
func ahead(now time.Time, days int) scheduling.Scope {
	today := scheduling.DayOf(now, time.UTC)
	return scheduling.Scope{Days: scheduling.Days{From: today - 1, To: today + scheduling.Day(days)}}
}

func fetch(t *testing.T, c *Client, scope scheduling.Scope) scheduling.Fetched {
	t.Helper()
	got, err := c.Fetch(t.Context(), scope)
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	return got
}

func secret(text string) config.Secret { return config.NewSecret(text) }

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func configZone(t *testing.T, name string) config.Zone {
	t.Helper()
	return config.Zone{Location: zone(t, name)}
}
