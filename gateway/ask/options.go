package ask

import (
	"fmt"
	"time"
)

// Options bound what asking live may take.
type Options struct {
	// Deadline is how long a find waits for such sources; default: 3s.
	Deadline time.Duration `yaml:"deadline"`
	// Timeout is of one question, also when everybody who asked it has left;
	// default: 10s.
	Timeout time.Duration `yaml:"timeout"`
	// Days is how many days one find asks for; the next page goes on behind
	// them. Default: 14.
	Days int `yaml:"days"`
	// Schedules is the most that are asked for by name; where more can match,
	// all are asked for. Default: 20.
	Schedules int `yaml:"schedules"`
	// AtOnce is how many different questions of one source are under way at
	// once, of each gateway; as many again of those about to hold or book.
	// Default: 4.
	AtOnce int `yaml:"at_once"`
	// Keep is how long it is remembered where the ids of offers lead; default:
	// 1h.
	Keep time.Duration `yaml:"keep"`
}

// SetDefaults fills in what works.
func (o *Options) SetDefaults() {
	*o = Options{
		Deadline: 3 * time.Second, Timeout: 10 * time.Second, Days: 14, Schedules: 20, AtOnce: 4, Keep: time.Hour,
	}
}

// Validate checks the numbers. Every error begins with the key.
func (o Options) Validate() error {
	for _, n := range []struct {
		key         string
		value, most int
	}{{"days", o.Days, 366}, {"schedules", o.Schedules, 1000}, {"at_once", o.AtOnce, 1000}} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("%s: must be 1 to %d", n.key, n.most)
		}
	}
	for _, d := range []struct {
		key         string
		value, most time.Duration
	}{
		{"deadline", o.Deadline, time.Minute},
		{"timeout", o.Timeout, 10 * time.Minute},
		{"keep", o.Keep, 7 * 24 * time.Hour},
	} {
		if d.value <= 0 || d.value > d.most {
			return fmt.Errorf("%s: must be more than 0 and at most %v", d.key, d.most)
		}
	}
	if o.Timeout < o.Deadline {
		return fmt.Errorf("timeout: must not be less than deadline (%v)", o.Deadline)
	}
	return nil
}
