package replica

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// Options is what a replica needs. Only Sources must be given.
type Options struct {
	// Sources are the configured ones, in any order.
	Sources []scheduling.Source
	// Render makes what is kept beside each schedule and handed out with every
	// Hit on it. It must be safe for concurrent use; nil renders nothing.
	Render func(scheduling.Source, *scheduling.Setting) any
	// GoneFor is how long an offer that is none any more is remembered by Gone;
	// 0 is DefaultGoneFor.
	GoneFor time.Duration
	// GoneMost is how many of them are remembered for each source, the latest;
	// 0 is DefaultGoneMost. One takes some 40 bytes.
	GoneMost int
	// FenceFetches is how many later fetches a source must have numbered before
	// a passed fence is forgotten: more than may end while one is under way. 0
	// is DefaultFenceFetches.
	FenceFetches uint64
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger hears of reloads; nil is silent.
	Logger *slog.Logger
	// Registerer takes the metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Defaults of Options.
const (
	DefaultGoneFor      = time.Hour
	DefaultGoneMost     = 200_000
	DefaultFenceFetches = 1000
)

// Validate tells what is wrong with the options: no source, one without an id,
// two of one id, a limit below zero.
func (o Options) Validate() error {
	if o.GoneFor < 0 || o.GoneMost < 0 {
		return errors.New("replica: how long and how many offers are remembered must not be negative")
	}
	if len(o.Sources) == 0 {
		return errors.New("replica: no source")
	}
	seen := make(map[scheduling.SourceID]bool, len(o.Sources))
	for _, source := range o.Sources {
		if source.ID == "" {
			return errors.New("replica: a source without an id")
		}
		if seen[source.ID] {
			return fmt.Errorf("replica: two sources have the id %q", source.ID)
		}
		seen[source.ID] = true
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Render == nil {
		o.Render = func(scheduling.Source, *scheduling.Setting) any { return nil }
	}
	o.GoneFor = cmp.Or(o.GoneFor, DefaultGoneFor)
	o.GoneMost = cmp.Or(o.GoneMost, DefaultGoneMost)
	o.FenceFetches = cmp.Or(o.FenceFetches, DefaultFenceFetches)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
