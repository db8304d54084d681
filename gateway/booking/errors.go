package booking

import (
	"errors"

	"slotgate/scheduling"
)

// Refusals whose HTTP status does not follow from their code.
var (
	// ErrState: the state diagram has no such step (409).
	ErrState = errors.New("booking: the state does not allow it")
	// ErrVersion: the caller saw another version (412).
	ErrVersion = errors.New("booking: another version")
)

func refuseState(message string) error {
	return &scheduling.Error{Code: scheduling.NotAcceptable, Who: scheduling.Client, Message: message, Err: ErrState}
}

func refuseVersion() error {
	return &scheduling.Error{Code: scheduling.NotAcceptable, Who: scheduling.Client, Param: "If-Match", Message: "the appointment has changed since you read it", Err: ErrVersion}
}

func refuseUnknown() error {
	return scheduling.Refuse(scheduling.UnknownID, "id", "no appointment of yours has this id")
}

func refuseTaken(source scheduling.SourceID) error {
	return &scheduling.Error{Code: scheduling.SlotTaken, Who: scheduling.Client, Source: source, Message: "the slot is taken"}
}

func refuseUsed() error {
	return scheduling.Refuse(scheduling.UsedID, "id", "this id was used up by an appointment; find the slot again")
}

func refuseExpired() error {
	return scheduling.Refuse(scheduling.HoldExpired, "id", "the hold has run out")
}

// noNative: without the appointment's id at the source nothing can be asked. It
// does not mean that there is none.
func noNative(source scheduling.SourceID) error {
	return scheduling.Blame(scheduling.SourceDown, source, nil, "the appointment's id at the source is not known")
}

// lost tells whether another one was faster in changing the entry.
func lost(err error) bool { return errors.Is(err, scheduling.ErrStaleEntry) }

// is tells whether err has one of the codes.
func is(err error, codes ...scheduling.Code) bool {
	code := scheduling.CodeOf(err)
	for _, c := range codes {
		if code == c {
			return true
		}
	}
	return false
}
