package upstream

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// The calls here are of the prefetch's lane and breaker, though they change
// something at the source: nothing of it is about a patient, and what goes wrong
// must stand in no booking's way. They are sent once; whoever did not hear the
// answer looks for the Subscription by its endpoint.

// OffersSubscriptions tells whether the source says that it takes Subscriptions.
func (c *Client) OffersSubscriptions(ctx context.Context) (bool, error) {
	if c.opts.Dialect == Links {
		return false, nil
	}
	statement, err := c.metadata(ctx, lanePrefetch)
	if err != nil {
		return false, err
	}
	for i := range statement.Rest {
		for j := range statement.Rest[i].Resource {
			if r := &statement.Rest[i].Resource[j]; r.Type == "Subscription" {
				return can(r, "create", true), nil
			}
		}
	}
	return false, nil
}

// Subscribe asks the source to tell of changes until end.
func (c *Client) Subscribe(ctx context.Context, channel scheduling.Channel, end time.Time) (scheduling.Subscription, error) {
	sub, err := c.subscription(ctx, http.MethodPost, "Subscription", fhir.Subscription("", channel, end))
	if err == nil && sub.ID == "" {
		err = scheduling.Blame(scheduling.SourceNonsense, c.source.ID, nil, "the source took a Subscription and does not say which")
	}
	return sub, err
}

// Resubscribe asks for the same again, until another end.
//
// Errors: unknown-id where the source does not have it any more; source-refused
// where it does not let us.
func (c *Client) Resubscribe(ctx context.Context, id string, channel scheduling.Channel, end time.Time) (scheduling.Subscription, error) {
	sub, err := c.subscription(ctx, http.MethodPut, "Subscription/"+id, fhir.Subscription(id, channel, end))
	sub.ID = id
	return sub, err
}

// ReadSubscription is how the source sees a Subscription. Errors: unknown-id.
func (c *Client) ReadSubscription(ctx context.Context, id string) (scheduling.Subscription, error) {
	sub, err := c.subscription(ctx, http.MethodGet, "Subscription/"+id, nil)
	sub.ID = id
	return sub, err
}

// Unsubscribe removes a Subscription. One that is not there is removed.
func (c *Client) Unsubscribe(ctx context.Context, id string) error {
	_, err := c.subscription(ctx, http.MethodDelete, "Subscription/"+id, nil)
	if scheduling.CodeOf(err) == scheduling.UnknownID {
		return nil
	}
	return err
}

// FindSubscriptions are those that lead to the channel's endpoint. A source that
// does not let us search has none that we could find.
func (c *Client) FindSubscriptions(ctx context.Context, channel scheduling.Channel) ([]scheduling.Subscription, error) {
	query := url.Values{"url": {channel.Endpoint}}
	if channel.Header == "" { // the endpoint holds the secret, and addresses are logged
		query = url.Values{"type": {"rest-hook"}, "_count": {"100"}}
	}
	var bundle *model.Bundle
	_, err := c.send(ctx, &call{
		op: "subscribe", lane: lanePrefetch, method: http.MethodGet, url: resolve(c.base, "Subscription", query), fresh: true,
		read: func(f fhir.Format, body []byte) error {
			res, err := fhir.Read(c.source.Release, f, body)
			bundle, _ = res.(*model.Bundle)
			return err //nolint:wrapcheck // judged by the stack
		},
	})
	if scheduling.CodeOf(err) == scheduling.SourceRefused || err == nil && bundle == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []scheduling.Subscription
	for i := range bundle.Entry {
		sub, ok := bundle.Entry[i].Resource.(*model.Subscription)
		if ok && sub.Channel != nil && sub.Channel.Endpoint == channel.Endpoint && scheduling.ValidID(sub.ID) {
			out = append(out, fhir.ToSubscription(sub))
		}
	}
	return out, nil
}

// subscription sends one call about a Subscription and reads what comes back,
// which may be nothing but headers.
func (c *Client) subscription(ctx context.Context, method, path string, res *model.Subscription) (scheduling.Subscription, error) {
	var sub scheduling.Subscription
	send := &call{
		op: "subscribe", lane: lanePrefetch, method: method, url: resolve(c.base, path, nil), fresh: method == http.MethodGet,
		read: func(f fhir.Format, body []byte) error {
			if len(bytes.TrimSpace(body)) == 0 {
				return nil
			}
			res, err := fhir.Read(c.source.Release, f, body)
			if told, ok := res.(*model.Subscription); ok {
				sub = fhir.ToSubscription(told)
			}
			return err //nolint:wrapcheck // judged by the stack
		},
	}
	if method != http.MethodGet {
		send.write, send.sent = true, &sending{}
	}
	if res != nil {
		body, err := fhir.Write(c.source.Release, c.writes(), res)
		if err != nil {
			return sub, err
		}
		send.body, send.kind = body, c.writes().ContentType()
	}
	a, err := c.send(ctx, send)
	switch {
	case refusedAs(err, http.StatusNotFound, http.StatusGone):
		return sub, scheduling.Blame(scheduling.UnknownID, c.source.ID, err, "the source does not have this Subscription")
	case err != nil:
		return sub, err
	}
	if kind, id := fhir.RefParts(a.header.Get("Location")); sub.ID == "" && kind == "Subscription" {
		sub.ID = id
	}
	return sub, nil
}
