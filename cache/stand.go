package cache

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// A stand says of which answer of the source all windows of a scope are, so that
// the same answer need not be written again: its token, the number of the latest
// fetch that read it, and of the latest one that confirmed it. It falls with the
// first window of the scope that anybody writes or removes for another reason, and
// with its check.

// tokens are what a stand can be told by.
var tokens = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)

// newStand is the stand of an answer that was just put in place, "" without a
// token.
func newStand(token string, fetch uint64) string {
	if !tokens.MatchString(token) {
		return ""
	}
	number := strconv.FormatUint(fetch, 10)
	return token + " " + number + " " + number
}

// readStand gives the token and the fetch that proved it; "" for what is none.
func readStand(text string) (token string, proved uint64) {
	parts := strings.Split(text, " ")
	if len(parts) != 3 || !tokens.MatchString(parts[0]) {
		return "", 0
	}
	proved, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return "", 0
	}
	return parts[0], proved
}

// fell notes which stands the batch lets fall: those of the scopes that hold one
// of its windows, and of the checks that it sets.
func (r *replacement) fell(v *view, b *batch) {
	for _, c := range b.set {
		if slices.Contains(v.stands, c.field) {
			b.fallen = append(b.fallen, c.field)
		}
	}
	if len(v.stands) == 0 || len(b.ops) == 0 {
		return
	}
	for _, c := range v.checks {
		touched := func(o op) bool { return c.covers(o.key) }
		if slices.Contains(v.stands, c.field) && !slices.Contains(b.fallen, c.field) && slices.ContainsFunc(b.ops, touched) {
			b.fallen = append(b.fallen, c.field)
		}
	}
}

// Basis tells of which answer the windows of the scope are, and whether only
// reading it again can prove that they hold: a claim on the source ended since
// (law 4), and a source that errs about what changed must not lift its fence.
func (s *Store) Basis(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (scheduling.Basis, error) {
	k := s.keys.source(source)
	pipe := s.client.Pipeline()
	stand := pipe.HGet(ctx, k.stands(), newCheck(scope, 0, time.Time{}).field)
	fences := pipe.HVals(ctx, k.fences())
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return scheduling.Basis{}, s.fault(err)
	}
	token, proved := readStand(stand.Val())
	out := scheduling.Basis{Token: token}
	for _, text := range fences.Val() {
		fence, err := strconv.ParseUint(text, 10, 64)
		out.Proof = out.Proof || err != nil || fence >= proved
	}
	return out, nil
}

// Confirm moves the freshness of a scope whose source gave the answer that Token
// names once more, and writes nothing else. at is the end of the fetch. It is
// false where the windows of the scope are not of that answer alone: others wrote
// to them, or they are gone. Then the answer must be read and put in place.
//
// Errors: ErrDataLost as of Replace; ErrIncomplete.
func (s *Store) Confirm(
	ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, same scheduling.Fetched,
) (bool, error) {
	if !same.Complete || !same.Unchanged || !tokens.MatchString(same.Token) {
		return false, s.fault(ErrIncomplete)
	}
	k, c := s.keys.source(source), newCheck(same.Scope, fetch, at).validAt(same.Valid)
	text, err := c.text()
	if err != nil {
		return false, s.fault(err)
	}
	proves := 0
	if same.Proved {
		proves = 1
	}
	answer, err := s.run(
		ctx, s.scripts.confirm, []string{k.meta(), k.checks(), k.stands(), k.feed()},
		strconv.FormatUint(fetch, 10), nonce(), s.options.FeedLength, s.keys.wake(), string(source),
		strconv.FormatInt(at.UnixMilli(), 10), c.field, same.Token, text, proves,
	).Int()
	switch {
	case err != nil:
		return false, s.fault(err)
	case answer < 0:
		return false, s.fault(ErrDataLost)
	case answer == 1:
		s.metrics.scopes.WithLabelValues(string(source), "confirmed").Inc()
		return true, nil
	default:
		s.metrics.scopes.WithLabelValues(string(source), "other").Inc()
		return false, nil
	}
}
