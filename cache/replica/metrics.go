package replica

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// metrics count what the replica does; gauges are read from it when asked.
type metrics struct {
	finds   *prometheus.HistogramVec
	ok, bad prometheus.Observer
	loads   *prometheus.CounterVec
	changes *prometheus.CounterVec
	late    *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer, r *Replica, log *slog.Logger) *metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "slotgate", Subsystem: "replica", Name: name, Help: help,
		}, []string{"source"})
	}
	m := &metrics{
		finds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "slotgate", Subsystem: "replica", Name: "find_seconds",
			Help:    "Time to find one page of offers.",
			Buckets: prometheus.ExponentialBuckets(1e-6, 4, 10),
		}, []string{"result"}),
		loads:   counter("loads_total", "Times a source was loaded whole."),
		changes: counter("changes_total", "Steps of the feed that were applied."),
		late:    counter("late_windows_total", "Windows left out because a later fetch had written them."),
	}
	m.ok, m.bad = m.finds.WithLabelValues("ok"), m.finds.WithLabelValues("refused")
	if registry == nil {
		return m
	}
	for _, c := range []prometheus.Collector{m.finds, m.loads, m.changes, m.late, newGauges(r)} {
		if err := registry.Register(c); err != nil {
			log.Warn("a metric of the replica is not registered", "error", err)
		}
	}
	return m
}

func (m *metrics) found(took time.Duration, err error) {
	if err != nil {
		m.bad.Observe(took.Seconds())
		return
	}
	m.ok.Observe(took.Seconds())
}

// gauges reads the sources at each scrape, so that one that was taken out of
// the configuration leaves no series behind.
type gauges struct {
	replica                  *Replica
	slots, windows, unusable *prometheus.Desc
	withheld                 *prometheus.Desc
	lastSync, incomplete     *prometheus.Desc
	ages                     *prometheus.Desc
}

func newGauges(r *Replica) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("slotgate_replica_"+name, help, append([]string{"source"}, labels...), nil)
	}
	return &gauges{
		replica:    r,
		slots:      desc("open_slots", "Slots that could be found now."),
		withheld:   desc("withheld_slots", "Slots kept out because they are claimed or not confirmed since."),
		windows:    desc("windows", "Windows that hold slots."),
		unusable:   desc("unusable", "Records that cannot be used, by reason.", "reason"),
		lastSync:   desc("last_sync_timestamp_seconds", "End of the latest complete fetch, 0 for never."),
		incomplete: desc("incomplete", "1 while something of the source is missing."),
		ages:       desc("window_age_seconds", "How long ago windows were confirmed (checked), and were true by the source's own time (valid).", "tier", "time", "quantile"),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{g.slots, g.withheld, g.windows, g.unusable, g.lastSync, g.incomplete, g.ages} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	withheld := g.replica.withheld()
	for _, source := range g.replica.Sources() {
		id := string(source.Source)
		put := func(desc *prometheus.Desc, value float64, labels ...string) {
			metric, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, value, append([]string{id}, labels...)...)
			if err != nil {
				metric = prometheus.NewInvalidMetric(desc, err)
			}
			out <- metric
		}
		put(g.slots, float64(source.Slots))
		put(g.withheld, float64(withheld[source.Source]))
		put(g.windows, float64(source.Windows))
		for reason, n := range source.Status.Unusable {
			put(g.unusable, float64(n), string(reason))
		}
		synced := 0.0
		if at := source.Status.LastSync; !at.IsZero() {
			synced = float64(at.Unix())
		}
		put(g.lastSync, synced)
		missing := 1.0
		if source.Complete {
			missing = 0
		}
		put(g.incomplete, missing)
		for _, tier := range g.replica.Ages(source.Source) {
			for time, spread := range map[string]scheduling.Spread{"checked": tier.Checked, "valid": tier.Valid} {
				if spread.Count > 0 {
					put(g.ages, spread.P50.Seconds(), tier.Tier, time, "0.5")
					put(g.ages, spread.P99.Seconds(), tier.Tier, time, "0.99")
				}
			}
		}
	}
}

// withheld is how many slots of each source the marks keep out.
func (r *Replica) withheld() map[scheduling.SourceID]int {
	counts := map[scheduling.SourceID]int{}
	for _, e := range r.table.Load().list {
		st := e.state.Load()
		counts[st.source.ID] = st.aside
	}
	return counts
}
