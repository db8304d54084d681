package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// SearchPatients finds persons among the principal's own, the earliest first.
//
// Errors: not-acceptable for a search for nothing, or one that too many persons
// would have to be looked at for; shedding.
func (p *Patients) SearchPatients(ctx context.Context, principal string, s scheduling.PatientSearch) ([]scheduling.Registration, error) {
	terms := bestTerms(s)
	if len(terms) == 0 {
		return nil, scheduling.Refuse(scheduling.NotAcceptable, "", "name at least one of identifier, family, given, gender, birthdate")
	}
	ids, err := p.listed(ctx, principal, terms)
	if err != nil {
		return nil, err
	}
	if len(ids) > p.options.MaxFound {
		return nil, scheduling.Refuse(scheduling.NotAcceptable, "", "more than %d patients would have to be looked at; ask more exactly", p.options.MaxFound)
	}
	all, err := p.persons(ctx, principal, ids)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r scheduling.Registration) bool { return !s.Matches(r) })
	slices.SortFunc(all, func(a, b scheduling.Registration) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// listed are the ids that one of the terms leads to, each once.
func (p *Patients) listed(ctx context.Context, principal string, terms []term) ([]string, error) {
	k := p.store.keys.principal(principal)
	pipe := p.store.client.Pipeline()
	var got []*redis.StringSliceCmd
	for _, t := range terms {
		for _, d := range p.vault.Digests(digestTerm, t.kind, t.value) {
			got = append(got, pipe.ZRangeArgs(ctx, redis.ZRangeArgs{
				Key: k.term(d), ByScore: true, Start: "-inf", Stop: "+inf",
				Count: int64(p.options.MaxFound) + 1,
			}))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, p.store.fault(err)
	}
	var ids []string
	for _, one := range got {
		ids = append(ids, one.Val()...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// persons reads those who are still there. A record that is damaged is left out,
// and counted: it must not hide the others.
func (p *Patients) persons(ctx context.Context, principal string, ids []string) ([]scheduling.Registration, error) {
	k := p.store.keys.principal(principal)
	pipe := p.store.client.Pipeline()
	got := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		got[i] = pipe.Get(ctx, k.person(id))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, p.store.fault(err)
	}
	var all []scheduling.Registration
	for i, one := range got {
		if errors.Is(one.Err(), redis.Nil) {
			continue
		}
		r, err := p.unseal(one.Val(), k.person(ids[i]))
		if err != nil {
			p.store.metrics.damaged.WithLabelValues("", "person").Inc()
			p.store.log.ErrorContext(ctx, "the record of a person cannot be read; it is left out of a search")
			continue
		}
		all = append(all, r)
	}
	return all, nil
}
