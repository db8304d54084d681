package upstream

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// metrics are kept for all sources together. No label holds a URL or a text
// of a source.
type metrics struct {
	same     *sameness
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	strays   *prometheus.CounterVec
	pages    *prometheus.CounterVec
	retries  *prometheus.CounterVec
	unusable *prometheus.CounterVec
	logins   *prometheus.CounterVec
	cuts     *prometheus.CounterVec
	forbids  *prometheus.CounterVec
	breaker  *prometheus.GaugeVec
	asks     *prometheus.CounterVec
	alone    *prometheus.GaugeVec
	day      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "slotgate_upstream_" + name, Help: help}, append([]string{"source"}, labels...))
	}
	m := &metrics{
		same:  newSameness(),
		calls: counter("calls_total", "Calls sent to a source, by operation and outcome (ok or an error code).", "operation", "outcome"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "slotgate_upstream_call_seconds",
			Help:    "Time from sending a call to the end of its answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"source", "operation"}),
		strays:   counter("refused_links_total", "Times that we did not go where a source sent us, by next link, redirect or manifest, by reason.", "reason"),
		bytes:    counter("received_bytes_total", "Bytes of answers, decompressed.", "operation"),
		pages:    counter("pages_total", "Pages of answers that came, decoded or not.", "operation"),
		retries:  counter("retries_total", "Calls that were repeated at once."),
		unusable: counter("unusable_total", "Records of a source that cannot be used, by reason.", "reason"),
		logins:   counter("logins_total", "Tokens that were got (granted, or shared by another node), and logins that failed (refused, down, nonsense).", "outcome"),
		cuts:     counter("pressure_total", "Times that a source was asked for less from then on, since it showed that it was asked for too much."),
		forbids:  counter("no_store_answers_total", "Answers with slots that say no-store, of sources whose slots are kept."),
		asks:     counter("budget_asks_total", "Questions to Redis what may be asked of a source, by outcome: ok or failed.", "outcome"),
		day:      counter("day_spent_total", "Calls that were not made since those of the day are used up, by lane.", "lane"),
		alone: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "slotgate_upstream_budget_alone", Help: "1 while Redis does not answer and this node goes by its own part of a source's limits.",
		}, []string{"source"}),
		breaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "slotgate_upstream_breaker_open", Help: "1 while a breaker is open or half open.",
		}, []string{"source", "lane"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(m.register(reg), m.same.register(reg), reg.Register(m.strays))
}

func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.calls, m.duration, m.bytes, m.pages, m.retries, m.unusable, m.logins, m.cuts, m.asks, m.alone, m.day, m.forbids, m.breaker} {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}

// sourceMetrics are those of one source.
type sourceMetrics struct {
	all     *metrics
	source  string
	retries prometheus.Counter
	seen    seen
}

func (m *metrics) of(source scheduling.SourceID) *sourceMetrics {
	return &sourceMetrics{all: m, source: string(source), retries: m.retries.WithLabelValues(string(source))}
}

func (m *sourceMetrics) call(c *call, a *answer, err error, took time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = string(scheduling.CodeOf(err))
	}
	m.all.calls.WithLabelValues(m.source, c.op, outcome).Inc()
	m.all.duration.WithLabelValues(m.source, c.op).Observe(took.Seconds())
	if a != nil {
		m.all.bytes.WithLabelValues(m.source, c.op).Add(float64(len(a.body)))
	}
}

func (m *sourceMetrics) strayed(why stray) {
	m.all.strays.WithLabelValues(m.source, string(why)).Inc()
}

func (m *sourceMetrics) page(op string) {
	m.all.pages.WithLabelValues(m.source, op).Inc()
	if oneOf(op, "slots", "changes", "prefetch", "find", "manifest", "file") {
		m.seen.asked.Add(1)
	}
}

func (m *sourceMetrics) login(outcome string) { m.all.logins.WithLabelValues(m.source, outcome).Inc() }

func (m *sourceMetrics) cut() { m.all.cuts.WithLabelValues(m.source).Inc() }

func (m *sourceMetrics) noStore() { m.all.forbids.WithLabelValues(m.source).Inc() }

// asked is told whether Redis said what may be asked of the source.
func (m *sourceMetrics) asked(ok bool) {
	if m == nil {
		return
	}
	outcome, alone := "ok", 0.0
	if !ok {
		outcome, alone = "failed", 1
	}
	m.all.asks.WithLabelValues(m.source, outcome).Inc()
	m.all.alone.WithLabelValues(m.source).Set(alone)
}

func (m *sourceMetrics) spent(l lane, calls int) {
	if m != nil {
		m.all.day.WithLabelValues(m.source, string(l)).Add(float64(calls))
	}
}

func (m *sourceMetrics) unusable(tally scheduling.Tally) {
	for reason, n := range tally {
		m.all.unusable.WithLabelValues(m.source, string(reason)).Add(float64(n))
	}
}

func (m *sourceMetrics) breaker(g guard, open bool) {
	value := 0.0
	if open {
		value = 1
	}
	m.all.breaker.WithLabelValues(m.source, string(g)).Set(value)
}

// forget drops the source's series when it is no longer configured.
func (m *sourceMetrics) forget() {
	only := prometheus.Labels{"source": m.source}
	m.all.same.forget(only)
	m.all.calls.DeletePartialMatch(only)
	m.all.strays.DeletePartialMatch(only)
	m.all.duration.DeletePartialMatch(only)
	m.all.bytes.DeletePartialMatch(only)
	m.all.pages.DeletePartialMatch(only)
	m.all.retries.DeletePartialMatch(only)
	m.all.unusable.DeletePartialMatch(only)
	m.all.logins.DeletePartialMatch(only)
	m.all.cuts.DeletePartialMatch(only)
	m.all.forbids.DeletePartialMatch(only)
	m.all.breaker.DeletePartialMatch(only)
	m.all.asks.DeletePartialMatch(only)
	m.all.alone.DeletePartialMatch(only)
	m.all.day.DeletePartialMatch(only)
}
