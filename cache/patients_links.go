package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// Links gives what is known of a person at sources; nothing for one whom nobody
// registered anywhere.
//
// Errors: shedding; internal for a link that cannot be unsealed.
func (p *Patients) Links(ctx context.Context, principal, id string) (map[scheduling.SourceID]scheduling.PatientLink, error) {
	key := p.store.keys.principal(principal).links(id)
	got, err := p.store.client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, p.store.fault(err)
	}
	links, err := p.openLinks(key, got)
	return links, p.store.fault(err)
}

func (p *Patients) openLinks(key string, sealed map[string]string) (map[scheduling.SourceID]scheduling.PatientLink, error) {
	links := map[scheduling.SourceID]scheduling.PatientLink{}
	for source, text := range sealed {
		l, err := p.openLink(text, key, source)
		if err != nil {
			return nil, err
		}
		links[scheduling.SourceID(source)] = l
	}
	return links, nil
}

// KeepLinks keeps who a person is at sources until Options.KeepLinks have passed
// since then: the end of an appointment that names them. To keep none is no
// error.
//
// Errors: shedding; internal for a link that cannot be unsealed.
func (p *Patients) KeepLinks(ctx context.Context, principal, id string, end time.Time) error {
	key := p.store.keys.principal(principal).links(id)
	pipe := p.store.client.Pipeline()
	got, left := pipe.HGetAll(ctx, key), pipe.PTTL(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return p.store.fault(err)
	}
	ttl := time.Until(end) + p.options.KeepLinks
	// Not at every look: an hour makes no difference.
	if len(got.Val()) == 0 || left.Val() >= ttl-time.Hour {
		return nil
	}
	links, err := p.openLinks(key, got.Val())
	if err != nil {
		return p.store.fault(err)
	}
	return p.prolong(ctx, key, got.Val(), links, ttl+time.Hour)
}

func (p *Patients) openLink(sealed, key, source string) (scheduling.PatientLink, error) {
	var l scheduling.PatientLink
	data, err := p.vault.Unseal(sealLink, sealed, key, source)
	if err != nil {
		return l, fmt.Errorf("link: %w", err)
	}
	if json.Unmarshal(data, &l) != nil {
		return l, errDamaged
	}
	return l, nil
}

// prolong has all live so long, sealed anew: the key of the vault must live as
// long as they do.
func (p *Patients) prolong(ctx context.Context, key string, before map[string]string, links map[scheduling.SourceID]scheduling.PatientLink, ttl time.Duration) error {
	args := []any{ttl.Milliseconds(), "0"}
	for source, l := range links {
		sealed, err := p.sealLink(ctx, l, key, source, ttl)
		if err != nil {
			return p.store.fault(err)
		}
		args = append(args, string(source), before[string(source)], sealed)
	}
	return p.store.fault(p.store.run(ctx, p.scripts.link, []string{key}, args...).Err())
}

func (p *Patients) sealLink(ctx context.Context, l scheduling.PatientLink, key string, source scheduling.SourceID, ttl time.Duration) (string, error) {
	if err := p.sealing.keep(ctx, time.Now().Add(ttl)); err != nil {
		return "", err
	}
	data, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	return p.vault.Seal(sealLink, data, key, string(source))
}

// SaveLink keeps which Patient of a source the person is, or that the source was
// asked to make one: such an intent is waited for as redis.wait_replicas says. A
// link of no state is dropped.
//
// Errors: shedding.
func (p *Patients) SaveLink(ctx context.Context, principal string, source scheduling.SourceID, id string, l scheduling.PatientLink) error {
	key := p.store.keys.principal(principal).links(id)
	sealed, replicas := "", 0
	left, err := p.store.client.PTTL(ctx, key).Result()
	if err != nil {
		return p.store.fault(err)
	}
	if l.State != scheduling.LinkNone {
		if sealed, err = p.sealLink(ctx, l, key, source, max(left, p.options.KeepLinks)); err != nil {
			return p.store.fault(err)
		}
	}
	if l.State == scheduling.LinkSending {
		replicas = p.store.options.WaitReplicas
	}
	cmd, err := p.store.runOn(ctx, p.scripts.link, replicas, []string{key}, p.options.KeepLinks.Milliseconds(), "1", string(source), "", sealed)
	if err == nil {
		err = cmd.Err()
	}
	return p.store.fault(fewReplicas(err))
}

// fewReplicas is told as a store that is away: nothing may be sent.
func fewReplicas(err error) error {
	if errors.Is(err, errFewReplicas) {
		e := scheduling.Fault(scheduling.Shedding, err, "the gateway's store is not safe enough at the moment")
		e.RetryAfter = away
		return e
	}
	return err
}

// personLock keeps others from registering a person at a source.
type personLock struct {
	patients *Patients
	keys     []string
	token    string
	ttl      time.Duration
}

// Lock keeps everybody else from registering at the source, for ttl, whoever
// shares an identifier with the person, or a name and the birth date. ok is
// false, without an error, when another has one of them.
func (p *Patients) Lock(ctx context.Context, source scheduling.SourceID, r scheduling.Registration, ttl time.Duration) (scheduling.Lease, bool, error) {
	k := p.store.keys.source(source)
	l := &personLock{patients: p, token: nonce(), ttl: ttl}
	for _, text := range locksOf(r) {
		// By every key: a gateway that was not restarted yet has another newest.
		for _, d := range p.vault.Digests(digestRegister, strings.TrimSpace(text)) {
			l.keys = append(l.keys, k.register(d))
		}
	}
	if len(l.keys) == 0 {
		return nil, false, p.store.fault(errDamaged)
	}
	switch err := l.Renew(ctx); {
	case errors.Is(err, ErrLeaseLost):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return l, true, nil
}

// Renew prolongs the lock. Errors: ErrLeaseLost.
func (l *personLock) Renew(ctx context.Context) error {
	n, err := l.patients.store.run(ctx, l.patients.scripts.lock, l.keys, l.token, max(l.ttl, time.Millisecond).Milliseconds()).Int()
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return l.patients.store.fault(err)
}

// Linger keeps the lock for ttl from now, and then lets it go by itself.
//
// Errors: ErrLeaseLost.
func (l *personLock) Linger(ctx context.Context, ttl time.Duration) error {
	l.ttl = ttl
	return l.Renew(ctx)
}

// Release gives the lock back.
func (l *personLock) Release(ctx context.Context) error {
	return l.patients.store.fault(l.patients.store.run(ctx, l.patients.scripts.unlock, l.keys, l.token).Err())
}
