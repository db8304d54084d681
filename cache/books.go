package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// Books keeps the entries: claim and ledger of every offer that was ever held or
// booked, one record each.
//
// An entry, the claims of its slots, its wake and the lists that name it stand
// under one hash tag and are changed by one script, so that they cannot
// disagree. What tells of a person is sealed; patients are looked up by a keyed
// digest. Entries stay for ever, without their patients once Options.KeepPatients
// have passed since the appointment's end.
//
// # Loss of data
//
// The books of a source have a mark in Redis. Where it is absent, they are Lost,
// and until Rebuilt sets it Save refuses all but Restore, ByPatient is refused,
// and so is Read of what is absent: it may be what was lost. Nobody can tell a
// Redis that was emptied from a new one, so a new one is lost too: to rebuild
// it costs one question to an EHR that knows none of ours.
//
// A failover may lose the last second without any sign. So every process
// remembers what it saved a short while ago, and what is not settled however
// long, and Run puts it back where Redis has an older version or none.
type Books struct {
	store   *Store
	vault   *vault.Vault
	scripts bookScripts
	tags    atomic.Pointer[map[string]scheduling.SourceID]
	memory  memory

	sealing *promises

	mu     sync.Mutex
	tidied map[scheduling.SourceID]time.Time // when tidy last ran
}

// Books makes the books of these sources, sealed by the vault.
func (s *Store) Books(v *vault.Vault, sources []scheduling.SourceID) *Books {
	b := &Books{
		store: s, vault: v, scripts: newBookScripts(), tidied: map[scheduling.SourceID]time.Time{},
		memory: memory{kept: map[string]kept{}}, sealing: &promises{store: s, vault: v},
	}
	b.SetSources(sources)
	return b
}

// SetSources tells which sources there are: by their tags, ids are read.
func (b *Books) SetSources(sources []scheduling.SourceID) {
	tags := make(map[string]scheduling.SourceID, len(sources))
	for _, source := range sources {
		tags[scheduling.SourceTag(source)] = source
	}
	b.tags.Store(&tags)
}

// Why a change was not saved.
var (
	errLost      = errors.New("cache: the books of the source are lost and not rebuilt yet")
	errNoSlots   = errors.New("cache: an entry without slots")
	errManySlots = errors.New("cache: an entry of too many slots")
)

// maxSlots is how many slots one entry may have: the script goes over them all.
const maxSlots = 1000

// Read gives the entry of an id; the source follows from the id's tag. While
// the source's books are lost, one that is absent may have been lost as well,
// and nobody can say that it is unknown.
//
// Errors: unknown-id; shedding; internal for one that cannot be unsealed.
func (b *Books) Read(ctx context.Context, id string) (scheduling.Entry, error) {
	tag, _, _ := strings.Cut(id, "-")
	source, ok := (*b.tags.Load())[tag]
	if !ok || !scheduling.ValidID(id) {
		return scheduling.Entry{}, errUnknown()
	}
	k := b.store.keys.source(source)
	key := k.entry(id)
	pipe := b.store.client.TxPipeline() // one moment: no loss or rebuilding comes between
	stored, mark := pipe.HMGet(ctx, key, recordFields()...), pipe.Exists(ctx, k.books())
	if _, err := pipe.Exec(ctx); err != nil {
		return scheduling.Entry{}, b.store.fault(err)
	}
	switch {
	case textAt(stored.Val(), 0) != "":
	case mark.Val() == 0:
		return scheduling.Entry{}, refuseLost(source)
	default:
		return scheduling.Entry{}, errUnknown()
	}
	e, err := b.decode(key, stored.Val())
	if err != nil {
		b.store.metrics.damaged.WithLabelValues(string(source), "entry").Inc()
		return scheduling.Entry{}, b.store.fault(fmt.Errorf("entry %s: %w", id, err))
	}
	return e, nil
}

func errUnknown() error {
	return scheduling.Refuse(scheduling.UnknownID, "id", "no appointment has this id")
}

// Save does one change, all of it or nothing, and gives the entry with its new
// version. See gateway/booking.Books for what it promises.
//
// Errors: ErrStaleEntry, slot-taken, hold-expired, shedding.
func (b *Books) Save(ctx context.Context, change scheduling.EntryChange) (scheduling.Entry, error) {
	e := change.Entry
	read := e.Version
	e.Version++
	rec, err := b.encode(ctx, e)
	if err != nil {
		return scheduling.Entry{}, b.store.fault(err)
	}
	s := save{
		rec: rec, mode: "save", read: read, nonce: nonce(),
		claims: change.Claims, wake: change.Wake, unexpired: change.Unexpired,
	}
	if change.Restore {
		s.mode = "restore"
	}
	if change.Intent {
		s.replicas = b.store.options.WaitReplicas
	}
	if s.claims == "" {
		s.claims = scheduling.ClaimsKeep
	}
	answer, err := b.run(ctx, s)
	if err != nil {
		b.count(e.Source, "failed")
		return scheduling.Entry{}, b.store.fault(err)
	}
	if err := b.judge(e, answer); err != nil {
		return scheduling.Entry{}, err
	}
	b.memory.put(e, s, time.Now())
	return e, nil
}

// judge says what the script's answer means.
func (b *Books) judge(e scheduling.Entry, answer int) error {
	switch answer {
	case saveDone:
		b.count(e.Source, "saved")
		return nil
	case saveStale:
		b.count(e.Source, "stale")
		return scheduling.Fault(scheduling.Internal, scheduling.ErrStaleEntry, "another one changed the appointment")
	case saveTaken:
		b.count(e.Source, "taken")
		return &scheduling.Error{Code: scheduling.SlotTaken, Who: scheduling.Client, Source: e.Source, Message: "the slot is taken"}
	case saveExpired:
		b.count(e.Source, "expired")
		return scheduling.Refuse(scheduling.HoldExpired, "id", "the hold has run out")
	default:
		b.count(e.Source, "lost")
		return refuseLost(e.Source)
	}
}

// refuseLost says that the books of the source must be rebuilt first.
func refuseLost(source scheduling.SourceID) error {
	err := scheduling.Fault(scheduling.Shedding, errLost, "the gateway's books are being rebuilt")
	err.Source, err.RetryAfter = source, rebuilding
	return err
}

// rebuilding is how soon a caller may try again while books are being rebuilt.
const rebuilding = 5 * time.Second

func (b *Books) count(source scheduling.SourceID, result string) {
	b.store.metrics.saves.WithLabelValues(string(source), result).Inc()
}

// save is one run of the script.
type save struct {
	rec       record
	mode      string // save, restore, assert
	read      uint64
	claims    scheduling.SlotClaims
	wake      time.Duration
	unexpired bool
	replicas  int
	nonce     string // names this change, also when it is put back
}

// run hands it to Redis.
func (b *Books) run(ctx context.Context, s save) (int, error) {
	o, k := b.store.options, b.store.keys.source(s.rec.source)
	keys := []string{
		k.meta(), k.feed(), k.entry(s.rec.id), k.claims(), k.fences(), k.ends(), k.generations(), k.wakes(), k.unsettled(),
		k.patients(), k.forget(), k.books(),
	}
	args := []any{
		nonce(), s.nonce, o.FeedLength, b.store.keys.wake(), string(s.rec.source),
		s.rec.id, s.mode, s.read, s.rec.version, s.rec.text, s.rec.sealed, string(s.claims),
		millis(s.wake), flag(s.unexpired), s.rec.used, flag(s.rec.doubt), s.rec.forget, s.rec.names,
		len(s.rec.digests),
	}
	for _, d := range s.rec.digests {
		args = append(args, d)
	}
	for _, slot := range s.rec.slots {
		args = append(args, slot.id, slot.clear)
	}
	cmd, err := b.store.runOn(ctx, b.scripts.save, s.replicas, keys, args...)
	if err != nil {
		return 0, err
	}
	return cmd.Int()
}

// millis is a time to come in whole milliseconds, at least one; "" for none.
func millis(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return fmt.Sprint((d + time.Millisecond - 1).Milliseconds())
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}

// Lost tells that the books of this source are gone and not rebuilt.
func (b *Books) Lost(ctx context.Context, source scheduling.SourceID) (bool, error) {
	n, err := b.store.client.Exists(ctx, b.store.keys.source(source).books()).Result()
	return n == 0, b.store.fault(err)
}

// Rebuilt says that what the EHR knows of ours has been restored.
func (b *Books) Rebuilt(ctx context.Context, source scheduling.SourceID) error {
	_, err := b.store.once(ctx, b.store.keys.source(source).books(), []byte(nonce()))
	return b.store.fault(err)
}

// Settling gives the settling of a source to one gateway for ttl. ok is false,
// without an error, when another has it.
func (b *Books) Settling(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	return b.store.leaseOf(ctx, b.store.keys.source(source).settling(), ttl)
}
