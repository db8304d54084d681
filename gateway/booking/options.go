package booking

import (
	"errors"
	"fmt"
	"time"
)

// Options of the desk, the same for all sources; what differs by source stands
// in scheduling.Abilities.
type Options struct {
	Holds        int           `yaml:"holds"`         // offers that a named user may hold at once
	HoldsUnnamed int           `yaml:"holds_unnamed"` // a key without a session
	HoldMargin   time.Duration `yaml:"hold_margin"`   // taken off what an EHR gives
	Margin       time.Duration `yaml:"margin"`        // added to call timeouts before another may take over
	SettleEvery  time.Duration `yaml:"settle_every"`  // how often the due are looked for
	SettleLease  time.Duration `yaml:"settle_lease"`  // how long a gateway has a source's settling
	SettleBatch  int           `yaml:"settle_batch"`  // entries of one look
	LookEvery    time.Duration `yaml:"look_every"`    // between two reads of what is in doubt, at first
	LookMax      time.Duration `yaml:"look_max"`      // and at most
	LookFor      time.Duration `yaml:"look_for"`      // how long reads go on after a call was sent
	WaitRunning  time.Duration `yaml:"wait_running"`  // how long a repeat waits for the first
	Recheck      time.Duration `yaml:"recheck"`       // between two reads of what is booked
	Eve          time.Duration `yaml:"eve"`           // before its start it is read once more
	ListDeadline time.Duration `yaml:"list_deadline"` // for all sources of a list together
	Comment      int           `yaml:"max_comment"`   // bytes of a comment
	Patients     int           `yaml:"max_patients"`  // patients of one appointment
	Coverages    int           `yaml:"max_coverages"` // coverages that one booking names
	Users        UserOptions   `yaml:"users"`

	// Checkpoint, if set, is called at each named point of a journey, for tests
	// that kill the process there: key.begun; hold.intent, hold.answered;
	// renew.intent, renew.answered; release.intent, release.answered;
	// book.intent, book.answered, book.read, book.saved; refused.saved;
	// doubt.saved; undo.intent; cancel.intent, cancel.answered, cancel.read,
	// cancel.saved; reschedule.claimed, reschedule.prepared, reschedule.intent,
	// reschedule.old;
	// giveback.intent; journey.register, journey.registered, journey.cover,
	// journey.covered, journey.break; cover.begin, cover.answered;
	// settle.<state>. An intent has been saved and nothing
	// sent; answered: the EHR has answered and nothing is saved.
	Checkpoint func(name string) `yaml:"-"`
}

// SetDefaults fills in what works.
func (o *Options) SetDefaults() {
	*o = Options{
		Holds: 3, HoldsUnnamed: 30, HoldMargin: 2 * time.Second,
		Margin: 5 * time.Second, SettleEvery: time.Second, SettleLease: 30 * time.Second, SettleBatch: 100,
		LookEvery: 5 * time.Second, LookMax: 10 * time.Minute, LookFor: 24 * time.Hour,
		WaitRunning: 5 * time.Second, Recheck: 24 * time.Hour, Eve: 20 * time.Hour,
		ListDeadline: 8 * time.Second, Comment: 4096, Patients: 20, Coverages: 20,
	}
	o.Users.SetDefaults()
}

// DefaultOptions are options with every default.
func DefaultOptions() Options {
	var o Options
	o.SetDefaults()
	return o
}

// Validate checks the numbers. Every error begins with the key.
func (o Options) Validate() error {
	for _, n := range []struct {
		key              string
		value, low, high int
	}{
		{"holds", o.Holds, 1, 1000},
		{"holds_unnamed", o.HoldsUnnamed, 1, 100_000},
		{"settle_batch", o.SettleBatch, 1, 10_000},
		{"max_comment", o.Comment, 0, 1 << 16},
		{"max_patients", o.Patients, 1, 1000},
		{"max_coverages", o.Coverages, 1, 1000},
	} {
		if n.value < n.low || n.value > n.high {
			return fmt.Errorf("%s: must be %d to %d", n.key, n.low, n.high)
		}
	}
	return o.validateTimes()
}

func (o Options) validateTimes() error {
	for _, d := range []struct {
		key         string
		value, most time.Duration
	}{
		{"hold_margin", o.HoldMargin, time.Minute},
		{"margin", o.Margin, time.Minute},
		{"settle_every", o.SettleEvery, time.Minute},
		{"settle_lease", o.SettleLease, 10 * time.Minute},
		{"look_every", o.LookEvery, time.Hour},
		{"look_max", o.LookMax, 24 * time.Hour},
		{"look_for", o.LookFor, 30 * 24 * time.Hour},
		{"wait_running", o.WaitRunning, time.Minute},
		{"recheck", o.Recheck, 30 * 24 * time.Hour},
		{"eve", o.Eve, 14 * 24 * time.Hour},
		{"list_deadline", o.ListDeadline, time.Minute},
	} {
		if d.value <= 0 || d.value > d.most {
			return fmt.Errorf("%s: must be more than 0 and at most %s", d.key, d.most)
		}
	}
	if o.LookMax < o.LookEvery {
		return errors.New("look_max: must not be less than look_every")
	}
	return o.Users.Validate()
}
