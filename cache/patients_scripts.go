package cache

import "github.com/redis/go-redis/v9"

// patientScripts are the scripts of the patients.
type patientScripts struct{ add, replace, touch, forget, link, lock, unlock script }

func newPatientScripts() patientScripts {
	return patientScripts{
		add:     script{"person_add", redis.NewScript(addPersonSource)},
		replace: script{"person_replace", redis.NewScript(replacePersonSource)},
		touch:   script{"person_touch", redis.NewScript(touchPersonSource)},
		forget:  script{"person_forget", redis.NewScript(forgetPersonSource)},
		link:    script{"link_save", redis.NewScript(saveLinkSource)},
		lock:    script{"register_lock", redis.NewScript(lockPersonSource)},
		unlock:  script{"register_unlock", redis.NewScript(unlockPersonSource)},
	}
}

// found makes a person findable, and never for a shorter time than before.
const found = clock + `
local function longer(key, ttl)
  if redis.call('PTTL', key) < ttl then
    redis.call('PEXPIRE', key, string.format('%.0f', ttl))
  end
end
local function list(key, id, ttl)
  local now = clock()
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  local till = now + ttl
  local known = redis.call('ZSCORE', key, id)
  if not known or tonumber(known) < till then
    redis.call('ZADD', key, string.format('%.0f', till), id)
  end
  longer(key, ttl)
end
`

// addPersonSource adds a person unless one is known who is the same.
//
//	KEYS     1 person, then n same, then the terms
//	ARGV     1 id, 2 the record (sealed), 3 lifetime in milliseconds, 4 n, 5 how many of
//	         the n are by the newest key, 6 an id that is known to be gone ('' for none)
//	returns  the ids of those who are the same; none: added
const addPersonSource = found + `
local n, ttl = tonumber(ARGV[4]), tonumber(ARGV[3])
local others = {}
for i = 2, n + 1 do
  local id = redis.call('GET', KEYS[i])
  if id and id ~= ARGV[6] and id ~= ARGV[1] then
    others[#others + 1] = id
  end
end
if #others > 0 then
  return others
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for i = 2, tonumber(ARGV[5]) + 1 do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[3])
end
for i = n + 2, #KEYS do
  list(KEYS[i], ARGV[1], ttl)
end
return others
`

// replacePersonSource puts a newer record in the place of a person's, with all
// that leads there, and leaves the time that the person has.
//
//	KEYS     1 person, then n same of the newer, then its m terms, then o same of the
//	         older, then the older's terms
//	ARGV     1 id, 2 the record as it was read, 3 the newer (sealed), 4 lifetime in
//	         milliseconds, at least, 5 n, 6 how many of the n are by the newest key,
//	         7 m, 8 o, 9 an id that is known to be gone ('' for none)
//	returns  1 replaced; 0 it is another record by now, or there is none, or another is
//	         the same as the newer
const replacePersonSource = found + `
local n, m, o = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
  return 0
end
for i = 2, n + 1 do
  local id = redis.call('GET', KEYS[i])
  if id and id ~= ARGV[9] and id ~= ARGV[1] then
    return 0
  end
end
local ttl = math.max(tonumber(ARGV[4]), redis.call('PTTL', KEYS[1]))
local last = n + m + 1
for i = last + 1, last + o do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
  end
end
for i = last + o + 1, #KEYS do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
local px = string.format('%.0f', ttl)
redis.call('SET', KEYS[1], ARGV[3], 'PX', px)
for i = 2, tonumber(ARGV[6]) + 1 do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', px)
end
for i = n + 2, last do
  list(KEYS[i], ARGV[1], ttl)
end
return 1
`

// touchPersonSource keeps a person for longer.
//
//	KEYS     1 person, then n same, then the terms
//	ARGV     1 id, 2 the record as it was read, 3 the record sealed anew, 4 lifetime in
//	         milliseconds, 5 n
//	returns  1 kept; 0 there is none; 2 it is another record by now: what leads there
//	         may be other, too
const touchPersonSource = found + `
local known = redis.call('GET', KEYS[1])
if not known then
  return 0
end
if known ~= ARGV[2] then
  return 2
end
local n, ttl = tonumber(ARGV[5]), tonumber(ARGV[4])
redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
longer(KEYS[1], ttl)
for i = 2, n + 1 do
  local id = redis.call('GET', KEYS[i])
  if not id then
    redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[4])
  elseif id == ARGV[1] then
    longer(KEYS[i], ttl)
  end
end
for i = n + 2, #KEYS do
  list(KEYS[i], ARGV[1], ttl)
end
return 1
`

// forgetPersonSource forgets a person and all that leads there.
//
//	KEYS     1 person, then n same, then the terms
//	ARGV     1 id, 2 n, 3 the record as it was read
//	returns  1 forgotten; 0 there was none; 2 it is another record by now
const forgetPersonSource = `
local known = redis.call('GET', KEYS[1])
if known and known ~= ARGV[3] then
  return 2
end
local n = tonumber(ARGV[2])
for i = 2, n + 1 do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
  end
end
for i = n + 2, #KEYS do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
return redis.call('DEL', KEYS[1])
`

// saveLinkSource writes links, each if it is still as it was read.
//
//	KEYS     1 links
//	ARGV     1 lifetime in milliseconds, 2 '1' to write whatever was there,
//	         then for each: source, the link as it was read, the link (sealed; '' to drop it)
//	returns  how many were written
const saveLinkSource = `
local n = 0
for i = 3, #ARGV, 3 do
  if ARGV[2] == '1' or redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    n = n + 1
    if ARGV[i + 2] == '' then
      redis.call('HDEL', KEYS[1], ARGV[i])
    else
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    end
  end
end
local ttl = tonumber(ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left >= -1 and left < ttl then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return n
`

// lockPersonSource takes all locks, or none. Taking them again with the same
// token prolongs them.
//
//	KEYS     locks
//	ARGV     1 token, 2 lifetime in milliseconds
//	returns  1 taken; 0 another has one of them
const lockPersonSource = `
for _, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if holder and holder ~= ARGV[1] then
    return 0
  end
end
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return 1
`

// unlockPersonSource gives back those locks that are still ours.
//
//	KEYS     locks
//	ARGV     1 token
//	returns  how many
const unlockPersonSource = `
local n = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    n = n + redis.call('DEL', key)
  end
end
return n
`
