package gateway

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count by route template, never by address: an address may name a
// person, and there is no end of addresses.
type metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	running    prometheus.Gauge
	panics     prometheus.Counter
	incomplete prometheus.Counter
	renewals   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_http_requests_total", Help: "Requests answered, by route template, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slotgate_http_request_duration_seconds", Help: "Time from a request's arrival to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"route"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "slotgate_http_requests_running", Help: "Requests being answered now.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "slotgate_http_panics_total", Help: "Requests that ended in a panic. Any is a bug.",
		}),
		incomplete: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "slotgate_find_incomplete_total", Help: "Answers to $find that lacked something of a source.",
		}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_find_revalidated_windows_total", Help: "Windows that _max-age had looked at again, by result: renewed or late.",
		}, []string{"result"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.running, m.panics, m.incomplete, m.renewals} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("gateway: registering metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) answered(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) revalidated(tried, renewed int) {
	m.renewals.WithLabelValues("renewed").Add(float64(renewed))
	m.renewals.WithLabelValues("late").Add(float64(max(0, tried-renewed)))
}
