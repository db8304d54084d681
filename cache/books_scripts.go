package cache

import "github.com/redis/go-redis/v9"

// What saveSource answers.
const (
	saveDone    = 1
	savePartly  = 2
	saveStale   = 0
	saveTaken   = -1
	saveExpired = -2
	saveLost    = -3
	savePutBack = -4
)

// saveSource changes one entry, and with it the claims of its slots, its wake
// and all lists, or nothing.
//
// An entry that was lost and is asserted again (mode assert) takes the place of
// the very change that was compared, or of nothing; it takes the slots that
// nobody has, and leaves the others. Together with it fences and numbers of
// fetches may have been lost. So its slots are fenced, and the next numbers go
// above the milliseconds of the clock.
//
// A call that is repeated since its answer was lost finds its own nonce.
//
//	KEYS     1 meta, 2 feed, 3 entry, 4 claims, 5 fences, 6 ends, 7 generations, 8 wakes, 9 unsettled,
//	         10 patients, 11 forget, 12 books, 13 vouched, 14 beats, 15 alive, 16 awaited, 17 lagging,
//	         18 spans, 19 byslot, 20 what is taken on the schedule
//	ARGV     1 name of a new life, 2 nonce, 3 length of the feed, 4 channel, 5 source,
//	         6 entry, 7 mode: save, restore, assert, 8 version that was read ('0' for none), 9 version to be stored,
//	         10 record, 11 sealed part ('' when none), 12 claims: keep, take, drop, fence,
//	         13 milliseconds until the wake ('' when none), 14 '1': refused when its wake has passed,
//	         15 used: '' no, else the least generation that its slots have then ('0': one more than now),
//	         16 '1': in doubt, 17 when to forget its patients ('' never), 18 names of the slots for the feed,
//	         19 pulse, 20 nonce that an assertion was compared with ('' for none), 21 history of an assertion,
//	         22 milliseconds that searches are behind ('' for none), 23 schedule of the spans ('' for none),
//	         24 n, n digests of patients, then for each slot: id, its end (ms since 1970), our id, from and to of its span ('' for none)
//	returns  the answer, the entry's history, the beat, its time; the answer is
//	         1 saved; 2 asserted, but another entry has a slot; 0 another version stands;
//	         -1 another entry has a slot, or one that overlaps with a span; -2 the wake has passed; -3 the books are lost;
//	         -4 they are being put back
const saveSource = preamble + standing + `
local k = {meta = KEYS[1], books = KEYS[12], vouched = KEYS[13], beats = KEYS[14], alive = KEYS[15], awaited = KEYS[16]}
local id, mode, claims = ARGV[6], ARGV[7], ARGV[12]
local now = clock()
local stands = standing(k, ARGV[19])
local stored = redis.call('HMGET', KEYS[3], 'v', 'n', 'u', 'i', 'h')
local function say(answer, history)
  local b = beat(k, ARGV[19])
  return {answer, history or '', b[1], b[2]}
end
if stored[2] == ARGV[2] and mode ~= 'assert' then
  return say(1, stored[5])
end
if mode ~= 'assert' and stands == 0 then
  return say(-4)
end
if mode == 'save' and redis.call('EXISTS', KEYS[12]) == 0 then
  return say(-3)
end
if mode == 'assert' then
  if (stored[2] or '') ~= ARGV[20] then
    return say(0)
  end
elseif (stored[1] or '0') ~= ARGV[8] then
  return say(0)
end
if ARGV[14] == '1' then
  local wake = redis.call('ZSCORE', KEYS[8], id)
  if wake and tonumber(wake) <= now then
    return say(-2)
  end
end

local digests = tonumber(ARGV[24])
local function overlapped(from, to)
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', KEYS[20], '(' .. whole(from - 86400), '(' .. to)) do
    local by = redis.call('HGET', KEYS[4], slot)
    local ends = string.match(redis.call('HGET', KEYS[18], slot) or '', '^%S+ (%d+)')
    if by and by ~= id and ends and tonumber(ends) > from then
      return true
    end
  end
  return false
end
local holder = {}
for at = 25 + digests, #ARGV, 5 do
  local by = redis.call('HGET', KEYS[4], ARGV[at])
  if claims == 'take' and mode ~= 'assert' and by and by ~= id then
    return say(-1)
  end
  -- What is written down after a loss has happened.
  if claims == 'take' and mode == 'save' and by ~= id and ARGV[at + 3] ~= '' and overlapped(tonumber(ARGV[at + 3]), ARGV[at + 4]) then
    return say(-1)
  end
  holder[ARGV[at]] = by
end

live(KEYS[1], ARGV[1])
local lost = mode == 'assert' and stored[2] ~= ARGV[2]
if lost then
  local fetch = tonumber(redis.call('HGET', KEYS[1], 'fetch'))
  redis.call('HSET', KEYS[1], 'fetch', string.format('%.0f', math.max(fetch, now)))
end
-- keep notes which time on the schedule the slot's claim, or fence, keeps free.
local function keep(slot, from, to, claimed)
  if from == '' then
    if claims == 'take' then
      redis.call('HDEL', KEYS[18], slot)
    end
    return
  end
  redis.call('HSET', KEYS[18], slot, from .. ' ' .. to .. ' ' .. ARGV[23])
  if claimed then
    redis.call('ZADD', KEYS[20], from, slot)
    redis.call('ZREMRANGEBYSCORE', KEYS[20], '-inf', whole(now / 1000 - 10 * 86400))
    local last = redis.call('ZRANGE', KEYS[20], -1, -1, 'WITHSCORES')
    if last[2] then
      redis.call('PEXPIREAT', KEYS[20], whole(tonumber(last[2]) * 1000 + 10 * 86400000))
    end
  end
end
local answer = 1
local raise = ARGV[15] ~= '' and stored[3] ~= '1'
local told = raise
for at = 25 + digests, #ARGV, 5 do
  local slot, by = ARGV[at], holder[ARGV[at]]
  local ends = tonumber(ARGV[at + 1])
  if claims == 'take' and by and by ~= id then
    answer = 2
  end
  if claims == 'take' and not by then
    redis.call('HSET', KEYS[4], slot, id)
    by, told = id, true
  end
  if (claims == 'drop' or claims == 'fence') and by == id then
    redis.call('HDEL', KEYS[4], slot)
    redis.call('HDEL', KEYS[19], ARGV[at + 2])
    redis.call('ZREM', KEYS[20], slot)
    told = true
  elseif by == id then
    redis.call('HSET', KEYS[19], ARGV[at + 2], id .. ' ' .. slot)
  end
  if by == id or not by and (lost or claims == 'fence') then
    keep(slot, ARGV[at + 3], ARGV[at + 4], claims ~= 'drop' and claims ~= 'fence')
  end
  if lost or (claims == 'fence' and (not by or by == id)) then
    redis.call('HSET', KEYS[5], slot, redis.call('HGET', KEYS[1], 'fetch'))
    if ARGV[22] ~= '' then
      redis.call('ZADD', KEYS[17], string.format('%.0f', now + tonumber(ARGV[22])), slot)
    end
    ends = math.max(ends, now)
    told = true
  end
  if claims ~= 'keep' then
    redis.call('ZADD', KEYS[6], string.format('%.0f', ends), slot)
  end
  if raise then
    local at_least = tonumber(ARGV[15])
    local has = tonumber(redis.call('HGET', KEYS[7], slot) or '0') or 0
    if at_least == 0 then
      at_least = has + 1
    end
    redis.call('HSET', KEYS[7], slot, string.format('%.0f', math.max(has, at_least)))
  end
end

for old in string.gmatch(stored[4] or '', '%S+') do
  redis.call('ZREM', KEYS[10], old .. '/' .. id)
end
local listed = {}
for at = 25, 24 + digests do
  redis.call('ZADD', KEYS[10], 0, ARGV[at] .. '/' .. id)
  table.insert(listed, ARGV[at])
end
local history = ARGV[21]
if mode ~= 'assert' then
  history = string.sub((stored[5] or '') .. ' ' .. ARGV[2], -136)
end
redis.call('HSET', KEYS[3], 'v', ARGV[9], 'n', ARGV[2], 'h', history, 'e', ARGV[10], 'i', table.concat(listed, ' '))
if ARGV[11] ~= '' then
  redis.call('HSET', KEYS[3], 'p', ARGV[11])
else
  redis.call('HDEL', KEYS[3], 'p')
end
if ARGV[15] ~= '' then
  redis.call('HSET', KEYS[3], 'u', '1')
end
local function list(key, score)
  if score == '' then
    redis.call('ZREM', key, id)
  else
    redis.call('ZADD', key, score, id)
  end
end
list(KEYS[8], ARGV[13] ~= '' and string.format('%.0f', now + tonumber(ARGV[13])) or '')
list(KEYS[11], ARGV[17])
if ARGV[16] == '1' then
  redis.call('SADD', KEYS[9], id)
else
  redis.call('SREM', KEYS[9], id)
end
if told then
  tell(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'm', ARGV[18])
end
return say(answer, history)
`

// clock gives the milliseconds since 1970 by the server's clock, the same all
// through a script.
const clock = `
local instant
local function clock()
  if not instant then
    local t = redis.call('TIME')
    instant = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  return instant
end
`

// dueSource names what is due, the longest overdue first.
//
//	KEYS     1 a ZSET of times (wakes, forget or ends)
//	ARGV     1 how many at most, 2 milliseconds that the times must have passed by
//	returns  the members
const dueSource = clock + `
local until_ = string.format('%.0f', clock() - tonumber(ARGV[2]))
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', until_, 'LIMIT', 0, ARGV[1])
`

// laterSource puts off the wake of an entry that cannot be read.
//
//	KEYS     1 wakes
//	ARGV     1 entry, 2 milliseconds from now
//	returns  1
const laterSource = clock + `
redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', clock() + tonumber(ARGV[2])), ARGV[1])
return 1
`

// forgetSource takes an entry's patients away. One that is in doubt is looked at
// again a day later.
//
//	KEYS     1 entry, 2 patients, 3 forget, 4 unsettled
//	ARGV     1 entry, 2 milliseconds of a day
//	returns  1 forgotten; 0 not yet
const forgetSource = clock + `
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then
  redis.call('ZADD', KEYS[3], string.format('%.0f', clock() + tonumber(ARGV[2])), ARGV[1])
  return 0
end
for old in string.gmatch(redis.call('HGET', KEYS[1], 'i') or '', '%S+') do
  redis.call('ZREM', KEYS[2], old .. '/' .. ARGV[1])
end
redis.call('HDEL', KEYS[1], 'p', 'i')
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
`

// clearSource forgets claims and fences of slots that are long over. The claim
// of an entry in doubt stays.
//
//	KEYS     1 meta, 2 feed, 3 claims, 4 fences, 5 ends, 6 unsettled, 7 spans, 8 byslot
//	ARGV     1 name of a new life, 2 nonce, 3 length of the feed, 4 channel, 5 source,
//	         6 names of the slots for the feed, 7 milliseconds to put off by, then for each slot its id and ours
//	returns  1
const clearSource = preamble + clock + `
live(KEYS[1], ARGV[1])
for at = 8, #ARGV, 2 do
  local slot = ARGV[at]
  local by = redis.call('HGET', KEYS[3], slot)
  if by and redis.call('SISMEMBER', KEYS[6], by) == 1 then
    redis.call('ZADD', KEYS[5], string.format('%.0f', clock() + tonumber(ARGV[7])), slot)
  else
    redis.call('HDEL', KEYS[3], slot)
    redis.call('HDEL', KEYS[4], slot)
    redis.call('ZREM', KEYS[5], slot)
    redis.call('HDEL', KEYS[7], slot)
    redis.call('HDEL', KEYS[8], ARGV[at + 1])
  end
end
tell(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'm', ARGV[6])
return 1
`

// indexSource notes claims that were made before there were spans and an index of
// our ids.
//
//	KEYS     1 claims, 2 spans, 3 byslot, 4 what is taken on the schedule
//	ARGV     1 offer, 2 schedule of the spans ('' for none), then for each slot its id, ours, from and to of its span
//	returns  1
const indexSource = `
for at = 3, #ARGV, 4 do
  local slot = ARGV[at]
  if redis.call('HGET', KEYS[1], slot) == ARGV[1] then
    redis.call('HSET', KEYS[3], ARGV[at + 1], ARGV[1] .. ' ' .. slot)
    if ARGV[at + 2] ~= '' then
      redis.call('HSET', KEYS[2], slot, ARGV[at + 2] .. ' ' .. ARGV[at + 3] .. ' ' .. ARGV[2])
      redis.call('ZADD', KEYS[4], ARGV[at + 2], slot)
    end
  end
end
return 1
`

// bookScripts are the scripts over the books.
type bookScripts struct {
	save, read, due, later, forget, clear script
	beat, vouch, leave, open, index       script
	dueBooks                              script
}

func newBookScripts() bookScripts {
	return bookScripts{
		save:   script{"save", redis.NewScript(saveSource)},
		read:   script{"read", redis.NewScript(readSource)},
		due:    script{"due", redis.NewScript(dueSource)},
		later:  script{"later", redis.NewScript(laterSource)},
		forget: script{"forget", redis.NewScript(forgetSource)},
		clear:  script{"clear", redis.NewScript(clearSource)},
		beat:   script{"beat", redis.NewScript(beatSource)},
		vouch:  script{"vouch", redis.NewScript(vouchSource)},
		leave:  script{"leave", redis.NewScript(leaveSource)},
		open:   script{"open", redis.NewScript(openSource)},
		index:  script{"index", redis.NewScript(indexSource)},

		dueBooks: script{"due_books", redis.NewScript(dueBooksSource)},
	}
}
