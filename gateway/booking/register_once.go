package booking

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"slotgate/scheduling"
)

// registered is what is kept of a registration under its key: never the person,
// who may be forgotten.
type registered struct {
	ID    string   `json:"id,omitempty"`
	Added bool     `json:"added,omitempty"`
	Error *refusal `json:"error,omitempty"`
}

// begin waits for the first request under the key, a short while.
func (r *Registrar) begin(ctx context.Context, principal, key, digest string) (scheduling.KeyRecord, error) {
	deadline := time.NewTimer(r.opts.WaitRunning)
	defer deadline.Stop()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		rec, err := r.Keys.Begin(ctx, principal, key, digest, "", keyLease)
		if err != nil || rec.State != scheduling.KeyRunning {
			return rec, err
		}
		select {
		case <-ctx.Done():
			return rec, nil
		case <-deadline.C:
			return rec, nil
		case <-time.After(pause):
		}
	}
}

// finish keeps what is final: 2xx, 409, 422.
func (r *Registrar) finish(ctx context.Context, principal, key, digest string, a registered, err error) {
	if err != nil && !final(err) {
		if kerr := r.Keys.Abandon(ctx, principal, key, digest); kerr != nil {
			r.Log.WarnContext(ctx, "an answer is not forgotten under its key", "error", kerr)
		}
		return
	}
	if err != nil {
		e := scheduling.AsError(err)
		a = registered{Error: &refusal{e.Code, e.Who, e.Message, e.Param, e.Source, errors.Is(err, ErrState)}}
	}
	data, kerr := json.Marshal(a)
	if kerr == nil {
		kerr = r.Keys.Finish(ctx, principal, key, digest, data)
	}
	if kerr != nil {
		r.Log.WarnContext(ctx, "an answer is not kept under its key", "patient", a.ID, "error", kerr)
	}
}

// keeping is how a thing is kept, and read again.
type keeping[T any] struct {
	add  func() (kept T, added bool, err error)
	read func(id string) (T, error)
	id   func(T) string
}

// underKey keeps a thing once, however often it is asked for under the key; ""
// is none.
func underKey[T any](ctx context.Context, r *Registrar, principal, key, asked string, k keeping[T]) (kept T, added bool, err error) {
	if key == "" {
		return k.add()
	}
	digest := keptDigest(r.Secret, asked)
	rec, err := r.begin(ctx, principal, keyDigest(key), digest)
	if err != nil {
		return kept, false, err
	}
	switch rec.State {
	case scheduling.KeyOther:
		return kept, false, scheduling.Refuse(scheduling.NotAcceptable, "Idempotency-Key", "this key was used for another request")
	case scheduling.KeyRunning:
		return kept, false, busy("")
	case scheduling.KeyDone:
		return again(rec.Answer, k.read)
	}
	kept, added, err = k.add()
	r.finish(context.WithoutCancel(ctx), principal, keyDigest(key), digest, registered{ID: k.id(kept), Added: added}, err)
	return kept, added, err
}

// again answers a repeat.
func again[T any](data []byte, read func(id string) (T, error)) (kept T, added bool, err error) {
	var a registered
	if err := json.Unmarshal(data, &a); err != nil {
		return kept, false, scheduling.Fault(scheduling.Internal, err, "an answer that was kept cannot be read")
	}
	if e := a.Error; e != nil {
		refused := &scheduling.Error{Code: e.Code, Who: e.Who, Message: e.Message, Param: e.Param, Source: e.Source}
		if e.State {
			refused.Err = ErrState
		}
		return kept, false, refused
	}
	kept, err = read(a.ID)
	return kept, a.Added, err
}
