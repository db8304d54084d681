package scheduling

import "time"

// TierAge is how old what is known of one part of a source's horizon is: how
// long ago windows were confirmed (Checked), how long ago the source says that
// its answers were true (Valid), and how long ago their content changed
// (Changed).
type TierAge struct {
	Tier    string // near, middle, far
	Windows int    // with slots
	Checked Spread
	Valid   Spread // of those whose source tells its time
	Changed Spread
}

// Spread is the half and the last hundredth of many ages.
type Spread struct {
	Count    int
	P50, P99 time.Duration
}

// Tiers are the parts of a horizon by how often they are looked at: the first
// day, counted from today, that a part no longer holds; 0: to the end.
func Tiers() []Tier { return []Tier{{"near", 2}, {"middle", 14}, {"far", 0}} }

// Tier is one of them.
type Tier struct {
	Name string
	End  Day
}
