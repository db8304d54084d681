package ask

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// metrics count finds and the questions that they cost. No label holds anything
// of a slot.
type metrics struct {
	asks      *prometheus.CounterVec
	questions *prometheus.HistogramVec
	lost      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		asks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_live_asks_total",
			Help: "Finds that asked a source whose slots are not kept, by what came of it.",
		}, []string{"source", "outcome"}),
		questions: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "slotgate_live_question_seconds",
			Help:    "Time of a question to such a source, which all who ask the same meanwhile share.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"source", "purpose", "outcome"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_live_leads_unkept_total",
			Help: "Ids of which could not be kept where they lead: their offers cannot be held.",
		}, []string{"source"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.asks), reg.Register(m.questions), reg.Register(m.lost))
}

func (m *metrics) ask(source scheduling.SourceID, came scheduling.Asked) {
	m.asks.WithLabelValues(string(source), string(came)).Inc()
}

func (m *metrics) question(source scheduling.SourceID, why purpose, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(scheduling.CodeOf(err))
	}
	m.questions.WithLabelValues(string(source), string(why), outcome).Observe(took.Seconds())
}

func (m *metrics) unkept(source scheduling.SourceID, ids int) {
	m.lost.WithLabelValues(string(source)).Add(float64(ids))
}
