package cache

// budgetSource gives out the calls of a source to the nodes that ask for them.
// Who asks is granted what its turn is, as if all calls of all nodes stood in one
// queue: by lane, a lower one after each 19 calls of higher ones, and within a
// lane the node first that was served longest ago. What is another's turn is
// left for it to fetch. The last place of three or more is not for lanes in
// which nobody waits (the 4th and 5th).
//
// A node is taken to have what it told last until its lease ends, and is known for
// longer. Of limits that differ the lowest
// holds while whoever has it makes calls.
//
//	KEYS     1 budget, 2 nodes
//	ARGV     1 node, 2 "1" it is gone, 3 lease, 4 how long spare tokens live, 5 how long it is known,
//	         6 the longest pause (all in ms), 7 rate (calls a second), 8 places, 9 urgent calls under way,
//	         10 others, 11 spare tokens wanted, 12 of them given back, 13 calls made without asking,
//	         14 share, 15 ms in which it recovers, 16 pause in ms, 17 nodes known,
//	         18 day, 19 its begin, 20 its end (ms since 1970), 21-25 calls of the day by lane (0: any), 26-30 waiting by lane,
//	         31 number of the report: what it gives back and owes counts once, though the client may send it again,
//	         32 calls of the day that the node was last told of: they count where it is not known
//	returns  now (ms since 1970), 1 when that is not in the day (then nothing else);
//	         share (millionths), pause (ms), places, calls of others, nodes, wait (microseconds), calls of the day,
//	         spare tokens, then the calls granted by lane
const budgetSource = `
local function arg(i) return tonumber(ARGV[i]) end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000
if now < arg(19) or now >= arg(20) then
  return {math.floor(now), 1}
end
local function ms(n) return string.format('%.3f', n) end

local me = {rate = arg(7), places = arg(8), urgent = arg(9), lazy = arg(10), w = {}, s = {}}
local before = {}
for r = 1, 5 do
  me.w[r], me.s[r] = arg(25 + r), now
end
local nodes, known, met, back, owed = {me}, 1, false, arg(12), arg(13)
local flat = redis.call('HGETALL', KEYS[2])
for i = 1, #flat, 2 do
  local f = {}
  for v in string.gmatch(flat[i + 1], '%S+') do f[#f + 1] = tonumber(v) end
  local age = math.abs(now - f[1])
  if flat[i] == ARGV[1] then
    met = true
    if f[17] == arg(31) then back, owed = 0, 0 end
    for r = 1, 5 do
      if f[6 + r] > 0 then me.s[r] = math.min(now, f[11 + r]) end
    end
  elseif age > arg(5) then
    redis.call('HDEL', KEYS[2], flat[i])
  else
    known = known + 1
    if age <= arg(3) then
      local n = {rate = f[2], places = f[3], urgent = f[4], lazy = f[5], out = 0, w = {}, s = {}}
      if age <= arg(4) then n.out = f[6] end
      for r = 1, 5 do
        n.w[r], n.s[r] = f[6 + r], f[11 + r]
      end
      nodes[#nodes + 1] = n
    end
  end
end

local rate, places, others, lazies, out, waiting = me.rate, me.places, 0, me.lazy, 0, 0
for i = 2, #nodes do
  local n = nodes[i]
  rate, places = math.min(rate, n.rate), math.min(places, n.places)
  others, lazies, out = others + n.urgent + n.lazy, lazies + n.lazy, out + n.out
  for r = 1, 5 do waiting = waiting + n.w[r] end
end

local b = redis.call('HMGET', KEYS[1], 'tokens', 'filled', 'share', 'grown', 'until', 'day', 'spent', 'born', 'passed', 'lost')
-- A node that knows others, and is not known here, had to do with an earlier life
-- of this record: until they all have told what they do, each goes by its part.
local born = math.min(now, tonumber(b[8] or now))
local lost = b[10] == '1' or arg(17) > 1 and not met
local share = tonumber(b[3] or 1)
share = math.min(1, share + 0.95 * math.max(0, now - tonumber(b[4] or now)) / arg(15), arg(14))
local pause = math.min(math.max(tonumber(b[5] or 0) - now, arg(16), 0), arg(6))
local day, spent = tonumber(b[6] or -1), tonumber(b[7] or 0)
if arg(18) > day then
  day, spent = arg(18), 0
end
if not met and arg(18) == day then spent = math.max(spent, arg(32)) end
spent = math.max(0, spent + owed - back)

local pace = rate * share / 1000
local burst = math.max(1, math.max(places, math.ceil(rate / 10)) * share)
local tokens = tonumber(b[1] or (lost and 1 or burst))
tokens = tokens + pace * math.max(0, now - tonumber(b[2] or now)) + back
tokens = math.max(0, math.min(tokens, burst - out))
places = math.max(1, math.floor(places * share + 0.5))
local room = places
if places >= 3 then room = places - 1 end
local mine, most = me.urgent + me.lazy, places
if lost and now - born < arg(3) / 2 then
  most = math.max(1, math.floor(places / math.max(known, arg(17))))
end

local passed, told = {0, 0, 0, 0, 0}, {}
local at = 1
for v in string.gmatch(b[9] or '', '%S+') do
  passed[at] = tonumber(v)
  at = at + 1
end
for r = 1, 5 do told[r] = passed[r] end
local function head(r)
  local first
  for i = 1, #nodes do
    local n = nodes[i]
    if n.w[r] > 0 and (not first or n.s[r] < first.s[r]) then first = n end
  end
  return first
end
local granted, ahead, busy, wait = {0, 0, 0, 0, 0}, 0, mine + others, 0
while pause <= 0 and busy < places do
  local lane, first
  for r = 1, 5 do
    local cap = arg(20 + r)
    if (cap == 0 or spent + ahead < cap) and (r < 4 or lazies < room) and head(r) then
      if passed[r] >= 19 then
        lane = r
        break
      end
      first = first or r
    end
  end
  lane = lane or first
  if not lane then break end
  local n = head(lane)
  if n == me and mine >= most then break end
  if tokens - ahead < 1 then
    wait = (1 + ahead - tokens) / pace
    break
  end
  n.w[lane], n.s[lane] = n.w[lane] - 1, now + busy / 1000
  for r = lane + 1, 5 do
    if head(r) then
      passed[r] = passed[r] + 1
      if n == me then told[r] = told[r] + 1 end
    end
  end
  passed[lane] = 0
  if n == me then
    told[lane], granted[lane], tokens, spent, mine = 0, granted[lane] + 1, tokens - 1, spent + 1, mine + 1
    if lane < 4 then me.urgent = me.urgent + 1 else me.lazy = me.lazy + 1 end
  else
    ahead = ahead + 1
  end
  if lane >= 4 then lazies = lazies + 1 end
  busy = busy + 1
end

local spare = 0
if waiting == 0 and pause <= 0 and places >= 3 and most == places then
  spare = math.max(0, math.min(arg(11), math.floor(tokens - 1)))
  if arg(25) > 0 then spare = math.max(0, math.min(spare, math.floor((arg(25) - spent) / 8))) end
  tokens, spent = tokens - spare, spent + spare
end

redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'filled', ms(now), 'share', string.format('%.6f', share),
  'grown', ms(now + pause), 'until', ms(now + pause), 'day', day, 'spent', spent, 'born', ms(born), 'passed', table.concat(told, ' '), 'lost', lost and '1' or '0')
redis.call('PEXPIRE', KEYS[1], 172800000)
if ARGV[2] == '1' then
  redis.call('HDEL', KEYS[2], ARGV[1])
  known = known - 1
else
  local since = {}
  for r = 1, 5 do since[r] = ms(me.s[r]) end
  redis.call('HSET', KEYS[2], ARGV[1], table.concat({ms(now), ARGV[7], ARGV[8], me.urgent, me.lazy, spare,
    table.concat(me.w, ' '), table.concat(since, ' '), ARGV[31]}, ' '))
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {math.floor(now), 0, math.floor(share * 1000000), math.ceil(pause), places, others + waiting, known, math.ceil(wait * 1000),
  spent, spare, granted[1], granted[2], granted[3], granted[4], granted[5]}
`
