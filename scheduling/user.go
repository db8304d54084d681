package scheduling

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// MaxUserToken is the longest token of a user, in bytes.
const MaxUserToken = 16 << 10

// UserToken is a user's own SMART token for one source. It is sent to that
// source alone, and it shows itself to nobody: neither to a log, nor to JSON,
// nor to any verb of fmt. The zero value is none.
//
// It lies behind a pointer: fmt follows none, also where it does not ask this
// type how to be shown, as within an unexported field.
type UserToken struct{ bearer *string }

// NewUserToken takes a token that can be sent in a header: visible ASCII without
// what separates values there. ok is false for anything else.
func NewUserToken(bearer string) (t UserToken, ok bool) {
	if bearer == "" || len(bearer) > MaxUserToken {
		return t, false
	}
	for i := range len(bearer) {
		if c := bearer[i]; c <= ' ' || c > '~' || strings.IndexByte(`,;"\`, c) >= 0 {
			return t, false
		}
	}
	return UserToken{&bearer}, true
}

// Given tells whether there is one.
func (t UserToken) Given() bool { return t.bearer != nil }

// Reveal is the token itself, for the request that it is meant for.
func (t UserToken) Reveal() string {
	if t.bearer == nil {
		return ""
	}
	return *t.bearer
}

// Digest stands for the token where something is remembered of it.
func (t UserToken) Digest() [sha256.Size]byte { return sha256.Sum256([]byte(t.Reveal())) }

// Claims are what a token says of itself, if it is a JWT that can be read: whose
// it is (SMART's launch context, without Patient/), and until when. Nobody has
// checked its signature: they may serve to refuse, and never to allow.
func (t UserToken) Claims() (patient string, expires time.Time) {
	parts := strings.Split(t.Reveal(), ".")
	if len(parts) != 3 {
		return "", expires
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return "", expires
	}
	var claims struct {
		Patient any `json:"patient"`
		Exp     any `json:"exp"`
	}
	if json.Unmarshal(data, &claims) != nil {
		return "", expires
	}
	if text, ok := claims.Patient.(string); ok {
		patient = text[strings.LastIndexByte(text, '/')+1:]
	}
	if at, ok := claims.Exp.(float64); ok && at > 0 && at < 1e11 {
		expires = time.Unix(int64(at), 0).UTC()
	}
	return patient, expires
}

// hidden is shown in place of a token.
const hidden = "[token]"

// Format shows nothing, whatever the verb.
func (t UserToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String shows nothing.
func (t UserToken) String() string { return hidden }

// LogValue shows nothing.
func (t UserToken) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText shows nothing, in JSON and elsewhere.
func (t UserToken) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// As says in whose name a source is asked what a user may see there. The zero
// value is nobody's, and is refused: our own login must be chosen.
type As struct {
	user UserToken
	ours bool
}

// AsUser asks with the user's own token.
func AsUser(t UserToken) As { return As{user: t} }

// AsGateway asks with our own login, for a caller that the source trusts.
func AsGateway() As { return As{ours: true} }

// User is the token to ask with; ok is false where our own login is meant.
func (a As) User() (t UserToken, ok bool) { return a.user, a.user.Given() }

// Ours tells that our own login is meant.
func (a As) Ours() bool { return a.ours && !a.user.Given() }

// kindElsewhere is no kind of the directory.
const kindElsewhere Kind = "Appointment elsewhere"

// elsewhereLength is longer than that of any other id of ours, so that one look
// tells them apart.
const elsewhereLength = 24

// ElsewhereID is our id of an appointment that was not made through us: it
// belongs to the source's tag, as all ids do. What it leads to is each
// principal's own record.
func ElsewhereID(source SourceID, native string) string {
	return SourceTag(source) + "-" + digest(elsewhereLength, string(kindElsewhere), string(source), native)
}

// IsElsewhereID tells whether the id has the form of those.
func IsElsewhereID(id string) bool {
	return ValidID(id) && len(id) == len(SourceTag(""))+1+elsewhereLength && strings.IndexByte(id, '-') == len(SourceTag(""))
}

// ElsewhereRecord is what leads from such an id to the appointment at the
// source. It holds ids alone, and is kept sealed.
type ElsewhereRecord struct {
	Source  SourceID `json:"source"`
	Native  string   `json:"native"`  // the Appointment's id at the source
	Patient string   `json:"patient"` // the Patient's there, in whose name it was found
}

// LogValue shows the source only.
func (r ElsewhereRecord) LogValue() slog.Value { return slog.StringValue(string(r.Source)) }

// ElsewhereAppointment is an appointment as the EHR shows it to a user: with
// what an offer would tell of it.
type ElsewhereAppointment struct {
	Appointment
	Zone            string // IANA, of its place
	ServiceCategory []Concept
	ServiceType     []Concept
	Specialty       []Concept
	AppointmentType *Concept
	Comment         string
	Reason          string // the code of its cancellation
}

// LogValue shows nothing of it (law 10).
func (a ElsewhereAppointment) LogValue() slog.Value { return slog.StringValue("appointment") }

// Of tells whether the appointment is the patient's. A server that ignores what
// it was asked answers with everybody's; one that shows nobody at all is
// believed.
func (a Appointment) Of(patient string) bool {
	if len(a.Patient) == 0 && len(a.Actors) == 0 {
		return true
	}
	for _, p := range a.Patient {
		if p == patient {
			return true
		}
	}
	return false
}
