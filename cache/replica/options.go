package replica

import (
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
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger hears of reloads; nil is silent.
	Logger *slog.Logger
	// Registerer takes the metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Validate tells what is wrong with the options: no source, one without an id,
// two of one id.
func (o Options) Validate() error {
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
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
