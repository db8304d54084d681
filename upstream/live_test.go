package upstream

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"slotgate/config"
	"slotgate/scheduling"
)

func forbidden(o *Options) { utc(o); o.Store = new(bool) }

// TestASourceIsAskedLiveOnceItsDirectoryIsKnown: a find does not wait until all
// of it was read, and each of its calls counts.
func TestASourceIsAskedLiveOnceItsDirectoryIsKnown(t *testing.T) {
	t.Parallel()
	var calls, slots atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if strings.HasSuffix(r.URL.Path, "/Slot") {
			slots.Add(1)
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset","total":0}`)
	})
	c := client(t, base, forbidden)
	for name, ask := range map[string]func() (scheduling.Fetched, error){
		"live":  func() (scheduling.Fetched, error) { return c.Live(t.Context(), ahead(noon, 1)) },
		"again": func() (scheduling.Fetched, error) { return c.Again(t.Context(), ahead(noon, 1)) },
	} {
		if _, err := ask(); scheduling.CodeOf(err) != scheduling.SourceDown || calls.Load() != 0 {
			t.Errorf("%s: %v, %d calls", name, err, calls.Load())
		}
	}
	dir := scheduling.NewDirectory()
	dir.Schedules["s"] = &scheduling.Schedule{ID: "s"}
	c.Listed(dir)
	for n := range int32(2) { // nothing is taken for known because it came before
		got, err := c.Live(t.Context(), ahead(noon, 1))
		if err != nil || !got.Complete || slots.Load() != n+1 || calls.Load() != n+1 {
			t.Fatalf("%v %+v, %d calls", err, got, calls.Load())
		}
	}
	for range 600 { // no more than the burst at once; together a debt of ten minutes
		c.spare.ReserveN(time.Now(), c.spare.Burst())
	}
	if _, err := c.Live(t.Context(), ahead(noon, 1)); scheduling.CodeOf(err) != scheduling.Throttled {
		t.Errorf("a find over its part: %v", err)
	}
	if _, err := c.Again(t.Context(), ahead(noon, 1)); err != nil {
		t.Errorf("who is about to hold is let through: %v", err)
	}
}

// TestASourceThatIsWellAgainIsFoundAgain: nobody else asks it in the meantime, so
// the find itself has to be the probe.
func TestASourceThatIsWellAgainIsFoundAgain(t *testing.T) {
	t.Parallel()
	var ill atomic.Bool
	var calls atomic.Int32
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if ill.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset","total":0}`)
	})
	c := client(t, base, func(o *Options) {
		forbidden(o)
		o.Limits.Retries, o.Limits.BreakerFailures, o.Limits.BreakerOpen = new(int), 5, config.Duration(100*time.Millisecond)
		o.Limits.Rate, o.Limits.Revalidate = 10_000, 1
	})
	c.loaded.Store(true)
	breaker := c.breakers[guardPrefetch].now.Load()
	ill.Store(true)
	poll(t, func() bool { _, err := c.Live(t.Context(), ahead(noon, 1)); return err != nil && calls.Load() >= 5 })
	if breaker.State() == gobreaker.StateClosed {
		t.Fatal("it failed five times, and its breaker is closed")
	}
	ill.Store(false)
	poll(t, func() bool { return breaker.State() == gobreaker.StateHalfOpen })
	if got, err := c.Live(t.Context(), ahead(noon, 1)); err != nil || !got.Complete {
		t.Fatalf("it is well again, and nobody asks it: %v %+v", err, got)
	}
	if breaker.State() != gobreaker.StateClosed {
		t.Errorf("the breaker is %v", breaker.State())
	}
}

func TestMostOfTheRateIsForFindsWhereSlotsAreNotKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(path, []byte(`sources:
  - {id: kept, base: "https://kept.example.org/fhir", dialect: slots}
  - {id: live, base: "https://live.example.org/fhir", dialect: slots, store: false}
  - {id: said, base: "https://said.example.org/fhir", dialect: slots, store: false, limits: {revalidate: 0.5}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Sources []Options `yaml:"sources"`
	}
	if err := config.Load(path, &file); err != nil {
		t.Fatal(err)
	}
	sources, err := NewRegistry(file.Sources, Deps{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sources.Close() })
	for id, part := range map[scheduling.SourceID]float64{"kept": 0.2, "live": 0.8, "said": 0.5} {
		c, _ := sources.Get(id)
		if got := float64(c.spare.Limit()) / c.opts.Limits.Rate; got < part-0.001 || got > part+0.001 {
			t.Errorf("%s: %v of the rate, want %v", id, got, part)
		}
	}
	kept, live := file.Sources[0], file.Sources[1]
	if source := kept.Source(); source.Live || !*kept.Store {
		t.Error("slots are kept unless that is forbidden")
	}
	if source := live.Source(); !source.Live {
		t.Error("it is not known as one whose slots are not kept")
	}
}

// TestThatASourceSaysNoStoreIsToldOnceAndCounted: and changes nothing.
func TestThatASourceSaysNoStoreIsToldOnceAndCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header string
		bend   func(*Options)
		want   float64
	}{
		"no-store":                   {"private, No-Store", utc, 2},
		"something else":             {"no-cache, no-storage", utc, 0},
		"nothing is kept in any way": {"no-store", forbidden, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/fhir+json")
				w.Header().Set("Cache-Control", tc.header)
				_, _ = fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset","total":0}`)
			})
			o := Options{ID: "src", Base: base, Dialect: Slots}
			quick(&o)
			tc.bend(&o)
			var log bytes.Buffer
			reg := prometheus.NewRegistry()
			c := registered(t, o, Deps{Logger: slog.New(slog.NewTextHandler(&log, nil)), Registerer: reg})
			c.loaded.Store(true)
			for range 2 {
				if got := fetch(t, c, ahead(noon, 1)); !got.Complete {
					t.Errorf("it is not taken: %+v", got)
				}
			}
			if _, err := c.Metadata(t.Context()); err == nil {
				t.Error("a Bundle is no CapabilityStatement")
			}
			if got := counted(t, reg, "no_store_answers_total"); got != tc.want {
				t.Errorf("counted %v times", got)
			}
			if told := strings.Count(log.String(), "no-store"); told != min(int(tc.want), 1) {
				t.Errorf("told %d times:\n%s", told, log.String())
			}
		})
	}
}
