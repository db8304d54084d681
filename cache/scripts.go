package cache

import "github.com/redis/go-redis/v9"

// preamble is in front of every script that writes to a source.
//
// live makes sure that the source has a life: numbers of fetches begin anew
// with it, at the milliseconds of the server's clock, so that those of an
// earlier life stay below. tell adds an entry to the feed and wakes followers.
const preamble = `
local function live(meta, life)
  if redis.call('HSETNX', meta, 'life', life) == 1 then
    local now = redis.call('TIME')
    local base = string.format('%.0f', tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
    redis.call('HSET', meta, 'base', base, 'fetch', base)
  end
end
local function tell(meta, feed, nonce, keep, channel, source, ...)
  local seq = string.format('%.0f', redis.call('HINCRBY', meta, 'seq', 1))
  redis.call('HSET', meta, 'nonce', nonce)
  redis.call('XADD', feed, 'MAXLEN', '~', keep, seq .. '-0', 'n', nonce, ...)
  redis.call('PUBLISH', channel, source)
end
`

// beginSource numbers a fetch. Slots whose claim ended a short while ago, at a
// source whose searches are behind its writes, are fenced against it as well.
//
//	KEYS     1 meta, 2 feed, 3 fences, 4 lagging
//	ARGV     1 name of a new life, should the source need one,
//	         2 nonce, 3 length of the feed, 4 channel, 5 source
//	returns  the number
const beginSource = preamble + clock + `
live(KEYS[1], ARGV[1])
local fetch = redis.call('HINCRBY', KEYS[1], 'fetch', 1)
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', clock()))
local names = ''
for _, slot in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  redis.call('HSET', KEYS[3], slot, redis.call('HGET', KEYS[1], 'fetch'))
  local rest = #slot
  while rest >= 128 do
    names = names .. string.char(128 + rest % 128)
    rest = math.floor(rest / 128)
  end
  names = names .. string.char(rest) .. slot
end
if names ~= '' then
  tell(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'm', names)
end
return fetch
`

// windowsSource writes windows and checks, all or nothing.
//
//	KEYS     1 meta, 2 checks, 3 days, 4 feed, 5 stands, then for each day: heads, windows
//	ARGV     1 rev that the caller compared with, 2 number of the fetch ('' when none),
//	         3 nonce, 4 length of the feed, 5 channel, 6 source,
//	         7 end of the fetch, 8 names of the windows for the feed, 9 check for the feed ('' when none),
//	         10 n, then n pairs of checks to set, m, then m checks to delete,
//	         k, then k stands to delete, l, then l pairs of stands to set,
//	         then for each day: its number, n, n times (schedule, head, content), m, m schedules to delete
//	returns  1 written; 0 others wrote since the comparison; -1 the fetch began in another life
const windowsSource = preamble + `
local meta = redis.call('HMGET', KEYS[1], 'rev', 'base', 'fetch')
if ARGV[2] ~= '' then
  local fetch = tonumber(ARGV[2])
  if not meta[3] or fetch < tonumber(meta[2]) or fetch > tonumber(meta[3]) then
    return -1
  end
end
if (meta[1] or '') ~= ARGV[1] then
  return 0
end
local at = 10
local function list(each)
  local n = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, n do each() end
end
list(function()
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end)
list(function()
  redis.call('HDEL', KEYS[2], ARGV[at])
  redis.call('HDEL', KEYS[5], ARGV[at])
  at = at + 1
end)
list(function()
  redis.call('HDEL', KEYS[5], ARGV[at])
  at = at + 1
end)
list(function()
  redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1])
  at = at + 2
end)
for k = 6, #KEYS, 2 do
  local day = ARGV[at]
  at = at + 1
  list(function()
    redis.call('HSET', KEYS[k], ARGV[at], ARGV[at + 1])
    redis.call('HSET', KEYS[k + 1], ARGV[at], ARGV[at + 2])
    at = at + 3
  end)
  list(function()
    redis.call('HDEL', KEYS[k], ARGV[at])
    redis.call('HDEL', KEYS[k + 1], ARGV[at])
    at = at + 1
  end)
  if redis.call('EXISTS', KEYS[k]) == 1 then
    redis.call('SADD', KEYS[3], day)
  else
    redis.call('SREM', KEYS[3], day)
  end
end
redis.call('HSET', KEYS[1], 'rev', ARGV[3])
if ARGV[8] ~= '' or ARGV[9] ~= '' then
  tell(KEYS[1], KEYS[4], ARGV[3], ARGV[4], ARGV[5], ARGV[6], 'f', ARGV[2], 'a', ARGV[7], 'w', ARGV[8], 'c', ARGV[9])
end
return 1
`

// confirmSource moves the check of a scope whose answer is the one that stands.
// It says of which fetch the check is by itself, so that it never goes back.
//
//	KEYS     1 meta, 2 checks, 3 stands, 4 feed
//	ARGV     1 number of the fetch, 2 nonce, 3 length of the feed, 4 channel, 5 source,
//	         6 end of the fetch, 7 scope, 8 token of the answer, 9 check, 10 '1' when it proves
//	returns  1 confirmed, by this fetch or a later one; 0 the windows are not of that answer;
//	         -1 the fetch began in another life
const confirmSource = preamble + `
local meta = redis.call('HMGET', KEYS[1], 'base', 'fetch')
local fetch = tonumber(ARGV[1])
if not meta[2] or fetch < tonumber(meta[1]) or fetch > tonumber(meta[2]) then
  return -1
end
local stand = redis.call('HGET', KEYS[3], ARGV[7]) or ''
local token, proved, latest = string.match(stand, '^(%w+) (%d+) (%d+)$')
if token ~= ARGV[8] or redis.call('HEXISTS', KEYS[2], ARGV[7]) == 0 then
  return 0
end
if tonumber(latest) > fetch then
  return 1
end
if ARGV[10] == '1' then
  proved = ARGV[1]
end
redis.call('HSET', KEYS[2], ARGV[7], ARGV[9])
redis.call('HSET', KEYS[3], ARGV[7], token .. ' ' .. proved .. ' ' .. ARGV[1])
redis.call('HSET', KEYS[1], 'rev', ARGV[2])
tell(KEYS[1], KEYS[4], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'f', ARGV[1], 'a', ARGV[6], 'w', '', 'c', ARGV[9])
return 1
`

// directorySource writes records of the directory.
//
//	KEYS     1 meta, 2 directory, 3 dirheads, 4 feed
//	ARGV     1 name of a new life, 2 nonce, 3 length of the feed, 4 channel, 5 source,
//	         6 names of the records for the feed, 7 n, n times (name, digest, record), m, m names to delete
//	returns  1
const directorySource = preamble + `
live(KEYS[1], ARGV[1])
local at = 8
for _ = 1, tonumber(ARGV[7]) do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 2])
  at = at + 3
end
for i = at + 1, at + tonumber(ARGV[at]) do
  redis.call('HDEL', KEYS[3], ARGV[i])
  redis.call('HDEL', KEYS[2], ARGV[i])
end
tell(KEYS[1], KEYS[4], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'd', ARGV[6])
return 1
`

// statusSource writes the status.
//
//	KEYS     1 meta, 2 status, 3 feed
//	ARGV     1 name of a new life, 2 nonce, 3 length of the feed, 4 channel, 5 source,
//	         6 status, 7 the same without "loaded", 8 the life in which it was loaded ('' for this one)
//	returns  the life of the source
const statusSource = preamble + `
live(KEYS[1], ARGV[1])
local life = redis.call('HGET', KEYS[1], 'life')
local status = ARGV[6]
if ARGV[8] ~= '' and ARGV[8] ~= life then
  status = ARGV[7]
end
redis.call('SET', KEYS[2], status)
tell(KEYS[1], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 's', '1')
return life
`

// leaseSource takes a lease. Taking it again with the same token prolongs it, so
// that the client may repeat a call whose answer was lost.
//
//	KEYS     1 lease
//	ARGV     1 token, 2 lifetime in milliseconds
//	returns  1 taken; 0 another has it
const leaseSource = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`

// renewSource prolongs a lease.
//
//	KEYS     1 lease
//	ARGV     1 token, 2 lifetime in milliseconds
//	returns  1 prolonged; 0 it is not ours any more
const renewSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`

// releaseSource gives a lease back.
//
//	KEYS     1 lease
//	ARGV     1 token
//	returns  1 given back; 0 it was not ours any more
const releaseSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
`

// script is a Lua script with the name under which it is measured.
type script struct {
	name string
	*redis.Script
}

// scripts are all scripts of the cache.
type scripts struct{ begin, windows, confirm, directory, status, lease, renew, release, attend script }

func newScripts() scripts {
	return scripts{
		begin:     script{"begin", redis.NewScript(beginSource)},
		windows:   script{"windows", redis.NewScript(windowsSource)},
		confirm:   script{"confirm", redis.NewScript(confirmSource)},
		directory: script{"directory", redis.NewScript(directorySource)},
		status:    script{"status", redis.NewScript(statusSource)},
		lease:     script{"lease", redis.NewScript(leaseSource)},
		renew:     script{"renew", redis.NewScript(renewSource)},
		release:   script{"release", redis.NewScript(releaseSource)},
		attend:    script{"attend", redis.NewScript(attendRoll)},
	}
}
