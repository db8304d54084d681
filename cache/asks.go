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
	Now       bool                `json:"now,omitempty"` // somebody waits
}

// maxAsk bounds a message that is read: a stranger may write to the channel.
const maxAsk = 64 << 10

// AskRefetch asks whoever works on the source to read the scope again.
func (s *Store) AskRefetch(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) error {
	return s.ask(ctx, ask{Source: source, Days: scope.Days, Schedules: scope.Schedules})
}

// AskRevalidate is AskRefetch for somebody who waits for the feed to tell what
// came of it.
func (s *Store) AskRevalidate(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) error {
	return s.ask(ctx, ask{Source: source, Days: scope.Days, Schedules: scope.Schedules, Now: true})
}

func (s *Store) ask(ctx context.Context, a ask) error {
	text, err := json.Marshal(a)
	if err != nil {
		return scheduling.Fault(scheduling.Internal, err, "something went wrong on our side")
	}
	return s.fault(s.client.Publish(ctx, s.keys.asks(), text).Err())
}

// HearRefetches hands on what gateways ask until ctx ends; it survives outages.
// hear must not block; now says that somebody waits.
func (s *Store) HearRefetches(ctx context.Context, hear func(source scheduling.SourceID, scope scheduling.Scope, now bool)) {
	s.hearAll(ctx, s.keys.asks(), func(text []byte) {
		var a ask
		if json.Unmarshal(text, &a) == nil && a.Source != "" {
			hear(a.Source, scheduling.Scope{Days: a.Days, Schedules: a.Schedules}, a.Now)
		}
	})
}

// hearAll hands on the messages of a channel that are not too long.
func (s *Store) hearAll(ctx context.Context, channel string, hear func([]byte)) {
	sub := s.client.Subscribe(ctx, channel)
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
			if len(message.Payload) <= maxAsk {
				hear([]byte(message.Payload))
			}
		}
	}
}
