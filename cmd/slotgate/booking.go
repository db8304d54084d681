package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"slotgate/cache"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// bookingOptions are the section `booking:` of the configuration.
type bookingOptions struct {
	booking.Options `yaml:",inline"`
	// Secret keys our identifiers at the EHRs and the names by which callers
	// own what they booked: 16 characters or more, the same in every gateway,
	// and never changed.
	Secret config.Secret `yaml:"secret"`
}

// patientOptions are the section `patients:` of the configuration.
type patientOptions struct {
	cache.PatientOptions `yaml:",inline"`
	Register             booking.RegisterOptions `yaml:"register"`
}

// minBookingSecret is the least length of booking.secret.
const minBookingSecret = 16

// Validate checks the secret; the rest checks itself.
func (o *bookingOptions) Validate() error {
	if n := len(o.Secret.Reveal()); n > 0 && n < minBookingSecret {
		return config.At("secret", "is shorter than %d characters; make one by: openssl rand -base64 32", minBookingSecret)
	}
	return o.Options.Validate()
}

// keeper is what a node has to keep bookings: it outlives a reading of the
// configuration, since what is unsettled is remembered in it.
type keeper struct {
	books  *cache.Books
	holds  *cache.Holds
	keys   *cache.Keys
	clock  *cache.Clock
	vault  *vault.Vault
	secret []byte
}

// Why a node takes no bookings.
var (
	errNoDir    = errors.New("redis.embedded keeps nothing without redis.dir: holds and bookings are not served")
	errNoVault  = errors.New("vault.keys is missing: holds and bookings are not served")
	errNoSecret = errors.New("booking.secret is missing: holds and bookings are not served")
)

// openKeeper makes what bookings need. Its error says why there can be none: a
// warning, except for a vault that lacks a key in use.
func (n *node) openKeeper(ctx context.Context, f *file) (*keeper, error) {
	var sealed *vault.Vault
	secret := []byte(f.Booking.Secret.Reveal())
	switch {
	case f.trial:
		// Nothing outlives the process, neither what is sealed nor its key.
		sealed, secret = vault.Ephemeral(), make([]byte, 32)
		_, _ = rand.Read(secret)
	case f.Redis.Embedded && f.Redis.Dir == "":
		return nil, errNoDir
	case !f.Vault.Configured():
		return nil, errNoVault
	case len(secret) == 0:
		return nil, errNoSecret
	default:
		var err error
		if sealed, err = vault.Open(f.Vault); err != nil {
			return nil, err
		}
	}
	if err := n.store.CheckVault(ctx, sealed); errors.Is(err, cache.ErrVaultKey) {
		return nil, &wrongConfig{fmt.Errorf("vault.keys: %w", err)}
	} else if err != nil {
		n.log.Warn("the keys of the vault could not be checked: Redis is away", "error", err)
	}
	k := &keeper{
		books: n.store.Books(sealed, f.ids()), holds: n.store.Holds(), keys: n.store.Keys(sealed),
		clock: n.store.Clock(), vault: sealed, secret: secret,
	}
	if f.trial && f.Redis.Embedded {
		return k, k.begin(ctx, f.ids())
	}
	return k, nil
}

// begin opens the books of a Redis that is as new as this process: nothing can
// have been lost.
func (k *keeper) begin(ctx context.Context, sources []scheduling.SourceID) error {
	for _, id := range sources {
		if err := k.books.Open(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// run keeps clock and memory going until ctx ends.
func (k *keeper) run(ctx context.Context, n *node) {
	n.running.Go(func() { _ = k.clock.Run(ctx) })
	n.running.Go(func() { _ = k.books.Run(ctx) })
}

// makeDesk joins the desk of one shift, and before it who registers people.
func (s *shift) makeDesk() error {
	n, k := s.node, s.node.keeper
	if k == nil {
		return nil
	}
	k.books.SetSources(s.file.ids())
	people, err := n.store.Patients(k.vault, s.file.Patients.PatientOptions)
	if err != nil {
		return err
	}
	s.people, err = booking.NewRegistrar(booking.RegistrarDeps{
		People: people, At: ehrs{s.registry}.registry, Named: k.books, Books: k.books, Holds: k.holds, Keys: k.keys, Clock: k.clock,
		Coverages: people, Insurers: ehrs{s.registry}.insurer,
		OrphanStore: n.store.Orphans(k.vault), Sources: ehrs{s.registry}.Sources,
		Log: n.log, Metrics: s.metrics, Secret: k.secret, Checkpoint: s.file.Booking.Checkpoint,
	}, s.file.Patients.Register)
	if err != nil {
		return err
	}
	var live booking.Live
	if s.live != nil { // a typed nil would be asked
		live = s.live
	}
	s.booking, err = booking.New(booking.Deps{
		Offers: n.replica, Live: live, Books: k.books, Holds: k.holds, Keys: k.keys, Patients: s.people, Insurance: s.people, Keeping: s.people,
		EHRs: ehrs{s.registry}, Refetch: refetch{s}, Learned: n.chances, Leases: k.books, Clock: k.clock,
		Elsewhere: n.store.Elsewhere(k.vault),
		Log:       n.log, Metrics: s.metrics, Secret: k.secret,
	}, s.file.Booking.Options)
	return err
}

// writes says whether holds and bookings would be taken, at one source at least:
// Redis is there, and what it may have lost was put back.
func (s *shift) writes(ctx context.Context) error {
	if s.booking == nil {
		return unserved(s.node.noKeeper)
	}
	if err := s.node.store.Ping(ctx); err != nil {
		return err
	}
	refused := error(nil)
	for _, id := range s.file.ids() {
		ready, err := s.node.keeper.books.Ready(ctx, id)
		if err != nil {
			return err
		}
		if ready {
			return nil
		}
		refused = scheduling.Fault(scheduling.SourceDown, nil, "what is held and booked is being put together again after a loss of Redis")
	}
	return refused
}

// unserved tells those who ask whether this node writes why it does not, as far
// as that is in our own words: what a key or a Redis says is for the log.
func unserved(why error) error {
	for _, known := range []error{errNoDir, errNoVault, errNoSecret} {
		if errors.Is(why, known) {
			return scheduling.Fault(scheduling.Shedding, nil, known.Error())
		}
	}
	return scheduling.Fault(scheduling.Shedding, nil, "holds and bookings are not served")
}

// ehrs are the clients as the desk sees them.
type ehrs struct{ clients *upstream.Registry }

func (e ehrs) EHR(source scheduling.SourceID) (booking.EHR, bool) {
	client, ok := e.clients.Get(source)
	if !ok {
		return nil, false // a typed nil would be an EHR
	}
	return client, true
}

// registry is a source as people are registered there.
func (e ehrs) registry(source scheduling.SourceID) (booking.Registry, bool) {
	client, ok := e.clients.Get(source)
	if !ok {
		return nil, false
	}
	return client, true
}

// insurer is a source as it takes coverage.
func (e ehrs) insurer(source scheduling.SourceID) (booking.Insurer, bool) {
	client, ok := e.clients.Get(source)
	if !ok {
		return nil, false
	}
	return client, true
}

func (e ehrs) Sources() []scheduling.SourceID {
	var ids []scheduling.SourceID
	for _, source := range e.clients.Sources() {
		ids = append(ids, source.ID)
	}
	return ids
}

// refetch asks the worker of a source: the one in this process if it has the
// source, else by Redis.
type refetch struct{ shift *shift }

// askTimeout bounds an ask; one that is lost costs a delay.
const askTimeout = 2 * time.Second

func (r refetch) Refetch(source scheduling.SourceID, scope scheduling.Scope) {
	if r.shift.live != nil && r.shift.live.Live(source) {
		return // nothing is kept of it
	}
	if m := r.shift.node.manager; m != nil && m.Trigger(source, scope) {
		return
	}
	n := r.shift.node
	n.running.Go(func() {
		ctx, cancel := context.WithTimeout(n.life, askTimeout)
		defer cancel()
		if err := n.store.AskRefetch(ctx, source, scope); err != nil {
			n.log.Warn("nobody could be asked to read a scope again", "source", source, "error", err)
		}
	})
}
