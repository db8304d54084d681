package cache

import "github.com/redis/go-redis/v9"

// coverScripts are the scripts of the coverage.
type coverScripts struct{ add, replace, touch, forget script }

func newCoverScripts() coverScripts {
	return coverScripts{
		add:     script{"coverage_add", redis.NewScript(addCoverageSource)},
		replace: script{"coverage_replace", redis.NewScript(replaceCoverageSource)},
		touch:   script{"coverage_touch", redis.NewScript(touchCoverageSource)},
		forget:  script{"coverage_forget", redis.NewScript(forgetCoverageSource)},
	}
}

// longer prolongs, and never shortens: what goes with a person ends no sooner
// than they do.
const longer = `
local function lives(person, ttl)
  return math.max(tonumber(ttl), redis.call('PTTL', person))
end
local function longer(key, ttl)
  local left = redis.call('PTTL', key)
  if left >= -1 and left < ttl then
    redis.call('PEXPIRE', key, string.format('%.0f', ttl))
  end
end
`

// addCoverageSource adds a Coverage unless the same one is known.
//
//	KEYS     1 coverage, 2 coverages, 3 person, then samecover by each key of the vault, the newest first
//	ARGV     1 id, 2 the record (sealed), 3 lifetime in milliseconds, 4 now in milliseconds,
//	         5 the most that there may be, 6 an id that is known to be gone ('' for none)
//	returns  '' added; else the id of the same one; 'nobody' there is no such person; 'many' there are enough
const addCoverageSource = longer + `
if redis.call('EXISTS', KEYS[3]) == 0 then
  return 'nobody'
end
for i = 4, #KEYS do
  local id = redis.call('GET', KEYS[i])
  if id and id ~= ARGV[6] and id ~= ARGV[1] then
    return id
  end
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then
  return 'many'
end
local ttl = lives(KEYS[3], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', ttl))
redis.call('SET', KEYS[4], ARGV[1], 'PX', string.format('%.0f', ttl))
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if redis.call('PTTL', KEYS[2]) < ttl then
  redis.call('PEXPIRE', KEYS[2], string.format('%.0f', ttl))
end
return ''
`

// replaceCoverageSource writes a Coverage in the place of what was read.
//
//	KEYS     1 coverage, 2 coverages, 3 person, 4 samecover of the new one, then samecover of the old one
//	ARGV     1 id, 2 the record as it was read, 3 the new one (sealed), 4 lifetime in milliseconds
//	returns  1 written; 0 it is another one by now, or gone
const replaceCoverageSource = longer + `
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
  return 0
end
local ttl = lives(KEYS[3], ARGV[4])
for i = 5, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
  end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', string.format('%.0f', ttl))
redis.call('SET', KEYS[4], ARGV[1], 'NX', 'PX', string.format('%.0f', ttl))
longer(KEYS[2], ttl)
return 1
`

// touchCoverageSource keeps a Coverage for longer.
//
//	KEYS     1 coverage, 2 coverages, 3 person, then samecover
//	ARGV     1 id, 2 the record as it was read, 3 the record sealed anew, 4 lifetime in milliseconds
//	returns  1 kept; 0 there is none
const touchCoverageSource = longer + `
local known = redis.call('GET', KEYS[1])
if not known then
  return 0
end
if known == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
end
local ttl = lives(KEYS[3], ARGV[4])
longer(KEYS[1], ttl)
longer(KEYS[2], ttl)
for i = 4, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    longer(KEYS[i], ttl)
  end
end
return 1
`

// forgetCoverageSource forgets a Coverage, its links, and what leads to it.
//
//	KEYS     1 coverage, 2 coverages, 3 coverlinks, then samecover
//	ARGV     1 id
//	returns  1 forgotten; 0 there was none
const forgetCoverageSource = `
for i = 4, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
  end
end
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
`
