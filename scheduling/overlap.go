package scheduling

// Overlap says whether two slots of one schedule that share time can both be had.
// An EHR may publish the same time in quarters and in half hours.
type Overlap string

// The choices of a source.
const (
	// OverlapAuto hides where the schedule is of a person, who cannot be in two
	// places; a place or a service may have parallel slots.
	OverlapAuto  Overlap = "auto"
	OverlapHide  Overlap = "hide"
	OverlapAllow Overlap = "allow"
)

// Hides tells whether a claim on a schedule with this setting keeps away whatever
// overlaps.
func (o Overlap) Hides(s *Setting) bool {
	switch o {
	case OverlapHide:
		return true
	case OverlapAllow:
		return false
	}
	if len(s.Practitioners) > 0 || s.Role != nil {
		return true
	}
	for _, actor := range s.Unlinked {
		if actor.Kind == KindPractitioner || actor.Kind == KindRole {
			return true
		}
	}
	return false
}
