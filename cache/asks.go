package cache

import (
	"context"
	"encoding/json"

	"slotgate/scheduling"
)

// asksKey is the channel on which gateways ask the worker of a source to read a
// scope again now: after a cancel, or where a slot turned out to be taken. A
// message that nobody hears costs a delay until the next regular look.
//
//	<prefix>:asks           channel; a message is an ask as JSON
func (k keys) asks() string { return k.prefix + ":asks" }

// ask is one message of the channel.
type ask struct {
	Source    scheduling.SourceID `json:"source"`
	Days      scheduling.Days     `json:"days"`
	Schedules []string            `json:"schedules,omitempty"`
}

// maxAsk bounds a message that is read: a stranger may write to the channel.
const maxAsk = 64 << 10

// AskRefetch asks whoever works on the source to read the scope again.
func (s *Store) AskRefetch(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) error {
	text, err := json.Marshal(ask{source, scope.Days, scope.Schedules})
	if err != nil {
		return scheduling.Fault(scheduling.Internal, err, "something went wrong on our side")
	}
	return s.fault(s.client.Publish(ctx, s.keys.asks(), text).Err())
}

// HearRefetches hands on what gateways ask until ctx ends; it survives outages.
// hear must not block.
func (s *Store) HearRefetches(ctx context.Context, hear func(scheduling.SourceID, scheduling.Scope)) {
	sub := s.client.Subscribe(ctx, s.keys.asks())
	defer func() { _ = sub.Close() }()
	messages := sub.Channel() // it connects again by itself
	for {
		select {
		case <-ctx.Done():
			return
		case message, ok := <-messages:
			if !ok {
				return
			}
			var a ask
			if len(message.Payload) > maxAsk || json.Unmarshal([]byte(message.Payload), &a) != nil || a.Source == "" {
				continue
			}
			hear(a.Source, scheduling.Scope{Days: a.Days, Schedules: a.Schedules})
		}
	}
}
