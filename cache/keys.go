package cache

import (
	"strconv"

	"slotgate/scheduling"
)

// keys builds every key of the cache. What stands in braces is the hash tag:
// keys of one source share it, so that a script over them runs on one node of a
// cluster.
type keys struct{ prefix string }

// The keys of the whole store.
//
//	<prefix>:epoch          STRING  random; absent: the store was emptied
//	<prefix>:secret:<name>  STRING  32 random bytes shared by all gateways
//	<prefix>:wake           channel; a message is the id of a source whose feed has news
//	<prefix>:workers        ZSET    worker of the prefetch -> until when it counts (ms since 1970)
//	<prefix>:vault          HASH    id of a sealing key -> its fingerprint and until when it is in use
func (k keys) epoch() string             { return k.prefix + ":epoch" }
func (k keys) secret(name string) string { return k.prefix + ":secret:" + name }
func (k keys) wake() string              { return k.prefix + ":wake" }
func (k keys) workers() string           { return k.prefix + ":workers" }
func (k keys) vault() string             { return k.prefix + ":vault" }

// sourceKeys builds the keys of one source.
type sourceKeys struct{ tag string }

func (k keys) source(id scheduling.SourceID) sourceKeys {
	return sourceKeys{k.prefix + ":{s:" + string(id) + "}:"}
}

// The keys of one source.
//
//	meta            HASH    life, base, fetch, seq, nonce, rev: see below
//	days            SET     the days that have windows, as numbers
//	windows:<day>   HASH    schedule -> open slots of that day (see encodeWindow)
//	heads:<day>     HASH    schedule -> fetch, digest and number of slots (see head)
//	checks          HASH    scope -> the latest complete fetch of it (JSON)
//	stands          HASH    scope -> token of the answer that its windows are of, the latest fetches that read it
//	                        and that confirmed it (see stand)
//	directory       HASH    kind/id -> record (JSON)
//	dirheads        HASH    kind/id -> digest of the record
//	status          STRING  scheduling.Status (JSON)
//	generations     HASH    slot id -> how often offers of it were used up
//	feed            STREAM  id <seq>-0; fields n, f, a, w, c, d, s, m (see entry)
//	lease           STRING  token of the worker that has the source, with a lifetime
//	shown:<hour>    HASH    day -> offers of it that answers showed in that hour (since 1970), for three hours
//	books           STRING  name of this life of the books; absent: they are lost, or never began
//	entry:<id>      HASH    an entry: v version, e the record (JSON), p what tells of a person (sealed),
//	                        n nonce of the latest save, h nonces of the latest saves, i digests of its patients,
//	                        u 1: used up
//	claims          HASH    slot id -> the offer whose entry has it
//	fences          HASH    slot id -> number of the latest fetch when its claim ended
//	spans           HASH    slot id -> "from to schedule" that its claim or fence keeps free (seconds since 1970)
//	taken:<sched>   ZSET    slot id that has a claim with a span -> from; it expires when the last is long over
//	byslot          HASH    our Slot id -> "offer slot" that has it claimed; '' 1: all claims are in it
//	lagging         ZSET    slot id -> until when fetches that begin are fenced, too (ms since 1970)
//	ends            ZSET    slot id -> when its claim and fence may be forgotten (ms since 1970)
//	wakes           ZSET    entry -> when it is due (ms since 1970)
//	unsettled       SET     entries in doubt
//	patients        ZSET    <digest of principal and patient>/<entry>, all of score 0
//	forget          ZSET    entry -> when its patients are to be forgotten (ms since 1970)
//	settling        STRING  token of the gateway that settles, with a lifetime
//	vouched         HASH    run: the server that the books are known to be whole at; open 1: they are; round counts
//	                        losses; since, until: see standing (ms since 1970)
//	beats           HASH    gateway -> how often it wrote or looked
//	alive           ZSET    gateway -> when it did last (ms since 1970)
//	awaited         SET     gateways that have not put back yet what they remember
//
// Fields of meta: life names this life of the source; base and fetch are the
// first and the latest number that Begin gave in it; seq and nonce are those of
// the latest entry of the feed; rev is the nonce of the latest write to windows
// or checks.
//
// Windows stand in a hash a day, not in one for all: a fetch of some days reads
// the heads of those days alone, and a day gone by goes at once.
func (k sourceKeys) meta() string        { return k.tag + "meta" }
func (k sourceKeys) days() string        { return k.tag + "days" }
func (k sourceKeys) checks() string      { return k.tag + "checks" }
func (k sourceKeys) stands() string      { return k.tag + "stands" }
func (k sourceKeys) directory() string   { return k.tag + "directory" }
func (k sourceKeys) dirheads() string    { return k.tag + "dirheads" }
func (k sourceKeys) status() string      { return k.tag + "status" }
func (k sourceKeys) generations() string { return k.tag + "generations" }
func (k sourceKeys) feed() string        { return k.tag + "feed" }
func (k sourceKeys) lease() string       { return k.tag + "lease" }

func (k sourceKeys) shown(hour int64) string { return k.tag + "shown:" + strconv.FormatInt(hour, 10) }

// The keys of the books.
func (k sourceKeys) books() string          { return k.tag + "books" }
func (k sourceKeys) entry(id string) string { return k.tag + "entry:" + id }
func (k sourceKeys) claims() string         { return k.tag + "claims" }
func (k sourceKeys) fences() string         { return k.tag + "fences" }
func (k sourceKeys) spans() string          { return k.tag + "spans" }
func (k sourceKeys) byslot() string         { return k.tag + "byslot" }
func (k sourceKeys) lagging() string        { return k.tag + "lagging" }
func (k sourceKeys) ends() string           { return k.tag + "ends" }
func (k sourceKeys) wakes() string          { return k.tag + "wakes" }
func (k sourceKeys) unsettled() string      { return k.tag + "unsettled" }
func (k sourceKeys) patients() string       { return k.tag + "patients" }
func (k sourceKeys) forget() string         { return k.tag + "forget" }
func (k sourceKeys) settling() string       { return k.tag + "settling" }
func (k sourceKeys) vouched() string        { return k.tag + "vouched" }
func (k sourceKeys) beats() string          { return k.tag + "beats" }
func (k sourceKeys) alive() string          { return k.tag + "alive" }
func (k sourceKeys) awaited() string        { return k.tag + "awaited" }

func (k sourceKeys) taken(schedule string) string { return k.tag + "taken:" + schedule }

func (k sourceKeys) windows(day scheduling.Day) string { return k.tag + "windows:" + dayText(day) }
func (k sourceKeys) heads(day scheduling.Day) string   { return k.tag + "heads:" + dayText(day) }

func dayText(day scheduling.Day) string { return strconv.Itoa(int(day)) }

// principalKeys builds the keys of one principal.
//
//	holds         ZSET  offer -> when it is counted no longer (ms since 1970)
//	key:<digest>  HASH  an Idempotency-Key: d digest of the request, o its offer, t token of who runs it,
//	                    u until when (ms since 1970), a the answer (sealed) once there is one
type principalKeys struct{ tag string }

func (k keys) principal(name string) principalKeys {
	return principalKeys{k.prefix + ":{p:" + name + "}:"}
}

func (k principalKeys) holds() string            { return k.tag + "holds" }
func (k principalKeys) key(digest string) string { return k.tag + "key:" + digest }
