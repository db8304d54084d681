package prefetch

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// metrics is one collector, so that several managers of one process can share
// it: the second finds the first one's on the registry.
type metrics struct {
	now func() time.Time
	age *prometheus.Desc

	vectors  []vector
	lastSync *prometheus.GaugeVec
	failures *prometheus.GaugeVec
	slots    *prometheus.GaugeVec
	unusable *prometheus.GaugeVec
	emptied  *prometheus.GaugeVec
	partial  *prometheus.GaugeVec
	leases   *prometheus.GaugeVec
	seconds  *prometheus.HistogramVec
	fetches  *prometheus.CounterVec
	windows  *prometheus.CounterVec
	scopes   *prometheus.CounterVec
	urgent   *prometheus.CounterVec
	storeErr *prometheus.CounterVec
	notices  *prometheus.CounterVec
	subs     *prometheus.GaugeVec
	slower   *prometheus.GaugeVec

	mu    sync.Mutex
	syncs map[scheduling.SourceID]time.Time
}

// vector is what all kinds of metrics with labels have in common.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(labels prometheus.Labels) int
}

func newMetrics(deps Deps) (*metrics, error) {
	m := &metrics{now: deps.Now, syncs: map[scheduling.SourceID]time.Time{}}
	m.age = prometheus.NewDesc("slotgate_prefetch_age_seconds",
		"Seconds since the source was last read completely.", []string{"source"}, nil)
	m.lastSync = m.gauge("last_sync_timestamp_seconds", "When the source was last read completely.")
	m.failures = m.gauge("failures", "Failures of the source in a row.")
	m.slots = m.gauge("slots", "Open slots of the source.")
	m.unusable = m.gauge("unusable", "Records of the source that cannot be used, at the latest look.", "reason")
	m.emptied = m.gauge("emptied", "1 while the source has less than its share of the slots it had.")
	m.partial = m.gauge("incomplete", "1 while some days of the source could not be read.")
	m.leases = m.gauge("lease_held", "1 while this worker has the source.")
	m.fetches = m.counter("fetches_total", "Calls of the source by outcome.", "outcome")
	m.windows = m.counter("windows_total", "Windows by what a fetch did to them.", "change")
	m.scopes = m.counter("unchanged_total", "Scopes whose answer was the same as before: confirmed (only the freshness was written), merged (the source told what changed), or read again, since what is known of them came from elsewhere.", "outcome")
	m.urgent = m.counter("revalidations_total", "Scopes that were asked for by somebody who waits, by outcome.", "outcome")
	m.notices = m.counter("notices_total", "What the source told of changes, by what became of it: taken, beyond the horizon, unreadable.", "outcome")
	m.subs = m.gauge("subscription", "1 for the state of the source's Subscription: asked, live, silent or refused.", "state")
	m.slower = m.gauge("put_off_times", "How many times more rarely than configured the source is looked at, so that the calls of its day last; 1: not at all.")
	m.storeErr = m.counter("store_errors_total", "Failed calls of the store.")
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "slotgate", Subsystem: "prefetch", Name: "fetch_seconds",
		Help:    "How long a fetch took, by what was fetched.",
		Buckets: []float64{.01, .05, .1, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
	}, []string{"source", "kind"})
	m.vectors = append(m.vectors, m.seconds)
	if deps.Registerer == nil {
		return m, nil
	}
	err := deps.Registerer.Register(m)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) {
		if other, ok := known.ExistingCollector.(*metrics); ok {
			return other, nil
		}
	}
	return m, err
}

func (m *metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "slotgate", Subsystem: "prefetch", Name: name, Help: help,
	}, append([]string{"source"}, labels...))
	m.vectors = append(m.vectors, v)
	return v
}

func (m *metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "slotgate", Subsystem: "prefetch", Name: name, Help: help,
	}, append([]string{"source"}, labels...))
	m.vectors = append(m.vectors, v)
	return v
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.age
	for _, v := range m.vectors {
		v.Describe(out)
	}
}

// Collect implements prometheus.Collector. Ages grow by themselves, so they are
// computed when somebody looks.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, v := range m.vectors {
		v.Collect(out)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, at := range m.syncs {
		age := m.now().Sub(at).Seconds()
		out <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, age, string(id))
	}
}

// show takes over a status.
func (m *metrics) show(st scheduling.Status, slots int) {
	id := string(st.Source)
	m.failures.WithLabelValues(id).Set(float64(st.Failures))
	m.slots.WithLabelValues(id).Set(float64(slots))
	m.emptied.WithLabelValues(id).Set(one(st.Emptied))
	m.partial.WithLabelValues(id).Set(one(st.Incomplete))
	m.unusable.DeletePartialMatch(prometheus.Labels{"source": id})
	for reason, n := range st.Unusable {
		m.unusable.WithLabelValues(id, string(reason)).Set(float64(n))
	}
	if st.LastSync.IsZero() {
		return
	}
	m.lastSync.WithLabelValues(id).Set(float64(st.LastSync.UnixMilli()) / 1000)
	m.mu.Lock()
	m.syncs[st.Source] = st.LastSync
	m.mu.Unlock()
}

// fetched counts one fetch of slots.
func (m *metrics) fetched(source scheduling.SourceID, complete bool, err error, took time.Duration) {
	outcome := outcomeOf(err)
	if err == nil && !complete {
		outcome = "incomplete"
	}
	m.fetches.WithLabelValues(string(source), outcome).Inc()
	m.seconds.WithLabelValues(string(source), "slots").Observe(took.Seconds())
}

// directory counts one reading of the directory.
func (m *metrics) directory(source scheduling.SourceID, err error, took time.Duration) {
	m.fetches.WithLabelValues(string(source), outcomeOf(err)).Inc()
	m.seconds.WithLabelValues(string(source), "directory").Observe(took.Seconds())
}

// outcomeOf is complete, or the code of the error: a closed list.
func outcomeOf(err error) string {
	if err == nil {
		return "complete"
	}
	return string(scheduling.CodeOf(err))
}

// revalidated counts one look that somebody waited for.
func (m *metrics) revalidated(source scheduling.SourceID, err error) {
	outcome := outcomeOf(err)
	switch {
	case errors.Is(err, errCrowded):
		outcome = "crowded"
	case errors.Is(err, errUnclear):
		outcome = "unclear"
	}
	m.urgent.WithLabelValues(string(source), outcome).Inc()
}

func (m *metrics) replaced(source scheduling.SourceID, put scheduling.Replaced) {
	id := string(source)
	m.windows.WithLabelValues(id, "written").Add(float64(max(put.Written, 0)))
	m.windows.WithLabelValues(id, "removed").Add(float64(max(put.Removed, 0)))
	m.windows.WithLabelValues(id, "refused").Add(float64(max(put.Refused, 0)))
}

// same counts an answer that was the same as before, or told what changed.
func (m *metrics) same(source scheduling.SourceID, unchanged, done bool) {
	outcome := "read"
	switch {
	case done && unchanged:
		outcome = "confirmed"
	case done:
		outcome = "merged"
	}
	m.scopes.WithLabelValues(string(source), outcome).Inc()
}

func (m *metrics) lease(source scheduling.SourceID, held bool) {
	m.leases.WithLabelValues(string(source)).Set(one(held))
	if held {
		return
	}
	// Another worker shows how the source does. Ours would only grow old.
	m.mu.Lock()
	delete(m.syncs, source)
	m.mu.Unlock()
	for _, v := range []vector{m.lastSync, m.failures, m.slots, m.unusable, m.emptied, m.partial, m.subs} {
		v.DeletePartialMatch(prometheus.Labels{"source": string(source)})
	}
}

func (m *metrics) noticed(source scheduling.SourceID, outcome string) {
	m.notices.WithLabelValues(string(source), outcome).Inc()
}

func (m *metrics) subscription(source scheduling.SourceID, state scheduling.SubscriptionState) {
	m.subs.DeletePartialMatch(prometheus.Labels{"source": string(source)})
	if state != scheduling.SubscriptionNone {
		m.subs.WithLabelValues(string(source), string(state)).Set(1)
	}
}

func (m *metrics) storeFailed(source scheduling.SourceID) {
	m.storeErr.WithLabelValues(string(source)).Inc()
}

// forget removes everything about a source that is worked on no longer.
func (m *metrics) forget(s *source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.syncs, s.id)
	for _, v := range m.vectors {
		v.DeletePartialMatch(prometheus.Labels{"source": string(s.id)})
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
