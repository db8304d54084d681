package booking

import (
	"context"
	"log/slog"

	"slotgate/scheduling"
)

// refusal is how an error of the source is told. unknown-id is kept for those
// who are none of the principal's.
func (j *registration) refusal(err error) error {
	switch scheduling.CodeOf(err) {
	case scheduling.NeedsClinic:
		return j.needsClinic()
	case scheduling.UnknownID:
		return scheduling.Blame(scheduling.SourceNonsense, j.source, err, "the source answered the registration with nonsense")
	case scheduling.InDoubt:
		return j.unsettled()
	default:
		return err
	}
}

// told counts how it ended, and says it to the operator. Who it was is not said:
// our id beside the source's would name the person (laws 10 and 13).
func (j *registration) told(ctx context.Context, found scheduling.NativePatient, err error) {
	end := "matched"
	switch {
	case err != nil:
		end = string(scheduling.CodeOf(err))
	case found.Made:
		end = "made"
	}
	j.ends.WithLabelValues(string(j.source), end).Inc()
	j.Log.LogAttrs(ctx, slog.LevelInfo, "a person was registered at a source",
		slog.String("source", string(j.source)), slog.String("end", end))
}
