package booking

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the desk. Labels are source ids and words of ours.
type metrics struct {
	states  *prometheus.CounterVec
	alarms  *prometheus.CounterVec
	settled *prometheus.CounterVec
	doubt   *prometheus.GaugeVec
	// journeys counts the steps that bookings with newcomers or coverage come to.
	journeys *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		states: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_booking_entries_total", Help: "Saves of entries, by source and the state they were saved in.",
		}, []string{"source", "state"}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_booking_alarms_total", Help: "What must never happen at an EHR, by source and kind: another patient, another slot, a late booking, our login refused. Each wants a person.",
		}, []string{"source", "kind"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_booking_settled_total", Help: "Calls in doubt that were settled, by source, call and end.",
		}, []string{"source", "call", "end"}),
		journeys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slotgate_journey_steps_total", Help: "Steps of bookings that register people or send coverage, by source and step; broken-off: it came to nothing.",
		}, []string{"source", "step"}),
		doubt: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "slotgate_booking_unsettled", Help: "Entries in doubt at the latest look, by source.",
		}, []string{"source"}),
	}
	for _, c := range []prometheus.Collector{m.states, m.alarms, m.settled, m.doubt, m.journeys} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("booking: registering metrics: %w", err)
		}
	}
	return m, nil
}
