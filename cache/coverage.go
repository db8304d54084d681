package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// Purposes of the vault.
const (
	sealCoverage  = "coverage"
	sealCoverLink = "coverage link"
	digestCover   = "coverage same"
)

// maxCoverages is how many a patient may have: nobody has so many insurances.
const maxCoverages = 50

// coverPlace is where one Coverage stands.
type coverPlace struct {
	keys  []string // coverage, coverages, person
	sames []string // by each key of the vault, the newest first
}

func (p *Patients) coverPlace(principal string, c scheduling.Coverage) (coverPlace, error) {
	k := p.store.keys.principal(principal)
	at := coverPlace{keys: []string{k.coverage(c.ID), k.coverages(c.Patient), k.person(c.Patient)}}
	text, err := coverText(c)
	if err != nil {
		return at, err
	}
	for _, d := range p.vault.Digests(digestCover, c.Patient, text) {
		at.sames = append(at.sames, k.sameCover(d))
	}
	return at, nil
}

func (at coverPlace) all() []string { return append(at.keys[:3:3], at.sames...) }

// coverText is the resource but for what does not tell of the insurance: by it
// two are the same.
func coverText(c scheduling.Coverage) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(c.Resource))
	dec.UseNumber()
	var all map[string]any
	if err := dec.Decode(&all); err != nil {
		return "", errDamaged
	}
	delete(all, "text")
	delete(all, "meta")
	text, err := json.Marshal(all) // sorted
	if err != nil {
		return "", errDamaged
	}
	return string(c.Release) + " " + string(text), nil
}

func unknownCoverage() error {
	return scheduling.Refuse(scheduling.UnknownID, "id", "no coverage of yours has this id")
}

func (p *Patients) sealCoverage(ctx context.Context, c scheduling.Coverage, key string, ttl time.Duration) (string, error) {
	if err := p.sealing.keep(ctx, time.Now().Add(max(ttl, 2*p.options.Keep))); err != nil {
		return "", err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return p.vault.Seal(sealCoverage, data, key)
}

func (p *Patients) openCoverage(sealed, key string) (scheduling.Coverage, error) {
	var c scheduling.Coverage
	data, err := p.vault.Unseal(sealCoverage, sealed, key)
	if err != nil {
		return c, fmt.Errorf("coverage: %w", err)
	}
	if json.Unmarshal(data, &c) != nil {
		return scheduling.Coverage{}, errDamaged
	}
	return c, nil
}

// AddCoverage keeps a Coverage, under the id given, for as long as its patient,
// unless the principal has given the same resource for the same patient before:
// that one is given then, and added is false.
//
// Errors: unknown-id where there is no such patient; not-acceptable where the
// patient has too many; shedding.
func (p *Patients) AddCoverage(ctx context.Context, principal string, c scheduling.Coverage) (known scheduling.Coverage, added bool, err error) {
	at, err := p.coverPlace(principal, c)
	if err != nil {
		return known, false, p.store.fault(err)
	}
	sealed, err := p.sealCoverage(ctx, c, at.keys[0], p.options.Keep)
	if err != nil {
		return known, false, p.store.fault(err)
	}
	stale, counted := "", false
	for range maxStale {
		said, err := p.safely(ctx, p.covers.add, at.all(), c.ID, sealed, p.options.Keep.Milliseconds(), c.Created.UnixMilli(), maxCoverages, stale).Text()
		switch {
		case err != nil:
			return known, false, p.store.fault(fewReplicas(err))
		case said == "":
			return c, true, nil
		case said == "nobody":
			return known, false, unknownPatient()
		case said == "many" && counted:
			return known, false, scheduling.Refuse(scheduling.NotAcceptable, "Coverage", "the patient has %d coverages already", maxCoverages)
		case said == "many": // some of those counted may be gone
			if _, err := p.CoveragesOf(ctx, principal, c.Patient); err != nil {
				return known, false, err
			}
			counted = true
			continue
		}
		known, err = p.Coverage(ctx, principal, said)
		if scheduling.CodeOf(err) != scheduling.UnknownID {
			return known, false, err
		}
		stale = said
	}
	return known, false, p.store.fault(ErrBusy)
}

// ReplaceCoverage keeps c in place of the one of its id, with the next version.
// version is the one that the caller saw, 0 for any.
//
// Errors: unknown-id; not-acceptable, around scheduling.ErrStaleEntry where the
// version is another, or for another patient; shedding.
func (p *Patients) ReplaceCoverage(ctx context.Context, principal string, c scheduling.Coverage, version uint64) (scheduling.Coverage, error) {
	for range maxStale {
		before, sealed, _, err := p.readCoverage(ctx, principal, c.ID)
		switch {
		case err != nil:
			return scheduling.Coverage{}, err
		case version != 0 && version != before.Version:
			return scheduling.Coverage{}, &scheduling.Error{
				Code: scheduling.NotAcceptable, Who: scheduling.Client, Param: "If-Match",
				Message: "the coverage has changed since you read it", Err: scheduling.ErrStaleEntry,
			}
		case c.Patient != before.Patient:
			return scheduling.Coverage{}, scheduling.Refuse(scheduling.NotAcceptable, "Coverage.beneficiary", "the coverage is one of another patient")
		}
		c.Version, c.Created = before.Version+1, before.Created
		done, err := p.swapCoverage(ctx, principal, before, sealed, c)
		if err != nil {
			return scheduling.Coverage{}, p.store.fault(fewReplicas(err))
		}
		if done {
			return c, nil
		}
	}
	return scheduling.Coverage{}, p.store.fault(ErrBusy)
}

func (p *Patients) swapCoverage(ctx context.Context, principal string, before scheduling.Coverage, was string, c scheduling.Coverage) (bool, error) {
	old, err := p.coverPlace(principal, before)
	if err != nil {
		return false, err
	}
	at, err := p.coverPlace(principal, c)
	if err != nil {
		return false, err
	}
	sealed, err := p.sealCoverage(ctx, c, at.keys[0], p.options.Keep)
	if err != nil {
		return false, err
	}
	keys := append(append(at.keys, at.sames[0]), old.sames...)
	n, err := p.safely(ctx, p.covers.replace, keys, c.ID, was, sealed, p.options.Keep.Milliseconds()).Int()
	return n == 1, err
}

// readCoverage gives one with its envelope and how long it is kept yet.
func (p *Patients) readCoverage(ctx context.Context, principal, id string) (c scheduling.Coverage, sealed string, left time.Duration, err error) {
	key := p.store.keys.principal(principal).coverage(id)
	pipe := p.store.client.Pipeline()
	got, ttl := pipe.Get(ctx, key), pipe.PTTL(ctx, key)
	switch _, err = pipe.Exec(ctx); {
	case errors.Is(err, redis.Nil):
		return c, "", 0, unknownCoverage()
	case err != nil:
		return c, "", 0, p.store.fault(err)
	}
	if c, err = p.openCoverage(got.Val(), key); err != nil {
		return c, "", 0, p.store.fault(err)
	}
	return c, got.Val(), ttl.Val(), nil
}

// Coverage gives one of the principal, whose time begins anew.
//
// Errors: unknown-id; shedding; internal for a record that cannot be unsealed.
func (p *Patients) Coverage(ctx context.Context, principal, id string) (scheduling.Coverage, error) {
	return p.keepCoverage(ctx, principal, id, p.options.Keep)
}

// keepCoverage keeps one at least so long from now.
func (p *Patients) keepCoverage(ctx context.Context, principal, id string, ttl time.Duration) (scheduling.Coverage, error) {
	c, sealed, left, err := p.readCoverage(ctx, principal, id)
	// Not at every look: an hour of a day makes no difference.
	if err != nil || left >= ttl-ttl/24 {
		return c, err
	}
	at, err := p.coverPlace(principal, c)
	if err != nil {
		return c, p.store.fault(err)
	}
	anew, err := p.sealCoverage(ctx, c, at.keys[0], ttl)
	if err != nil {
		return c, p.store.fault(err)
	}
	n, err := p.store.run(ctx, p.covers.touch, at.all(), id, sealed, anew, ttl.Milliseconds()).Int()
	if err == nil && n == 0 {
		return scheduling.Coverage{}, unknownCoverage()
	}
	return c, p.store.fault(err)
}

// keepCoverages keeps all of a patient as long as the patient.
func (p *Patients) keepCoverages(ctx context.Context, principal, patient string, ttl time.Duration) error {
	ids, err := p.coverIDs(ctx, principal, patient)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := p.keepCoverage(ctx, principal, id, ttl); err != nil && scheduling.CodeOf(err) != scheduling.UnknownID {
			return err
		}
	}
	return nil
}

func (p *Patients) coverIDs(ctx context.Context, principal, patient string) ([]string, error) {
	ids, err := p.store.client.ZRange(ctx, p.store.keys.principal(principal).coverages(patient), 0, -1).Result()
	return ids, p.store.fault(err)
}
