-- Notes how a breaker is in one instance, and says how it is in the others.
--
-- KEYS[1]  a sorted set of the instances in which it is open, by until when that holds
-- KEYS[2]  the instance that probes for all
-- KEYS[3]  when it was closed for all
-- ARGV[1], ARGV[2]  as in algorithms.lua
-- ARGV[3]  the instance
-- ARGV[4]  'open', 'closed' or 'look'
-- ARGV[5]  for how long that it is open holds, in microseconds
-- ARGV[6]  for how long the instance wants to be the one that probes, in microseconds; 0: it does not,
--          or not any more
--
-- Returns the moment; in how many others it is open; for how long that holds; who probes (0: nobody, 1: this instance, 2: another);
-- how long ago it was closed for all (-1: not lately).

if is_late then return { now } end

local me, word, holds, probes_for = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
-- How long it is remembered that it was closed for all: longer than anybody looks away.
local REMEMBERED = 60000

local function milliseconds(micros) return text(math.ceil(micros / 1000)) end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now))
local prober = redis.call('GET', KEYS[2])
if word == 'open' then
  redis.call('ZADD', KEYS[1], text(now + holds), me)
  -- The latest to say so may not be the one for whom it holds longest.
  local longest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', KEYS[1], milliseconds(tonumber(longest[2]) - now + 1000))
elseif word == 'closed' then
  redis.call('ZREM', KEYS[1], me)
  if not prober or prober == me then
    redis.call('DEL', KEYS[1], KEYS[2])
    redis.call('SET', KEYS[3], text(now), 'PX', text(REMEMBERED))
    prober = false
  end
end
if probes_for > 0 and (not prober or prober == me) then
  redis.call('SET', KEYS[2], me, 'PX', milliseconds(probes_for))
  prober = me
elseif probes_for == 0 and prober == me then
  redis.call('DEL', KEYS[2])
  prober = false
end

local others, longest = 0, 0
local open = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #open, 2 do
  if open[at] ~= me then
    others = others + 1
    longest = math.max(longest, tonumber(open[at + 1]) - now)
  end
end
local closed = redis.call('GET', KEYS[3])
local closed_ago = closed and math.max(now - tonumber(closed), 0) or -1
return { now, others, longest, prober and (prober == me and 1 or 2) or 0, closed_ago }
