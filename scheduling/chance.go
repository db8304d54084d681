package scheduling

import "time"

// Chance is what was learnt of offers of one age: how many of them were still
// there when an EHR was asked to hold or book them. What was long ago counts for
// less, so the numbers are fractions.
type Chance struct {
	UpTo  time.Duration // the first age that it no longer is about; 0: any above the others
	Asked float64
	There float64
}

// Share is the part that was still there; 0 where nothing was learnt.
func (c Chance) Share() float64 {
	if c.Asked <= 0 {
		return 0
	}
	return c.There / c.Asked
}

// ChanceAges are the ages that are told apart, each the first that the one
// before does not hold.
func ChanceAges() []time.Duration {
	return []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour}
}
