package cache_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/scheduling"
)

// play is the model: who has which slot, and which fetch could show it again.
type play struct {
	*clinic
	rt        *rapid.T
	event     int                         // counts begins and ends
	fetches   []fetchBegun                // under way
	latest    fetchBegun                  // the latest that was applied
	ended     map[string]int              // slot -> when its latest claim ended
	claimed   map[string]string           // slot -> offer
	used      map[string]uint32           // slot -> generation
	entries   map[string]scheduling.Entry // the latest version of each
	failovers bool
}

type fetchBegun struct {
	number uint64
	at     int
	dead   bool // numbered in a life that is over
}

func (p *play) who() *cache.Books { return p.books[rapid.IntRange(0, 1).Draw(p.rt, "gateway")] }

// save makes a change that must succeed, and keeps its result.
func (p *play) save(change scheduling.EntryChange) {
	e, err := p.who().Save(p.t.Context(), change)
	if err != nil {
		p.rt.Fatalf("%s of version %d: %v", change.Entry.State, change.Entry.Version, err)
	}
	p.know(e, change.Claims)
}

// know takes a change into the model.
func (p *play) know(e scheduling.Entry, claims scheduling.SlotClaims) {
	if e.Used && !p.entries[e.ID].Used {
		for _, slot := range e.Offer.SlotIDs() {
			p.used[slot] = max(p.used[slot], uint32(len(e.Identifier)+1))
		}
	}
	p.entries[e.ID] = e
	p.event++
	for _, slot := range e.Offer.SlotIDs() {
		switch claims {
		case scheduling.ClaimsTake:
			p.claimed[slot] = e.ID
		case scheduling.ClaimsFence:
			p.ended[slot] = p.event
			delete(p.claimed, slot)
		case scheduling.ClaimsDrop:
			delete(p.claimed, slot)
		}
	}
}

// claim tries to hold or book one slot or two.
func (p *play) claim(rt *rapid.T) {
	first := rapid.IntRange(0, 2).Draw(rt, "first")
	names := []string{p.slots[first].ID}
	if first < 2 && p.used[names[0]] == p.used[p.slots[first+1].ID] && rapid.Bool().Draw(rt, "two") {
		names = append(names, p.slots[first+1].ID)
	}
	state := rapid.SampledFrom([]scheduling.EntryState{scheduling.EntryHolding, scheduling.EntryBooking}).Draw(rt, "to")
	e := entryOf(state, rapid.SampledFrom([]string{"p1", "p2"}).Draw(rt, "principal"), p.used[names[0]], names...)
	e.Identifier = string(make([]byte, p.used[names[0]])) // its length tells the generation to know
	if known, ok := p.entries[e.ID]; ok {
		if known.State != scheduling.EntryFree {
			return
		}
		e.Version = known.Version
	}
	free := !slices.ContainsFunc(names, func(s string) bool { return p.claimed[s] != "" })
	got, err := p.who().Save(p.t.Context(), taking(e))
	switch {
	case free && err != nil:
		rt.Fatalf("a free slot is refused: %v", err)
	case !free && scheduling.CodeOf(err) != scheduling.SlotTaken:
		rt.Fatalf("law 3: a slot of another entry: %v", err)
	case free:
		p.know(got, scheduling.ClaimsTake)
	}
}

// steps are what the desk does to an entry, by its state.
var steps = map[scheduling.EntryState][]scheduling.EntryChange{
	scheduling.EntryHolding:    {change("held", "keep"), change("free", "drop"), change("releasing", "keep")},
	scheduling.EntryHeld:       {change("booking", "keep"), change("releasing", "keep"), change("free", "drop")},
	scheduling.EntryReleasing:  {change("free", "fence"), change("held", "keep")},
	scheduling.EntryBooking:    {change("booked", "keep"), change("doubt", "keep"), change("free", "drop"), change("free", "fence")},
	scheduling.EntryDoubt:      {change("booked", "keep"), change("not-booked", "fence")},
	scheduling.EntryBooked:     {change("cancelling", "keep")},
	scheduling.EntryCancelling: {change("cancelled", "fence"), change("booked", "keep")},
}

func change(state scheduling.EntryState, claims scheduling.SlotClaims) scheduling.EntryChange {
	return scheduling.EntryChange{Entry: scheduling.Entry{State: state}, Claims: claims, Wake: time.Hour}
}

// some picks an entry that can go on.
func (p *play) some(rt *rapid.T) (scheduling.Entry, bool) {
	var ids []string
	for id, e := range p.entries {
		if len(steps[e.State]) > 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return scheduling.Entry{}, false
	}
	slices.Sort(ids)
	return p.entries[rapid.SampledFrom(ids).Draw(rt, "entry")], true
}

func (p *play) step(rt *rapid.T) {
	e, ok := p.some(rt)
	if !ok {
		return
	}
	next := rapid.SampledFrom(steps[e.State]).Draw(rt, "step")
	state := next.Entry.State
	e.State, e.Doubt = state, nil
	e.Used = e.Used || state == scheduling.EntryBooked || state == scheduling.EntryDoubt
	if state == scheduling.EntryDoubt {
		e.Doubt = &scheduling.Doubt{Call: scheduling.CallBook}
	}
	next.Entry = e
	p.save(next)
}

// stale is a gateway that acts on what it read a while ago.
func (p *play) stale(rt *rapid.T) {
	e, ok := p.some(rt)
	if !ok {
		return
	}
	e.Version -= uint64(rapid.IntRange(1, int(e.Version)).Draw(rt, "behind"))
	claims := rapid.SampledFrom([]scheduling.SlotClaims{scheduling.ClaimsFence, scheduling.ClaimsDrop, scheduling.ClaimsTake}).Draw(rt, "claims")
	if _, err := p.who().Save(p.t.Context(), scheduling.EntryChange{Entry: e, Claims: claims}); !errors.Is(err, scheduling.ErrStaleEntry) {
		rt.Fatalf("law 3: an old version is saved: %v", err)
	}
}

// expire lets a hold run out.
func (p *play) expire(rt *rapid.T) {
	e, ok := p.some(rt)
	if !ok || e.State != scheduling.EntryHeld {
		return
	}
	p.save(scheduling.EntryChange{Entry: e, Wake: time.Millisecond})
	e = p.entries[e.ID]
	eventually(p.t, "the hold runs out", func() bool {
		due, err := p.who().Due(p.t.Context(), source, 10)
		return err == nil && slices.Contains(idList(due), e.ID)
	})
	e.State = scheduling.EntryBooking
	if _, err := p.who().Save(p.t.Context(), scheduling.EntryChange{Entry: e, Unexpired: true}); scheduling.CodeOf(err) != scheduling.HoldExpired {
		rt.Fatalf("an expired hold is booked: %v", err)
	}
	e.State = scheduling.EntryReleasing
	p.save(scheduling.EntryChange{Entry: e, Wake: time.Hour})
}

func (p *play) fetchBegins(*rapid.T) {
	p.event++
	p.fetches = append(p.fetches, fetchBegun{number: p.begin(), at: p.event})
}

func (p *play) fetchEnds(rt *rapid.T) {
	if len(p.fetches) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.fetches)-1).Draw(rt, "fetch")
	f := p.fetches[i]
	p.fetches = slices.Delete(p.fetches, i, i+1)
	err := p.replace(f.number)
	switch {
	case f.dead && err != nil && !errors.Is(err, cache.ErrDataLost):
		rt.Fatal(err)
	case !f.dead && err != nil:
		rt.Fatal(err)
	case !f.dead && f.number > p.latest.number:
		p.latest = f
	}
}

// crash ends a gateway with all that it remembers; another takes its place. The
// others look around before Redis is lost too.
func (p *play) crash(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "gateway")
	_, err := p.books[1-i].Reassert(p.t.Context())
	must(p.t, err)
	p.books[i] = p.stores[i].Books(p.vault, []scheduling.SourceID{source})
}

// lose empties Redis. The gateways put back what they remember; then the rest is
// read from the EHR, which knows what was booked and no hold of the gateway's.
func (p *play) lose(rt *rapid.T) {
	must(p.t, p.client.FlushAll(p.t.Context()).Err())
	last := p.latest.number
	for i := range p.fetches {
		p.fetches[i].dead = true
		last = max(last, p.fetches[i].number)
	}
	// A Redis does not come back within the millisecond: numbers begin with the
	// clock.
	eventually(p.t, "the clock goes on", func() bool {
		return uint64(p.client.Time(p.t.Context()).Val().UnixMilli()) > last
	})
	p.latest, p.ended = fetchBegun{}, map[string]int{}
	if ready, err := p.who().Ready(p.t.Context(), source); err != nil || ready {
		rt.Fatalf("the loss is not noticed: %v, %v", ready, err)
	}
	if _, err := p.who().Save(p.t.Context(), taking(entryOf(scheduling.EntryBooking, "p3", 9, "x0"))); scheduling.CodeOf(err) != scheduling.Shedding {
		rt.Fatalf("law 12: lost books take a booking: %v", err)
	}
	p.ready()
	p.recount(rt)
}

// restore rebuilds what the EHR shows of the entry.
func (p *play) restore(e scheduling.Entry) {
	if !e.Used {
		return
	}
	claims := scheduling.ClaimsKeep
	if e.State.Claims() {
		e.State, e.Doubt, claims = scheduling.EntryBooked, nil, scheduling.ClaimsTake
	}
	e.Version = 0
	_, err := p.who().Save(p.t.Context(), scheduling.EntryChange{Entry: e, Claims: claims, Restore: true})
	if err != nil && !errors.Is(err, scheduling.ErrStaleEntry) {
		p.rt.Fatalf("law 12: a booking is not restored: %v", err)
	}
}

// ready waits until every gateway has put back what it remembers. One that
// crashed is waited for, and then the EHR is asked.
func (p *play) ready() {
	eventually(p.t, "the books are put back", func() bool {
		p.reassert()
		lost, err := p.who().Lost(p.t.Context(), source)
		must(p.t, err)
		if lost {
			for _, id := range slices.Sorted(maps.Keys(p.entries)) {
				p.restore(p.entries[id])
			}
			must(p.t, p.who().Rebuilt(p.t.Context(), source))
		}
		ready, err := p.who().Ready(p.t.Context(), source)
		must(p.t, err)
		return ready
	})
}

func (p *play) reassert() {
	for range 2 {
		for _, b := range p.books {
			_, err := b.Reassert(p.t.Context())
			must(p.t, err)
		}
	}
}

// recount compares the entries with what came back, and forgets what nobody
// remembered: holds of a gateway that crashed.
func (p *play) recount(rt *rapid.T) {
	known := p.entries
	p.entries, p.claimed = map[string]scheduling.Entry{}, map[string]string{}
	for id, was := range known {
		now, err := p.who().Read(p.t.Context(), id)
		switch {
		case scheduling.CodeOf(err) == scheduling.UnknownID && !was.Used:
			continue
		case err != nil:
			rt.Fatalf("law 12: %s is lost: %v", was.State, err)
		case was.Used && now.State.Claims() != was.State.Claims():
			rt.Fatalf("law 12: %s came back as %s", was.State, now.State)
		}
		p.entries[id] = now
		p.event++
		for _, slot := range now.Offer.SlotIDs() {
			if now.State.Claims() {
				p.claimed[slot] = id
			}
			p.ended[slot] = p.event
		}
	}
}

// failover goes on with a replica of Redis that has not seen the last steps.
func (p *play) failover(rt *rapid.T) {
	if !p.failovers {
		return
	}
	before := take(p.t, p.client)
	was := maps.Clone(p.entries)
	for range rapid.IntRange(1, 4).Draw(rt, "steps") {
		if rapid.Bool().Draw(rt, "claim") {
			p.claim(rt)
		} else {
			p.step(rt)
		}
	}
	before.put(p.t, p.client)
	p.ready()
	p.event++
	for id, e := range p.entries {
		got, err := p.who().Read(p.t.Context(), id)
		if err != nil || got.Version != e.Version || got.State != e.State {
			rt.Fatalf("law 12: after a failover %s of version %d is %s of %d: %v", e.State, e.Version, got.State, got.Version, err)
		}
		// What is put back is fenced, to be on the safe side.
		for _, slot := range e.Offer.SlotIDs() {
			if was[id].Version != e.Version {
				p.ended[slot] = p.event
			}
		}
	}
}

// check holds law 3: Redis knows each slot's one holder.
func (p *play) check(rt *rapid.T) {
	if diff := cmp.Diff(p.claimed, p.claims()); diff != "" {
		rt.Fatalf("law 3: %s", diff)
	}
}

// open are the slots that may be offered.
func (p *play) open() []string {
	var open []string
	for _, s := range p.slots {
		if p.claimed[s.ID] == "" && p.latest.at > p.ended[s.ID] {
			open = append(open, s.ID)
		}
	}
	return open
}

func TestLaw3AndLaw4AndLaw12HoldInAnyOrderOfEvents(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		w := newClinic(t, server.URL())
		rapid.Check(t, func(rt *rapid.T) {
			must(t, w.client.FlushAll(t.Context()).Err())
			for i := range w.books {
				w.books[i] = newBooks(t, w.stores[i], w.vault)
			}
			must(t, w.books[0].Open(t.Context(), source))
			p := &play{
				clinic: w, rt: rt, failovers: server.Real(), ended: map[string]int{}, claimed: map[string]string{},
				used: map[string]uint32{}, entries: map[string]scheduling.Entry{},
			}
			rt.Repeat(map[string]func(*rapid.T){
				"": p.check, "a fetch begins": p.fetchBegins, "a fetch ends": p.fetchEnds,
				"claim": p.claim, "step": p.step, "another step": p.step, "stale": p.stale, "expire": p.expire,
				"crash": p.crash, "lose": p.lose, "failover": p.failover,
			})
			w.filled()
			want := p.open()
			for deadline := time.Now().Add(2 * time.Minute); !slices.Equal(w.shows(p.used), want); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					rt.Fatalf("law 4: the replica offers %v, not %v; fences %v, generations %v", w.shows(p.used), want,
						w.client.HGetAll(t.Context(), "slotgate:{s:napa}:fences"), p.used)
				}
			}
		})
	})
}
