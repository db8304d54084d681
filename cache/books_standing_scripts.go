package cache

// standing is in front of every script over the books.
//
// standing tells whether the books stand as they were left: 1, or 0 while they
// are being put back. They are, once Redis has another life (a server that was
// restarted, or a replica that was promoted) or lacks beats that it had
// confirmed to who asks (it went back in time). Then every gateway that beat
// shortly before the end must vouch that it has put back what it remembers, and
// a while must pass for those that Redis does not know any more. Whoever does not
// vouch is taken for dead: then, and when more was lost than gateways remember,
// the books are lost, and must be rebuilt.
//
// A gateway's beats are counted where they are written, so that the number that
// was confirmed last stands for all that it ever wrote: whatever of it is lost,
// the count is behind. Together with the books numbers of fetches may have been
// lost: the next go above the milliseconds of the clock, as those of a new life
// do, and so above all that were ever given.
//
// Nothing comes between two steps of a script: who answers is asked once in each.
// A Redis before 7 tells one part of INFO at a time.
//
// pulse is: gateway, its latest confirmed beat, when that was, and how many
// milliseconds are to pass at least and at most, and are remembered.
const standing = clock + `
local known
local function identity()
  if known then
    return known
  end
  local all = redis.pcall('INFO', 'server', 'replication')
  local texts = {all}
  if type(all) ~= 'string' then
    texts = {redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')}
  end
  known = ''
  for _, text in ipairs(texts) do
    if type(text) == 'string' then
      known = known .. (string.match(text, '\nrun_id:(%x+)') or '') .. (string.match(text, '\nmaster_replid:(%x+)') or '')
    end
  end
  return known
end
local function whole(number)
  return string.format('%.0f', number)
end
local function lose(k, run, now)
  local newest = redis.call('ZREVRANGE', k.alive, 0, 0, 'WITHSCORES')
  redis.call('DEL', k.awaited)
  if newest[2] then
    for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', k.alive, whole(tonumber(newest[2]) - 10000), '+inf')) do
      redis.call('SADD', k.awaited, gateway)
    end
  end
  redis.call('HSET', k.vouched, 'run', run, 'open', '', 'since', whole(now))
  redis.call('HINCRBY', k.vouched, 'round', 1)
  local fetch = redis.call('HGET', k.meta, 'fetch')
  if fetch then
    redis.call('HSET', k.meta, 'fetch', whole(math.max(tonumber(fetch), now)))
  end
end
local function standing(k, pulse)
  local me, confirmed, at, least, most, remembered = string.match(pulse, '^(%S+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  confirmed, at, least, most, remembered = tonumber(confirmed), tonumber(at), tonumber(least), tonumber(most), tonumber(remembered)
  local now, run = clock(), identity()
  local v = redis.call('HMGET', k.vouched, 'run', 'open', 'since', 'until')
  local behind = tonumber(redis.call('HGET', k.beats, me) or '0') < confirmed
  if v[1] == run and v[2] == '1' and not behind then
    return 1
  end
  local began = v[1] ~= run or v[2] == '1'
  if began then
    lose(k, run, now)
  end
  if behind then
    if at - tonumber(redis.call('ZSCORE', k.alive, me) or '0') > remembered then
      redis.call('DEL', k.books)
    end
    redis.call('HSET', k.beats, me, whole(confirmed))
    redis.call('SADD', k.awaited, me)
  end
  if began or behind then
    redis.call('HSET', k.vouched, 'until', whole(now + least))
    return 0
  end
  if now < tonumber(v[4]) then
    return 0
  end
  if redis.call('SCARD', k.awaited) > 0 then
    if now < tonumber(v[3]) + most then
      return 0
    end
    redis.call('DEL', k.books, k.awaited)
  end
  redis.call('HSET', k.vouched, 'open', '1')
  return 1
end
local function beat(k, pulse)
  local me, now = string.match(pulse, '^(%S+)'), clock()
  redis.call('ZADD', k.alive, whole(now), me)
  return {redis.call('HINCRBY', k.beats, me, 1), whole(now)}
end
`

// beatSource is a sign of life at some sources.
//
//	KEYS     for each source: 1 meta, 2 books, 3 vouched, 4 beats, 5 alive, 6 awaited
//	ARGV     1 milliseconds after which a gateway is forgotten, then the pulse of each source
//	returns  for each source: 1 or 0 (see standing), the round, 1 if there are books, the beat, its time
const beatSource = standing + `
local answers = {}
for n = 1, #KEYS / 6 do
  local at, pulse = 6 * n - 6, ARGV[n + 1]
  local k = {meta = KEYS[at + 1], books = KEYS[at + 2], vouched = KEYS[at + 3], beats = KEYS[at + 4], alive = KEYS[at + 5], awaited = KEYS[at + 6]}
  local stands = standing(k, pulse)
  local b = beat(k, pulse)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', k.alive, '-inf', whole(tonumber(b[2]) - tonumber(ARGV[1])), 'LIMIT', 0, 10)) do
    redis.call('HDEL', k.beats, gone)
    redis.call('ZREM', k.alive, gone)
  end
  answers[n] = {stands, redis.call('HGET', k.vouched, 'round'), redis.call('EXISTS', k.books), b[1], b[2]}
end
return answers
`

// vouchSource says that a gateway has put back all that it remembers. Whoever
// looked before the latest loss vouches for nothing.
//
//	KEYS     1 vouched, 2 awaited
//	ARGV     1 gateway, 2 the round that it began in
//	returns  1 vouched; 0 in another round
const vouchSource = `
if redis.call('HGET', KEYS[1], 'round') ~= ARGV[2] then
  return 0
end
redis.call('SREM', KEYS[2], ARGV[1])
return 1
`

// leaveSource forgets a gateway that ends in order. While the books are being put
// back, only one that has put back all that it remembers may go.
//
//	KEYS     1 meta, 2 books, 3 vouched, 4 beats, 5 alive, 6 awaited
//	ARGV     1 pulse
//	returns  1; 0 it is waited for
const leaveSource = standing + `
local k = {meta = KEYS[1], books = KEYS[2], vouched = KEYS[3], beats = KEYS[4], alive = KEYS[5], awaited = KEYS[6]}
local me = string.match(ARGV[1], '^(%S+)')
if standing(k, ARGV[1]) == 0 and redis.call('SISMEMBER', k.awaited, me) == 1 then
  return 0
end
redis.call('HDEL', k.beats, me)
redis.call('ZREM', k.alive, me)
return 1
`

// openSource opens books of which nothing can have been lost.
//
//	KEYS     1 books, 2 vouched, 3 awaited
//	ARGV     1 name of this life of the books
//	returns  1
const openSource = standing + `
redis.call('SETNX', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[2], 'run', identity(), 'open', '1')
return 1
`

// readSource reads an entry.
//
//	KEYS     1 meta, 2 books, 3 vouched, 4 beats, 5 alive, 6 awaited, 7 entry
//	ARGV     1 pulse, then the fields
//	returns  1 or 0 (see standing), 1 if there are books, the fields
const readSource = standing + `
local k = {meta = KEYS[1], books = KEYS[2], vouched = KEYS[3], beats = KEYS[4], alive = KEYS[5], awaited = KEYS[6]}
local stands = standing(k, ARGV[1])
return {stands, redis.call('EXISTS', k.books), redis.call('HMGET', KEYS[7], unpack(ARGV, 2))}
`

// dueBooksSource names the entries that are due, the longest overdue first. Only
// where there are some it matters whether the books stand: what comes of nothing
// is the same.
//
//	KEYS     1 meta, 2 books, 3 vouched, 4 beats, 5 alive, 6 awaited, 7 wakes
//	ARGV     1 pulse, 2 how many at most
//	returns  the entries; none while the books are being put back
const dueBooksSource = standing + `
local due = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', whole(clock()), 'LIMIT', 0, ARGV[2])
if #due == 0 then
  return due
end
local k = {meta = KEYS[1], books = KEYS[2], vouched = KEYS[3], beats = KEYS[4], alive = KEYS[5], awaited = KEYS[6]}
if standing(k, ARGV[1]) == 0 then
  return {}
end
return due
`
