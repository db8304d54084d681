package cache

import (
	"context"
	"slices"

	"slotgate/scheduling"
)

// Add keeps a person, under the id given, unless the principal has registered
// the same one before: a shared identifier, or the same resource. added is false
// then. A newer resource of one who is known takes the place of the older one,
// under the id that is known; it has to be: what was missing must be supplied
// somehow, and what was wrong be put right.
//
// An identifier alone makes no two people one: where the resource contradicts
// who is known by it, nothing is changed.
//
// Errors: not-acceptable where the identifiers belong to two persons, or to one
// whom the resource contradicts; shedding.
func (p *Patients) Add(ctx context.Context, principal string, r scheduling.Registration) (known scheduling.Registration, added bool, err error) {
	at, err := p.index(principal, r)
	if err != nil {
		return known, false, p.store.fault(err)
	}
	sealed, err := p.seal(ctx, r, at.keys[0])
	if err != nil {
		return known, false, p.store.fault(err)
	}
	stale := ""
	for range maxStale {
		ids, err := p.safely(ctx, p.scripts.add, at.keys, r.ID, sealed, p.options.Keep.Milliseconds(), at.sames, at.newest, stale).StringSlice()
		if err != nil {
			return known, false, p.store.fault(fewReplicas(err))
		}
		slices.Sort(ids)
		switch ids = slices.Compact(ids); len(ids) {
		case 0:
			return r, true, nil
		case 1:
		default:
			return known, false, refuseTwo("the identifiers belong to two patients")
		}
		known, done, err := p.renew(ctx, principal, ids[0], r, stale)
		switch {
		case scheduling.CodeOf(err) == scheduling.UnknownID:
			stale = ids[0]
		case err != nil || done:
			return known, false, err
		}
	}
	return scheduling.Registration{}, false, p.store.fault(ErrBusy)
}

// Judge fails as Add would, and changes nothing.
func (p *Patients) Judge(ctx context.Context, principal string, r scheduling.Registration) error {
	at, err := p.index(principal, r)
	if err != nil {
		return p.store.fault(err)
	}
	got, err := p.store.client.MGet(ctx, at.keys[1:at.sames+1]...).Result()
	if err != nil {
		return p.store.fault(err)
	}
	known := map[string]bool{}
	for _, one := range got {
		if id, ok := one.(string); ok {
			known[id] = true
		}
	}
	others := 0
	for id := range known {
		was, err := p.read(ctx, principal, id)
		switch {
		case scheduling.CodeOf(err) == scheduling.UnknownID:
			continue
		case err != nil:
			return err
		case was.ContradictsPerson(r):
			return refuseOther()
		}
		others++
	}
	if others > 1 {
		return refuseTwo("the identifiers belong to two patients")
	}
	return nil
}

func refuseOther() *scheduling.Error {
	return refuseTwo("an identifier of this patient is one of another patient, who is registered here; " +
		"if both are one, delete that one and register again")
}

func refuseTwo(message string) *scheduling.Error {
	return scheduling.Refuse(scheduling.NotAcceptable, "Patient.identifier", "%s", message)
}

// renew has the newer record of a person who is known take the place of the
// older one. done is false where another came first.
//
// Errors: unknown-id; not-acceptable where they contradict each other; shedding.
func (p *Patients) renew(ctx context.Context, principal, id string, r scheduling.Registration, stale string) (scheduling.Registration, bool, error) {
	none := scheduling.Registration{}
	was, err := p.read(ctx, principal, id)
	if err != nil {
		return none, false, err
	}
	same, err := oneResource(was.Registration, r)
	switch {
	case err != nil:
		return none, false, p.store.fault(err)
	case same:
		known, err := p.Person(ctx, principal, id)
		return known, err == nil, err
	case was.ContradictsPerson(r):
		return none, false, refuseOther()
	}
	r.ID, r.Created = was.ID, was.Created
	done, err := p.replace(ctx, principal, was, r, stale)
	if err != nil {
		return none, false, p.store.fault(fewReplicas(err))
	}
	if !done {
		return none, false, nil
	}
	return r, true, p.keepCoverages(ctx, principal, id, p.options.Keep)
}

// oneResource tells whether both came as the same resource.
func oneResource(a, b scheduling.Registration) (bool, error) {
	if a.Release != b.Release {
		return false, nil
	}
	mine, err := samesOf(a)
	if err != nil {
		return false, err
	}
	theirs, err := samesOf(b)
	if err != nil {
		return false, err
	}
	return mine[len(mine)-1] == theirs[len(theirs)-1], nil
}

// replace tells whether r stands in the place of the record that was read.
func (p *Patients) replace(ctx context.Context, principal string, was keptPerson, r scheduling.Registration, stale string) (bool, error) {
	at, err := p.index(principal, r)
	if err != nil {
		return false, err
	}
	old, err := p.everywhere(principal, was.Registration)
	if err != nil {
		return false, err
	}
	sealed, err := p.seal(ctx, r, at.keys[0])
	if err != nil {
		return false, err
	}
	keys := append(slices.Clip(at.keys), old.keys[1:]...)
	terms := len(at.keys) - 1 - at.sames
	n, err := p.safely(ctx, p.scripts.replace, keys, was.ID, was.sealed, sealed, p.options.Keep.Milliseconds(),
		at.sames, at.newest, terms, old.sames, stale).Int()
	return n == 1, err
}
