package scheduling

// Demand is how often offers of each day were shown of late: what people look
// for. It names nobody.
type Demand map[Day]int

// Total is how many there were in all.
func (d Demand) Total() int {
	n := 0
	for _, shown := range d {
		n += shown
	}
	return n
}

// Of is how many there were on these days.
func (d Demand) Of(days Days) int {
	n := 0
	for day, shown := range d {
		if days.Has(day) {
			n += shown
		}
	}
	return n
}
