package scheduling

import (
	"log/slog"
	"time"
)

// Orphan is a Patient that we made at a source, or may have, while no appointment
// of ours names them: of use to nobody, and to be seen to by the clinic. It is
// written down before the source is asked, and dropped when an appointment names
// them. It holds ids only, and is stored sealed all the same.
type Orphan struct {
	// ID is our identifier on the Patient (PatientIdentifierSystem).
	ID      string   `json:"id"`
	Source  SourceID `json:"source"`
	Version uint64   `json:"-"` // of the record, 1 at first
	// Native is the Patient's id at the source; "" while that is not known.
	Native string `json:"native,omitempty"`
	// Principal and Patient are whose, and our id.
	Principal string `json:"principal"`
	Patient   string `json:"patient"`
	// Coverage is our id where it is about a Coverage that the source may lack,
	// and ID our identifier on that (CoverageIdentifierSystem).
	Coverage string    `json:"coverage,omitempty"`
	Since    time.Time `json:"since"` // when the source was asked (UTC)
	// Looks counts the searches that found no such Patient.
	Looks int `json:"looks,omitempty"`
	// Blind: the source cannot be searched for it.
	Blind bool      `json:"blind,omitempty"`
	Saved time.Time `json:"saved,omitzero"`
	// Ticked is who has seen to it, and why it needs nothing more.
	Ticked *Decision `json:"ticked,omitempty"`
}

// LogValue shows the source and since when: the id of a Patient beside ours would
// name the person.
func (o Orphan) LogValue() slog.Value {
	return slog.GroupValue(slog.String("orphan", o.ID), slog.String("source", string(o.Source)), slog.Time("since", o.Since))
}
