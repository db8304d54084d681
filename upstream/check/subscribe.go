package check

import "slotgate/upstream"

// subscribe tells whether a source that is to tell of changes says that it can.
// Nothing is asked for: that would have it send.
func (r *run) subscribe() bool {
	way := r.client.Options().Subscribe
	if way == upstream.SubscribeNever {
		return true
	}
	offered, err := r.client.OffersSubscriptions(r.ctx)
	switch {
	case err != nil:
		r.add("subscribe", false, WithQuirk, "it is not known whether the source takes Subscriptions: %s", Explain(err))
	case offered:
		r.add("subscribe", false, Works, "the source takes Subscriptions")
	case way == upstream.SubscribeAuto:
		r.add("subscribe", false, Works, "the source offers no Subscriptions, and is not asked")
	default:
		r.add("subscribe", false, WithQuirk, "the source does not say that it takes Subscriptions; it is asked all the same")
	}
	return true
}
