package scheduling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Channel is where a source is to send its notifications, and what it shows to
// be known there.
type Channel struct {
	Endpoint string
	Header   string // such as "Authorization: Bearer x"; "": the endpoint itself holds the secret
}

// Digest names the channel where it may be read by others than the source.
func (c Channel) Digest() string {
	sum := sha256.Sum256([]byte(c.Endpoint + "\n" + c.Header))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// NotifyKey is what a source shows with its notifications. It follows from a
// secret that all nodes share, so that whoever subscribes and whoever listens
// need not speak of it.
func NotifyKey(secret []byte, source SourceID) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("slotgate notifications\n" + string(source)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// SubscriptionStatus is how a source calls the state of a Subscription
// (http://hl7.org/fhir/subscription-status).
type SubscriptionStatus string

// The codes of the value set, the same in STU3 and R4.
const (
	SubscriptionRequested SubscriptionStatus = "requested"
	SubscriptionActive    SubscriptionStatus = "active"
	SubscriptionError     SubscriptionStatus = "error"
	SubscriptionOff       SubscriptionStatus = "off"
)

// Subscription is one that a source keeps for us.
type Subscription struct {
	ID     string // at the source
	Status SubscriptionStatus
	End    time.Time // zero: not told
}

// Broken tells that nothing comes of it any more.
func (s Subscription) Broken() bool {
	return s.Status == SubscriptionError || s.Status == SubscriptionOff
}

// Subscribed is what all nodes remember of a source's Subscription.
type Subscribed struct {
	ID     string    `json:"id,omitempty"` // "": none
	End    time.Time `json:"end,omitzero"`
	Since  time.Time `json:"since,omitzero"`  // when it was asked for, or renewed
	Digest string    `json:"digest,omitempty"` // of its Channel
	InPath bool      `json:"inPath,omitempty"` // the secret stands in the path: in a header it did not work
	// Heard is how long ago the source last told anything; negative: never since
	// it was asked for.
	Heard time.Duration `json:"-"`
}

// SubscriptionState is how we stand with a source's notifications.
type SubscriptionState string

// The states. In each of them the source is polled as ever.
const (
	SubscriptionNone    SubscriptionState = ""        // not wanted, or not offered
	SubscriptionAsked   SubscriptionState = "asked"   // asked for; nothing was heard yet
	SubscriptionLive    SubscriptionState = "live"    // heard of lately
	SubscriptionSilent  SubscriptionState = "silent"  // the heartbeat stays away
	SubscriptionRefused SubscriptionState = "refused" // the source does not do it, or fails
)

// Notice is a source's word that slots of a schedule have changed
// (Argonaut: argo-sched-notif). What is told is believed as far as asking again
// goes, and no further.
type Notice struct {
	Schedule string  `json:"schedule,omitempty"` // id at the source; "": not told
	Actors   []Actor `json:"actors,omitempty"`
	// Start and End of the planning horizon as written, a date or a time, with
	// or without an offset; "": open.
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}
