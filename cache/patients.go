package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/scheduling"
)

// PatientOptions are how long people are remembered.
type PatientOptions struct {
	// Keep is how long a person is kept after they were last used. Default 24h.
	Keep time.Duration `yaml:"keep"`
	// KeepLinks is how long it is kept which Patient of a source a person is,
	// after the end of the last appointment that names them, or after they were
	// last held or booked for. Default 720h.
	KeepLinks time.Duration `yaml:"keep_links"`
	// MaxFound is the most persons that a search looks at. Default 1000.
	MaxFound int `yaml:"max_found"`
}

// SetDefaults fills what is not set.
func (o *PatientOptions) SetDefaults() {
	fill(&o.Keep, 24*time.Hour)
	fill(&o.KeepLinks, 30*24*time.Hour)
	fill(&o.MaxFound, 1000)
}

// Validate tells everything that is wrong.
func (o *PatientOptions) Validate() error {
	var errs []error
	if o.Keep < time.Minute || o.Keep > 365*24*time.Hour {
		errs = append(errs, config.At("keep", "must be from 1m to 8760h"))
	}
	if o.KeepLinks < o.Keep || o.KeepLinks > 20*365*24*time.Hour {
		errs = append(errs, config.At("keep_links", "must be from keep to 175200h"))
	}
	if o.MaxFound < 1 || o.MaxFound > 100_000 {
		errs = append(errs, config.At("max_found", "must be from 1 to 100000"))
	}
	return errors.Join(errs...)
}

// Purposes of the vault.
const (
	sealPerson = "person"
	sealLink   = "patient link"
)

// maxStale bounds how often a person is added again because one who was taken
// for the same turned out to be gone.
const maxStale = 5

// Patients are the people whom principals registered, each principal's own, and
// their coverage. It is safe for concurrent use; its errors are
// *scheduling.Error.
type Patients struct {
	store   *Store
	vault   *vault.Vault
	options PatientOptions
	sealing *promises
	scripts patientScripts
	covers  coverScripts
}

// Patients makes the memory of people, sealed by the vault.
func (s *Store) Patients(v *vault.Vault, o PatientOptions) (*Patients, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cache: patients: %w", err)
	}
	return &Patients{store: s, vault: v, options: o, sealing: &promises{store: s, vault: v}, scripts: newPatientScripts(), covers: newCoverScripts()}, nil
}

// index is where a person is found: first by the newest key of the vault.
type index struct {
	keys   []string // person, same..., terms...
	sames  int
	newest int // of the sames
}

func (p *Patients) index(principal string, r scheduling.Registration) (index, error) {
	k := p.store.keys.principal(principal)
	sames, err := samesOf(r)
	if err != nil {
		return index{}, err
	}
	at := index{keys: []string{k.person(r.ID)}, newest: len(sames)}
	var older []string
	for _, same := range sames {
		digests := p.vault.Digests(digestSame, same)
		at.keys = append(at.keys, k.same(digests[0]))
		for _, d := range digests[1:] {
			older = append(older, k.same(d))
		}
	}
	at.keys = append(at.keys, older...)
	at.sames = len(at.keys) - 1
	for _, t := range termsOf(r) {
		at.keys = append(at.keys, k.term(p.vault.Digest(digestTerm, t.kind, t.value)))
	}
	return at, nil
}

// safely runs a script whose answer is a promise: what the caller is told is
// there must be so after a failover, too. It is waited for as
// redis.wait_replicas says.
func (p *Patients) safely(ctx context.Context, sc script, keys []string, args ...any) *redis.Cmd {
	cmd, err := p.store.runOn(ctx, sc, p.store.options.WaitReplicas, keys, args...)
	if err != nil {
		cmd = redis.NewCmd(ctx)
		cmd.SetErr(err)
	}
	return cmd
}

func (p *Patients) seal(ctx context.Context, r scheduling.Registration, key string) (string, error) {
	if err := p.sealing.keep(ctx, time.Now().Add(2*p.options.Keep)); err != nil {
		return "", err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return p.vault.Seal(sealPerson, data, key)
}

func (p *Patients) unseal(envelope, key string) (scheduling.Registration, error) {
	var r scheduling.Registration
	data, err := p.vault.Unseal(sealPerson, envelope, key)
	if err != nil {
		return r, fmt.Errorf("person: %w", err)
	}
	if json.Unmarshal(data, &r) != nil {
		return scheduling.Registration{}, errDamaged
	}
	return r, nil
}

func unknownPatient() error {
	return scheduling.Refuse(scheduling.UnknownID, "id", "no patient of yours has this id")
}

// Person gives one person of the principal, and keeps them for longer.
//
// Errors: unknown-id; shedding; internal for a record that cannot be unsealed.
func (p *Patients) Person(ctx context.Context, principal, id string) (scheduling.Registration, error) {
	return p.Keep(ctx, principal, id, p.options.Keep)
}

// Keep is Person, and keeps them at least so long from now: as long as
// something names them.
func (p *Patients) Keep(ctx context.Context, principal, id string, ttl time.Duration) (scheduling.Registration, error) {
	for range maxStale {
		at, err := p.read(ctx, principal, id)
		// Not at every look: an hour of a day makes no difference.
		if err != nil || at.left >= ttl-ttl/24 {
			return at.Registration, err
		}
		done, err := p.touch(ctx, principal, at, ttl)
		if err != nil || done {
			return at.Registration, err
		}
	}
	return scheduling.Registration{}, p.store.fault(ErrBusy)
}

// keptPerson is a person as they were read.
type keptPerson struct {
	scheduling.Registration
	sealed string
	left   time.Duration
}

// read gives one person of the principal with their envelope.
func (p *Patients) read(ctx context.Context, principal, id string) (keptPerson, error) {
	key := p.store.keys.principal(principal).person(id)
	pipe := p.store.client.Pipeline()
	got, left := pipe.Get(ctx, key), pipe.PTTL(ctx, key)
	switch _, err := pipe.Exec(ctx); {
	case errors.Is(err, redis.Nil):
		return keptPerson{}, unknownPatient()
	case err != nil:
		return keptPerson{}, p.store.fault(err)
	}
	r, err := p.unseal(got.Val(), key)
	return keptPerson{r, got.Val(), left.Val()}, p.store.fault(err)
}

// touch keeps a person for longer; done is false where the record is another one
// by now.
func (p *Patients) touch(ctx context.Context, principal string, was keptPerson, ttl time.Duration) (done bool, err error) {
	at, err := p.index(principal, was.Registration)
	if err != nil {
		return false, p.store.fault(err)
	}
	anew, err := p.seal(ctx, was.Registration, at.keys[0])
	if err != nil {
		return false, p.store.fault(err)
	}
	if err = p.sealing.keep(ctx, time.Now().Add(ttl)); err != nil {
		return false, p.store.fault(err)
	}
	n, err := p.store.run(ctx, p.scripts.touch, at.keys, was.ID, was.sealed, anew, ttl.Milliseconds(), at.sames).Int()
	switch {
	case err != nil:
		return false, p.store.fault(err)
	case n == 0:
		return false, unknownPatient()
	case n == 2:
		return false, nil
	}
	return true, p.keepCoverages(ctx, principal, was.ID, ttl)
}

// Forget forgets a person at once. What is known of them at sources stays: see
// Links.
//
// Errors: unknown-id; shedding.
func (p *Patients) Forget(ctx context.Context, principal, id string) error {
	for range maxStale {
		n, err := p.forget(ctx, principal, id)
		switch {
		case err != nil:
			return err
		case n == 0:
			return unknownPatient()
		case n == 1:
			return nil
		}
	}
	return p.store.fault(ErrBusy)
}

// forget does what the script tells.
func (p *Patients) forget(ctx context.Context, principal, id string) (int, error) {
	key := p.store.keys.principal(principal).person(id)
	sealed, err := p.store.client.Get(ctx, key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return 0, nil
	case err != nil:
		return 0, p.store.fault(err)
	}
	at := index{keys: []string{key}}
	// One that cannot be unsealed goes all the same; what leads to it ends by
	// itself, and names nobody.
	if r, err := p.unseal(sealed, key); err == nil {
		if at, err = p.everywhere(principal, r); err != nil {
			return 0, p.store.fault(err)
		}
	}
	n, err := p.store.run(ctx, p.scripts.forget, at.keys, id, at.sames, sealed).Int()
	return n, p.store.fault(err)
}

// everywhere is the index with the terms by every key of the vault.
func (p *Patients) everywhere(principal string, r scheduling.Registration) (index, error) {
	at, err := p.index(principal, r)
	if err != nil {
		return at, err
	}
	k := p.store.keys.principal(principal)
	at.keys = at.keys[:at.sames+1]
	for _, t := range termsOf(r) {
		for _, d := range p.vault.Digests(digestTerm, t.kind, t.value) {
			at.keys = append(at.keys, k.term(d))
		}
	}
	return at, nil
}
