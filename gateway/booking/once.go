package booking

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"slotgate/scheduling"
)

// digestOf stands for everything that a request says. It may say who somebody is,
// and all that is secret in that can be tried out: what is stored is keptDigest of
// it.
func digestOf(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:16])
}

// keptDigest is a digest as it may be stored: without the secret nobody can find
// out what it is of (law 10).
func keptDigest(secret []byte, digest string) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("request " + digest))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// answer is what is kept under an idempotency key.
type answer struct {
	View    *View               `json:"view,omitempty"`
	Private *scheduling.Private `json:"private,omitempty"`
	Error   *refusal            `json:"error,omitempty"`
}

// refusal is an error as it is kept.
type refusal struct {
	Code    scheduling.Code     `json:"code"`
	Who     scheduling.Who      `json:"who"`
	Message string              `json:"message"`
	Param   string              `json:"param,omitempty"`
	Source  scheduling.SourceID `json:"source,omitempty"`
	State   bool                `json:"state,omitempty"` // ErrState
}

// interaction is what a request under a key is for.
type interaction string

const (
	toHold   interaction = "hold"
	toBook   interaction = "book"
	toCancel interaction = "cancel"
)

// once runs a request once per Idempotency-Key. Without a key nothing is
// replayed: the state answers.
func (d *Desk) once(ctx context.Context, c Caller, what interaction, key, offer, digest string, run func() (View, error)) (View, error) {
	if key == "" {
		return run()
	}
	key, digest = keyDigest(key), keptDigest(d.Secret, digest)
	rec, err := d.beginKey(ctx, c, key, digest, offer)
	if err != nil {
		return View{}, err
	}
	switch rec.State {
	case scheduling.KeyOther:
		return View{}, scheduling.Refuse(scheduling.NotAcceptable, "Idempotency-Key", "this key was used for another request")
	case scheduling.KeyDone:
		return decodeAnswer(rec.Answer)
	case scheduling.KeyRunning:
		v, again, err := d.stillRunning(ctx, c, what, key, rec.Offer)
		if !again {
			return v, err
		}
	}
	d.reach("key.begun")
	v, err := d.keeping(ctx, c, key, digest, run)
	d.endKey(context.WithoutCancel(ctx), c, key, digest, v, err)
	return v, err
}

// keyLease is longer than any journey: whoever holds a key so long has crashed.
const keyLease = 2 * time.Minute

// A request of the desk keeps its key by renewing it: after a crash a repeat need
// not wait long. One that is thought dead and is not does no harm: of two that
// run, one saves its intent, and the other gives the same answer.
const (
	runLease = 6 * time.Second
	runBeat  = runLease / 3
)

// keeping runs a request and keeps its key meanwhile.
func (d *Desk) keeping(ctx context.Context, c Caller, key, digest string, run func() (View, error)) (View, error) {
	beats, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		beat := time.NewTicker(runBeat)
		defer beat.Stop()
		for {
			select {
			case <-beats.Done():
				return
			case <-beat.C:
			}
			if err := d.Keys.Renew(beats, c.Principal, key, digest, runLease); err != nil && beats.Err() == nil {
				d.Log.WarnContext(ctx, "the key of a running request is not kept", "error", err)
			}
		}
	}()
	defer func() { stop(); <-stopped }()
	return run()
}

// cancelKey stands for the key of a cancel in its intent.
func cancelKey(key string) string {
	if key == "" {
		return ""
	}
	return keyDigest(key)
}

// cameToNothing is the answer to a repeat of a cancel that was sent under this
// very key and is known to have changed nothing: it is not sent again. nil: there
// was none, or one that may be tried again.
func cameToNothing(e scheduling.Entry, key string) error {
	if key == "" || !nothingOfIt(e, key) {
		return nil
	}
	if err := refusedAs(e); final(err) {
		return err
	}
	return nil
}

// nothingOfIt: the cancel under this key was refused, or had no effect.
func nothingOfIt(e scheduling.Entry, key string) bool {
	return e.State == scheduling.EntryBooked && e.Reason == cancelRefused && e.Wanted == nil &&
		e.Intent != nil && e.Intent.Kind == scheduling.CallCancel && e.Intent.Over && e.Intent.Key == key
}

// refusedAs is the answer that the cancel was given.
func refusedAs(e scheduling.Entry) error {
	if e.Intent.Refused == "" {
		return refuseState("the source did not cancel the appointment; it is still booked")
	}
	return scheduling.Blame(e.Intent.Refused, e.Source, nil, "the source did not cancel the appointment; it is still booked")
}

// beginKey waits for the first request under the key, a short while.
func (d *Desk) beginKey(ctx context.Context, c Caller, key, digest, offer string) (scheduling.KeyRecord, error) {
	deadline := time.NewTimer(d.opts.WaitRunning)
	defer deadline.Stop()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		rec, err := d.Keys.Begin(ctx, c.Principal, key, digest, offer, runLease)
		if err != nil || rec.State != scheduling.KeyRunning {
			return rec, err
		}
		if e, err := d.Books.Read(ctx, rec.Offer); err == nil && e.Doubt != nil {
			return rec, nil // in doubt: waiting tells nothing
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

// stillRunning answers the second request while the first runs, or after a crash
// has left it: the state says what became of it. again: nothing did, and the
// request may run afresh. Should the first be alive after all, one of the two
// saves its intent, and the other gives the same answer.
func (d *Desk) stillRunning(ctx context.Context, c Caller, what interaction, key, offer string) (v View, again bool, err error) {
	if scheduling.IsElsewhereID(offer) {
		return View{}, true, nil // its own intent says whether it was sent
	}
	e, err := d.Books.Read(ctx, offer)
	if err != nil || e.Principal != c.Principal {
		return View{}, false, busy("")
	}
	if what == toCancel {
		v, err = d.cancelRunning(e, key)
		return v, false, err
	}
	v = d.view(e)
	switch {
	case v.InDoubt || e.State == scheduling.EntryBooked || e.State == scheduling.EntryCancelled:
		return v, false, nil
	case e.State == scheduling.EntryNotBooked:
		return View{}, false, refuseUsed()
	case what == toBook && (e.State == scheduling.EntryFree || e.State == scheduling.EntryHeld):
		return View{}, true, nil
	default:
		return View{}, false, busy(e.Source)
	}
}

// cancelRunning tells what became of a cancel: that the appointment is booked is
// no success.
func (d *Desk) cancelRunning(e scheduling.Entry, key string) (View, error) {
	v := d.view(e)
	switch e.State {
	case scheduling.EntryCancelled, scheduling.EntryNotBooked, scheduling.EntryReleasing, scheduling.EntryFree, scheduling.EntryCancelling:
		return v, nil
	}
	switch {
	case e.Wanted != nil:
		v.InDoubt, v.RetryAfter = true, retryAfter(e, v.Now)
		return v, nil
	case nothingOfIt(e, key):
		return View{}, refusedAs(e)
	default:
		return View{}, busy(e.Source)
	}
}

// endKey keeps what is final: 2xx, 409, 410, 422. What is in doubt stays
// running: once its lease is over the state answers.
func (d *Desk) endKey(ctx context.Context, c Caller, key, digest string, v View, err error) {
	var kerr error
	switch {
	case err == nil && v.InDoubt:
		return
	case err == nil || final(err):
		var data []byte
		if data, kerr = encodeAnswer(v, err); kerr == nil {
			kerr = d.Keys.Finish(ctx, c.Principal, key, digest, data)
		}
	default:
		kerr = d.Keys.Abandon(ctx, c.Principal, key, digest)
	}
	if kerr != nil {
		d.Log.WarnContext(ctx, "an answer is not kept under its key", "offer", v.Entry.ID, "error", kerr)
	}
}

// final tells whether a refusal would be the same again.
func final(err error) bool {
	if errors.Is(err, ErrVersion) {
		return false
	}
	return is(err, scheduling.SlotTaken, scheduling.HoldExpired, scheduling.HoldLimit, scheduling.UsedID,
		scheduling.NotAcceptable, scheduling.NeedsClinic, scheduling.MissingData)
}

func encodeAnswer(v View, err error) ([]byte, error) {
	a := answer{View: &v, Private: &v.Entry.Private}
	if err != nil {
		e := scheduling.AsError(err)
		a = answer{Error: &refusal{e.Code, e.Who, e.Message, e.Param, e.Source, errors.Is(err, ErrState)}}
	}
	data, jerr := json.Marshal(a)
	if jerr != nil {
		return nil, fmt.Errorf("booking: keeping an answer: %w", jerr)
	}
	return data, nil
}

func decodeAnswer(data []byte) (View, error) {
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return View{}, scheduling.Fault(scheduling.Internal, err, "an answer that was kept cannot be read")
	}
	if r := a.Error; r != nil {
		e := &scheduling.Error{Code: r.Code, Who: r.Who, Message: r.Message, Param: r.Param, Source: r.Source}
		if r.State {
			e.Err = ErrState
		}
		return View{}, e
	}
	if a.View == nil || a.Private == nil {
		return View{}, scheduling.Fault(scheduling.Internal, nil, "an answer that was kept is empty")
	}
	a.View.Entry.Private = *a.Private
	return *a.View, nil
}
