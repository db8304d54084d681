package upstream

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// sameness counts what had not changed and was not decoded.
type sameness struct {
	pages    *prometheus.CounterVec // source, by
	bytes    *prometheus.CounterVec // source
	distrust *prometheus.GaugeVec   // source
}

func newSameness() *sameness {
	return &sameness{
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_upstream_pages_unchanged_total",
			Help: "Pages that were not decoded since they had not changed: by the source's word (304) or by their hash.",
		}, []string{"source", "by"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_upstream_unchanged_bytes_total",
			Help: "Bytes of answers that came and were not decoded since they had not changed.",
		}, []string{"source"}),
		distrust: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "slotgate_upstream_validators_broken",
			Help: "1 for a source whose ETags stayed the same when a page changed: it is not asked by them.",
		}, []string{"source"}),
	}
}

func (m *sameness) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return errors.Join(reg.Register(m.pages), reg.Register(m.bytes), reg.Register(m.distrust))
}

func (m *sameness) forget(only prometheus.Labels) {
	m.pages.DeletePartialMatch(only)
	m.bytes.DeletePartialMatch(only)
	m.distrust.DeletePartialMatch(only)
}

// unchanged counts the pages of an answer that is the same as before.
func (m *sourceMetrics) unchanged(byWord, byHash int, bytes int64) {
	m.all.same.pages.WithLabelValues(m.source, "304").Add(float64(byWord))
	m.all.same.pages.WithLabelValues(m.source, "hash").Add(float64(byHash))
	m.all.same.bytes.WithLabelValues(m.source).Add(float64(bytes))
	m.seen.byWord.Add(int64(byWord))
	m.seen.byHash.Add(int64(byHash))
}

// seen are the pages of slots since the client was made.
type seen struct{ asked, byWord, byHash atomic.Int64 }

// Pages tells how many pages of slots came since the start, how many of them were
// not decoded since they had not changed (by the source's word, or by their hash),
// and what its validators are worth: unproved, proved, broken, or not asked by.
func (c *Client) Pages() map[string]any {
	m := &c.metrics.seen
	return map[string]any{
		"asked": m.asked.Load(), "unchangedByWord": m.byWord.Load(), "unchangedByHash": m.byHash.Load(),
		"etags": c.recall.standing(c.opts.Conditional.Use),
	}
}

// broken tells that the source's validators are worth nothing.
func (m *sourceMetrics) broken() { m.all.same.distrust.WithLabelValues(m.source).Set(1) }
