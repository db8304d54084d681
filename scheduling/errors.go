package scheduling

import (
	"errors"
	"fmt"
	"time"
)

// Code names what went wrong, in the words of the public contract: it is what
// callers find in issue.details.coding of system urn:slotgate:error.
//
// If you add a code you must also update the table of statuses in gateway and
// the contract's list.
type Code string

// The codes callers may meet.
const (
	SlotTaken      Code = "slot-taken"
	HoldExpired    Code = "hold-expired"
	HoldLimit      Code = "hold-limit"
	UnknownID      Code = "unknown-id"
	UsedID         Code = "used-id"
	BadRequest     Code = "bad-request"
	NotAcceptable  Code = "not-acceptable"
	NeedsClinic    Code = "needs-clinic"
	MissingData    Code = "missing-data"
	NotSupported   Code = "not-supported"
	InDoubt        Code = "in-doubt"
	Unresolved     Code = "unresolved"
	SourceDown     Code = "source-down"
	SourceSlow     Code = "source-slow"
	SourceRefused  Code = "source-refused"
	SourceLogin    Code = "source-login"
	SourceNonsense Code = "source-nonsense"
	Throttled      Code = "throttled"
	Shedding       Code = "shedding"
	Unauthorized   Code = "unauthorized"
	Forbidden      Code = "forbidden"

	// Internal is our own fault or a foreign error that nobody classified. It
	// is told as an exception, without its text.
	Internal Code = "internal"
)

// Who says at whose door the fault lies (urn:slotgate:who).
type Who string

// The three parties of a call.
const (
	Client  Who = "client"
	Gateway Who = "gateway"
	AtEHR   Who = "source"
)

// Error is the one error type that crosses room borders. Message is written by
// us for the caller and holds no foreign text and no patient data; Err is what
// really happened, for the log of the operator, and is never shown.
type Error struct {
	Code       Code
	Who        Who
	Message    string
	Param      string        // the parameter, header or element at fault
	Source     SourceID      // the source concerned, if one is
	RetryAfter time.Duration // when a repeat may succeed; 0: unknown
	Err        error
}

// Error gives the operator's view: code, message and cause.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Message
	if e.Param != "" {
		text += " (" + e.Param + ")"
	}
	if e.Source != "" {
		text += " [" + string(e.Source) + "]"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refuse is an error of the caller's making.
func Refuse(code Code, param, format string, args ...any) *Error {
	return &Error{Code: code, Who: Client, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Blame is an error of a source's making; err is kept for the operator.
func Blame(code Code, source SourceID, err error, message string) *Error {
	return &Error{Code: code, Who: AtEHR, Source: source, Message: message, Err: err}
}

// Fault is an error of ours; err is kept for the operator.
func Fault(code Code, err error, message string) *Error {
	return &Error{Code: code, Who: Gateway, Message: message, Err: err}
}

// AsError finds the *Error in err, or makes an Internal one of it. It gives nil
// for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Fault(Internal, err, "something went wrong on our side")
}

// CodeOf is the code of err: Internal for a foreign error, "" for nil.
func CodeOf(err error) Code {
	if e := AsError(err); e != nil {
		return e.Code
	}
	return ""
}
