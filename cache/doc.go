// Package cache keeps in Redis what every worker and every gateway share: the
// slot plane, which is what prefetch found, and the books of what was held and
// booked.
//
// # What is kept
//
// Of each source: its open slots by window, the digests that tell whether a
// window changed, the checks that tell how fresh they are, its directory, its
// status, and a feed that names what changed. Keys stand in keys.go and its
// neighbours.
//
// # Writing
//
// Prefetch hands over whole scopes. Store compares digests and writes only what
// differs, so that a refresh that found nothing new costs one small write. Every
// write is one Lua script on one hash tag, guarded by the revision that the
// comparison was based on: when another write came between, the comparison is
// made again. Fetches are ordered by the numbers that Begin gives, never by
// clocks; what a later fetch wrote or confirmed is refused to an earlier one.
//
// Beside a check stands which answer all windows of its scope are of (stand.go).
// The same answer once more is confirmed by one small script (Confirm), and what
// changed since is merged (Merge), as long as nobody wrote one of them meanwhile.
//
// # Following
//
// Every change adds an entry to the source's feed (a stream), numbered without
// gaps, and wakes the followers (pub/sub). The entry names the windows; the
// follower reads their present content, which makes applying an entry twice
// harmless. A follower that finds a gap, an entry that it did not expect at its
// own position, or another life of the source, loads the source again.
//
// # Books
//
// Of each offer that was ever held or booked there is one entry: see Books. A
// slot is claimed, given back and fenced in the script that changes its entry,
// and the feed tells of it like of windows. A fence is the number of the latest
// fetch when a claim ended: what fetches up to it found of the slot is old.
//
// What tells of a person is sealed (package vault), and looked up by keyed
// digests. Holds counts what each principal holds, Keys remembers answers to
// idempotency keys, and Clock follows Redis' clock.
//
// # What nodes share besides
//
// Budget gives out the calls to a source to all nodes that ask for them, in the
// order of the lanes. The roll counts the workers among whom the sources are
// shared. Of a source whose slots may not be kept there are no windows; Leads
// remember for a while, sealed, on which schedule and days an id of ours lies.
//
// # Loss of data
//
// A source's life is a random name that comes into being with its first write.
// Another life means that everything before was lost. Followers keep what they
// have until a worker has filled the source again.
package cache
