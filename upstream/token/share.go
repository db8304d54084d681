package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// Store is where the nodes share the token of one source. It must keep what it
// is given so that nobody else can read it. Where it does not answer, each node
// goes on by itself.
type Store interface {
	// Load gives what was saved, and for how long it is still kept; nil where
	// there is nothing.
	Load(ctx context.Context) (record []byte, left time.Duration, err error)
	// Save puts the record of a token in place of any other, for a while.
	Save(ctx context.Context, token string, record []byte, keep time.Duration) error
	// Refuse drops the record if it is of this token, once in so long a time. It
	// is false, and the record stays, when one was dropped less long ago.
	Refuse(ctx context.Context, token string, every time.Duration) (bool, error)
	// Lease gives the right to ask for a token to one node, for so long at most,
	// and not for long when the node dies; ok is false when another has it.
	Lease(ctx context.Context, most time.Duration) (release func(context.Context) error, ok bool, err error)
	// Pin remembers the origin of the token endpoint that discovery at base
	// found, unless one is known, and gives the one that is.
	Pin(ctx context.Context, base, origin string) (pinned string, err error)
}

// storeTimeout bounds one call to the store: a login must not wait for long
// where it is away.
const storeTimeout = 2 * time.Second

// shared is a Store as one source's login uses it.
type shared struct {
	store Store
	login string // tells logins apart that differ in what they ask for
	log   *slog.Logger
	away  atomic.Bool
}

func newShared(o Options, deps Deps) *shared {
	if deps.Store == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{
		string(o.Kind), deps.Base, o.ClientID, o.TokenURL,
	}, o.Scopes...), "\x00")))
	return &shared{store: deps.Store, login: hex.EncodeToString(sum[:8]), log: deps.Logger}
}

// record is what the nodes share. There are no instants in it: their clocks may
// differ.
type record struct {
	Token string `json:"token"`
	Life  int64  `json:"life"`  // as granted, in milliseconds
	Login string `json:"login"` // for what it was given
}

func (r record) life() time.Duration { return time.Duration(r.Life) * time.Millisecond }

// load gives the token that is there for this login.
func (s *shared) load(ctx context.Context) (got record, left time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	text, left, err := s.store.Load(ctx)
	if !s.answered(err) || text == nil || json.Unmarshal(text, &got) != nil {
		return record{}, 0, false
	}
	return got, left, got.Login == s.login && sendable(got.Token) && got.Life > 0 && left > 0 && left <= longest
}

func (s *shared) save(ctx context.Context, token string, life time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	text, err := json.Marshal(record{Token: token, Life: life.Milliseconds(), Login: s.login})
	if err == nil {
		s.answered(s.store.Save(ctx, token, text, life))
	}
}

// refuse tells whether another token may be asked for in place of a refused one.
func (s *shared) refuse(ctx context.Context, token string) bool {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	may, err := s.store.Refuse(ctx, token, atMostEvery)
	return !s.answered(err) || may
}

// lease tells whether this node is to ask; also where the store is away.
func (s *shared) lease(ctx context.Context, most time.Duration) (release func(), ours bool) {
	within, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	back, ok, err := s.store.Lease(within, most)
	switch {
	case !s.answered(err):
		return func() {}, true
	case !ok:
		return nil, false
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		s.answered(back(ctx))
	}, true
}

// answered says once, of many calls that failed, that tokens are not shared.
func (s *shared) answered(err error) bool {
	if away := err != nil; s.away.Swap(away) != away {
		if away {
			s.log.Warn("the token is not shared for now: the store does not answer", "error", err)
		} else {
			s.log.Info("the token is shared again")
		}
	}
	return err == nil
}
