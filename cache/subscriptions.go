package cache

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// The key of our Subscription at one source, and the channel on which gateways
// tell the worker of a source what it was told. A message that nobody hears
// costs a delay until the next regular look.
//
//	subscription      HASH  r what is remembered of it (JSON), h when it was last heard of (ms since 1970, by the server's clock)
//	<prefix>:notices  channel; a message is a notice as JSON
func (k sourceKeys) subscription() string { return k.tag + "subscription" }
func (k keys) notices() string            { return k.prefix + ":notices" }

// hearSubscriptionSource notes a sign of life.
//
//	KEYS     1 subscription
//	returns  0 or 1
const hearSubscriptionSource = `
local t = redis.call('TIME')
return redis.call('HSET', KEYS[1], 'h', string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)))
`

// readSubscriptionSource gives what is remembered, and the age of the last sign
// of life.
//
//	KEYS     1 subscription
//	returns  the record or '', milliseconds or -1
const readSubscriptionSource = `
local t = redis.call('TIME')
local known = redis.call('HMGET', KEYS[1], 'r', 'h')
local age = -1
if known[2] then
  age = math.max(0, tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) - tonumber(known[2]))
end
return {known[1] or '', age}
`

// Subscriptions remembers for all nodes what we asked for at which source. It is
// safe for concurrent use.
type Subscriptions struct {
	store      *Store
	hear, read script
}

// Subscriptions gives the memory of Subscriptions.
func (s *Store) Subscriptions() *Subscriptions {
	return &Subscriptions{
		store: s,
		hear:  script{"hear-subscription", redis.NewScript(hearSubscriptionSource)},
		read:  script{"read-subscription", redis.NewScript(readSubscriptionSource)},
	}
}

// Subscription is what is remembered of a source's; the zero value but for Heard
// where that is nothing.
//
// Errors: shedding.
func (m *Subscriptions) Subscription(ctx context.Context, source scheduling.SourceID) (scheduling.Subscribed, error) {
	var out scheduling.Subscribed
	got, err := m.store.run(ctx, m.read, []string{m.key(source)}).Slice()
	if err != nil {
		return out, m.store.fault(err)
	}
	text, _ := got[0].(string)
	age, _ := got[1].(int64)
	if text != "" && json.Unmarshal([]byte(text), &out) != nil {
		m.store.metrics.damaged.WithLabelValues(string(source), "subscription").Inc()
		out = scheduling.Subscribed{}
	}
	out.Heard = time.Duration(age) * time.Millisecond
	return out, nil
}

// PutSubscription remembers. One without an id that was just begun was never
// heard of: what comes after counts for it.
func (m *Subscriptions) PutSubscription(ctx context.Context, source scheduling.SourceID, sub scheduling.Subscribed) error {
	text, err := json.Marshal(sub)
	if err != nil {
		return m.store.fault(err)
	}
	_, err = m.store.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, m.key(source), "r", text)
		if sub.ID == "" {
			pipe.HDel(ctx, m.key(source), "h")
		}
		return nil
	})
	return m.store.fault(err)
}

// DropSubscription forgets.
func (m *Subscriptions) DropSubscription(ctx context.Context, source scheduling.SourceID) error {
	return m.store.fault(m.store.client.Del(ctx, m.key(source)).Err())
}

// Heard notes that the source has just told something, were it a heartbeat.
func (m *Subscriptions) Heard(ctx context.Context, source scheduling.SourceID) error {
	return m.store.fault(m.store.run(ctx, m.hear, []string{m.key(source)}).Err())
}

func (m *Subscriptions) key(source scheduling.SourceID) string {
	return m.store.keys.source(source).subscription()
}

// told is one message of the channel.
type told struct {
	Source scheduling.SourceID `json:"source"`
	Notice scheduling.Notice   `json:"notice"`
}

// TellNotice hands a notice to whoever works on the source.
func (s *Store) TellNotice(ctx context.Context, source scheduling.SourceID, notice scheduling.Notice) error {
	text, err := json.Marshal(told{source, notice})
	if err != nil {
		return scheduling.Fault(scheduling.Internal, err, "something went wrong on our side")
	}
	return s.fault(s.client.Publish(ctx, s.keys.notices(), text).Err())
}

// HearNotices hands on what gateways tell until ctx ends; it survives outages.
// hear must not block.
func (s *Store) HearNotices(ctx context.Context, hear func(scheduling.SourceID, scheduling.Notice)) {
	s.hearAll(ctx, s.keys.notices(), func(text []byte) {
		var t told
		if json.Unmarshal(text, &t) == nil && t.Source != "" && t.Notice.Check() == nil {
			hear(t.Source, t.Notice)
		}
	})
}
