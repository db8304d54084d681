package cache

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the cache counts.
type metrics struct {
	windows  *prometheus.CounterVec   // source, result
	scopes   *prometheus.CounterVec   // source, result
	scripts  *prometheus.HistogramVec // script
	errors   *prometheus.CounterVec   // kind
	reloads  *prometheus.CounterVec   // source, reason
	changes  *prometheus.CounterVec   // source
	behind   *prometheus.GaugeVec     // source
	damaged  *prometheus.CounterVec   // source, what
	saves    *prometheus.CounterVec   // source, result
	asserted *prometheus.CounterVec   // source
	lives    *prometheus.CounterVec   // source
	rivals   *prometheus.CounterVec   // source
	replans  prometheus.Counter
	contacts prometheus.Gauge
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "slotgate", Subsystem: "cache", Name: name, Help: help}, labels)
	}
	return &metrics{
		windows:  counter("windows_total", "Windows handed over by prefetch, by result: written, removed, unchanged, refused or outside.", "source", "result"),
		scopes:   counter("unchanged_scopes_total", "Scopes whose source gave the same answer again, by result: confirmed (only the freshness was written), other (what stands is not of that answer alone).", "source", "result"),
		errors:   counter("redis_errors_total", "Calls to Redis that failed, by kind: away, lost, internal.", "kind"),
		reloads:  counter("feed_reloads_total", "Times a follower loaded a source whole, by reason.", "source", "reason"),
		changes:  counter("feed_changes_total", "Entries of the feed that a follower applied.", "source"),
		damaged:  counter("damaged_total", "Records in Redis that could not be read, by what they are.", "source", "what"),
		saves:    counter("entry_saves_total", "Changes of entries, by result: saved, stale, taken, expired, lost, put-back or failed.", "source", "result"),
		asserted: counter("entries_asserted_total", "Entries that Redis had lost and that were put back from memory.", "source"),
		lives:    counter("losses_total", "Times that Redis was found new, another, or gone back in time.", "source"),
		rivals:   counter("entries_rival_total", "Entries that may stand at the EHR beside another one of the same offer, after a loss of Redis.", "source"),
		scripts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "slotgate", Subsystem: "cache", Name: "script_seconds",
			Help:    "Duration of Lua scripts as the caller sees it.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}, []string{"script"}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "slotgate", Subsystem: "cache", Name: "feed_behind_entries",
			Help: "Entries of the feed that the follower has not applied yet, when it last looked.",
		}, []string{"source"}),
		replans: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "slotgate", Subsystem: "cache", Name: "replans_total",
			Help: "Comparisons made again since another write came between.",
		}),
		contacts: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "slotgate", Subsystem: "cache", Name: "feed_contact_timestamp_seconds",
			Help: "When the follower last heard from Redis.",
		}),
	}
}

// register hands all of them to reg; nil counts for nobody.
func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.windows, m.scopes, m.scripts, m.errors, m.reloads, m.changes, m.behind, m.damaged, m.replans, m.contacts,
		m.saves, m.asserted, m.lives, m.rivals,
	} {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}
