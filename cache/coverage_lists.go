package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// CoveragesOf gives those of a patient of ours, the earliest first.
//
// Errors: shedding; internal for a record that cannot be unsealed.
func (p *Patients) CoveragesOf(ctx context.Context, principal, patient string) ([]scheduling.Coverage, error) {
	ids, err := p.coverIDs(ctx, principal, patient)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	k := p.store.keys.principal(principal)
	pipe := p.store.client.Pipeline()
	got := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		got[i] = pipe.Get(ctx, k.coverage(id))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, p.store.fault(err)
	}
	var all []scheduling.Coverage
	var gone []any
	for i, one := range got {
		if errors.Is(one.Err(), redis.Nil) {
			gone = append(gone, ids[i])
			continue
		}
		c, err := p.openCoverage(one.Val(), k.coverage(ids[i]))
		if err != nil {
			return nil, p.store.fault(err)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b scheduling.Coverage) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	if len(gone) > 0 {
		// An id is never given twice: who is gone stays gone.
		err = p.store.client.ZRem(ctx, k.coverages(patient), gone...).Err()
	}
	return all, p.store.fault(err)
}

// ForgetCoverages forgets those of a patient at once, and their links.
//
// Errors: shedding.
func (p *Patients) ForgetCoverages(ctx context.Context, principal, patient string) error {
	ids, err := p.coverIDs(ctx, principal, patient)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := p.ForgetCoverage(ctx, principal, patient, id); err != nil {
			return err
		}
	}
	return nil
}

// ForgetCoverage forgets one of a patient at once, and its links; there may be
// none.
//
// Errors: shedding.
func (p *Patients) ForgetCoverage(ctx context.Context, principal, patient, id string) error {
	k := p.store.keys.principal(principal)
	keys := []string{k.coverage(id), k.coverages(patient), k.coverLinks(id)}
	c, _, _, err := p.readCoverage(ctx, principal, id)
	if scheduling.CodeOf(err) == scheduling.Shedding {
		return err
	}
	// One that cannot be unsealed goes all the same; what leads to it ends by
	// itself, and tells nothing.
	if err == nil {
		at, err := p.coverPlace(principal, c)
		if err != nil {
			return p.store.fault(err)
		}
		keys = append(keys, at.sames...)
	}
	return p.store.fault(p.store.run(ctx, p.covers.forget, keys, id).Err())
}

// CoverageLinks gives what sources have of a Coverage; none is no error.
//
// Errors: shedding; internal for a link that cannot be unsealed.
func (p *Patients) CoverageLinks(ctx context.Context, principal, id string) (map[scheduling.SourceID]scheduling.CoverageLink, error) {
	key := p.store.keys.principal(principal).coverLinks(id)
	pipe := p.store.client.Pipeline()
	got, left := pipe.HGetAll(ctx, key), pipe.PTTL(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, p.store.fault(err)
	}
	links := map[scheduling.SourceID]scheduling.CoverageLink{}
	args := []any{p.options.KeepLinks.Milliseconds(), "0"}
	long := left.Val() >= p.options.KeepLinks-p.options.KeepLinks/24
	for source, sealed := range got.Val() {
		l, err := p.openCoverLink(sealed, key, source)
		if err != nil {
			return nil, p.store.fault(err)
		}
		links[scheduling.SourceID(source)] = l
		if long {
			continue
		}
		anew, err := p.sealCoverLink(ctx, l, key, source)
		if err != nil {
			return nil, p.store.fault(err)
		}
		args = append(args, source, sealed, anew)
	}
	if len(links) == 0 || long {
		return links, nil
	}
	return links, p.store.fault(p.store.run(ctx, p.scripts.link, []string{key}, args...).Err())
}

func (p *Patients) openCoverLink(sealed, key, source string) (scheduling.CoverageLink, error) {
	var l scheduling.CoverageLink
	data, err := p.vault.Unseal(sealCoverLink, sealed, key, source)
	if err != nil {
		return l, fmt.Errorf("coverage link: %w", err)
	}
	if json.Unmarshal(data, &l) != nil {
		return l, errDamaged
	}
	return l, nil
}

func (p *Patients) sealCoverLink(ctx context.Context, l scheduling.CoverageLink, key, source string) (string, error) {
	if err := p.sealing.keep(ctx, time.Now().Add(p.options.KeepLinks)); err != nil {
		return "", err
	}
	data, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	return p.vault.Seal(sealCoverLink, data, key, source)
}

// SaveCoverageLink keeps what a source has of a Coverage, or that it was asked
// to take it: such an intent is waited for as redis.wait_replicas says. A link of
// no state is dropped.
//
// Errors: shedding.
func (p *Patients) SaveCoverageLink(ctx context.Context, principal string, source scheduling.SourceID, id string, l scheduling.CoverageLink) error {
	key := p.store.keys.principal(principal).coverLinks(id)
	sealed, replicas := "", 0
	if l.State != scheduling.LinkNone || l.Refused > 0 || l.Identifier != "" {
		var err error
		if sealed, err = p.sealCoverLink(ctx, l, key, string(source)); err != nil {
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
