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
	Since  time.Time `json:"since,omitzero"`   // when it was asked for, or renewed
	Digest string    `json:"digest,omitempty"` // of its Channel
	InPath bool      `json:"inPath,omitempty"` // the secret stands in the path: in a header it did not work
	Proven bool      `json:"proven,omitempty"` // by this way something was heard once
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

// Days are those that the notice is about, in these zones, as far as they lie in
// all: a day that has it in one of them counts. What is left open is all.
//
// Errors: ErrBadTime.
func (n Notice) Days(zones []*time.Location, all Days) (Days, error) {
	if len(zones) == 0 { // of a time with an offset the day is then known but for one
		zones = []*time.Location{time.FixedZone("", -12*3600), time.FixedZone("", 14*3600)}
	}
	out := all
	for i, zone := range zones {
		from, err := horizonDay(n.Start, zone, all.From, false)
		if err != nil {
			return Days{}, err
		}
		last, err := horizonDay(n.End, zone, all.To-1, true)
		if err != nil {
			return Days{}, err
		}
		if i == 0 {
			out = Days{from, last + 1}
		}
		out.From, out.To = min(out.From, from), max(out.To, last+1)
	}
	return Days{max(out.From, all.From), min(out.To, all.To)}, nil
}

// Check refuses times that are none, and an end before its start.
func (n Notice) Check() error {
	start, err := horizonDay(n.Start, time.UTC, 0, false)
	if err != nil {
		return err
	}
	end, err := horizonDay(n.End, time.UTC, start, true)
	if err == nil && end < start-1 { // a day more: the offsets may differ
		err = ErrBadTime
	}
	return err
}

// horizonDay is the day of a FHIR dateTime in the zone: the first or the last of
// a year or month. A time without an offset is that of the place.
func horizonDay(text string, zone *time.Location, open Day, last bool) (Day, error) {
	if text == "" {
		return open, nil
	}
	for layout, after := range map[string]func(time.Time) time.Time{
		time.DateOnly: func(t time.Time) time.Time { return t.AddDate(0, 0, 1) },
		"2006-01":     func(t time.Time) time.Time { return t.AddDate(0, 1, 0) },
		"2006":        func(t time.Time) time.Time { return t.AddDate(1, 0, 0) },
	} {
		t, err := time.Parse(layout, text)
		switch {
		case err == nil && last:
			return DayOf(after(t), time.UTC) - 1, nil
		case err == nil:
			return DayOf(t, time.UTC), nil
		}
	}
	wall, rest, ok := cutWall(text)
	if !ok {
		return 0, ErrBadTime
	}
	if rest == "" {
		return DayOf(wall, time.UTC), nil
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return 0, ErrBadTime
	}
	return DayOf(wall.Add(-offset), zone), nil
}
