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
// A failover may lose the last second. So every process remembers what it saved
// a short while ago, and what is not settled however long. Every script finds
// out whether Redis is the one that it was, and has what it had (see standing).
// If not, nothing is saved or told until every process has put back what it
// remembers, which Run does: from memory the books are whole again.
type Books struct {
	store   *Store
	vault   *vault.Vault
	scripts bookScripts
	tags    atomic.Pointer[map[string]scheduling.SourceID]
	memory  memory

	sealing *promises
	gateway string // names this process to others

	mu      sync.Mutex
	tidied  map[scheduling.SourceID]time.Time // when tidy last ran
	indexed map[scheduling.SourceID]time.Time // when all claims were last seen to be in the index
	pulses  map[scheduling.SourceID]*pulse
	rounds  map[scheduling.SourceID]string // the latest loss that was noticed

	apart atomic.Bool // Redis wants the keys of each source by themselves
}

// Books makes the books of these sources, sealed by the vault.
func (s *Store) Books(v *vault.Vault, sources []scheduling.SourceID) *Books {
	b := &Books{
		store: s, vault: v, scripts: newBookScripts(), tidied: map[scheduling.SourceID]time.Time{},
		memory: memory{kept: map[string]kept{}}, sealing: &promises{store: s, vault: v}, gateway: nonce(),
		indexed: map[scheduling.SourceID]time.Time{},
		pulses:  map[scheduling.SourceID]*pulse{}, rounds: map[scheduling.SourceID]string{},
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
	errNoSlots   = errors.New("cache: an entry without slots")
	errManySlots = errors.New("cache: an entry of too many slots")
)

// maxSlots is how many slots one entry may have: the script goes over them all.
const maxSlots = 1000

// Read gives the entry of an id; the source follows from the id's tag. While
// the source's books are lost, one that is absent may have been lost as well,
// and nobody can say that it is unknown. While they are being put back, one that
// is there may be older than what was told.
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
	args := []any{b.feel(source)}
	for _, field := range recordFields() {
		args = append(args, field)
	}
	got, err := b.store.run(ctx, b.scripts.read, append(k.standing(), key), args...).Slice()
	if err != nil {
		return scheduling.Entry{}, b.store.fault(err)
	}
	stored, _ := got[2].([]any)
	switch {
	case numberAt(got, 0) == 0:
		return scheduling.Entry{}, refusePutBack(source)
	case textAt(stored, 0) != "":
	case numberAt(got, 1) == 0:
		return scheduling.Entry{}, refuseLost(source)
	default:
		return scheduling.Entry{}, errUnknown()
	}
	e, err := b.decode(key, stored)
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
		claims: change.Claims, wake: change.Wake, unexpired: change.Unexpired, lag: change.Lag,
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
	if err := b.insist(ctx, e, &s, read > 0 && !change.Intent); err != nil {
		return scheduling.Entry{}, err
	}
	b.memory.put(e, s, time.Now())
	return e, nil
}

// insist saves. What became of a call is saved again for a while, as soon as
// Redis is back and has been put back what it lost: to tell the caller to come
// again would leave the entry in doubt.
func (b *Books) insist(ctx context.Context, e scheduling.Entry, s *save, result bool) error {
	for deadline := time.Now().Add(3 * b.putBackFor()); ; {
		answer, err := b.run(ctx, s)
		if err != nil {
			b.count(e.Source, "failed")
			err = b.store.fault(err)
		} else {
			err = b.judge(e, answer)
		}
		if !result || scheduling.CodeOf(err) != scheduling.Shedding || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(b.beatEvery()):
		}
	}
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
	case savePutBack:
		b.count(e.Source, "put-back")
		return refusePutBack(e.Source)
	default:
		b.count(e.Source, "lost")
		return refuseLost(e.Source)
	}
}

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
	lag       time.Duration
	replicas  int
	nonce     string // names this change, also when it is put back
	compared  string // the nonce that an assertion is to replace
	history   string // the nonces of the latest changes, this one too
}

// run hands it to Redis, and takes the history from there.
func (b *Books) run(ctx context.Context, s *save) (int, error) {
	o, k := b.store.options, b.store.keys.source(s.rec.source)
	keys := []string{
		k.meta(), k.feed(), k.entry(s.rec.id), k.claims(), k.fences(), k.ends(), k.generations(), k.wakes(), k.unsettled(),
		k.patients(), k.forget(), k.books(), k.vouched(), k.beats(), k.alive(), k.awaited(), k.lagging(),
		k.spans(), k.byslot(), k.taken(s.rec.schedule),
	}
	args := []any{
		nonce(), s.nonce, o.FeedLength, b.store.keys.wake(), string(s.rec.source),
		s.rec.id, s.mode, s.read, s.rec.version, s.rec.text, s.rec.sealed, string(s.claims),
		millis(s.wake), flag(s.unexpired), s.rec.used, flag(s.rec.doubt), s.rec.forget, s.rec.names,
		b.feel(s.rec.source), s.compared, s.history, millis(s.lag), s.rec.schedule, len(s.rec.digests),
	}
	for _, d := range s.rec.digests {
		args = append(args, d)
	}
	for _, slot := range s.rec.slots {
		args = append(args, slot.id, slot.clear, slot.ours, slot.from, slot.to)
	}
	cmd, err := b.store.runOn(ctx, b.scripts.save, s.replicas, keys, args...)
	if err != nil {
		return 0, err
	}
	got, err := cmd.Slice()
	if err != nil {
		return 0, err
	}
	b.heard(s.rec.source, got[2], got[3])
	s.history = textAt(got, 1)
	return int(numberAt(got, 0)), nil
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

// Settling gives the settling of a source to one gateway for ttl. ok is false,
// without an error, when another has it.
func (b *Books) Settling(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	return b.store.leaseOf(ctx, b.store.keys.source(source).settling(), ttl)
}
