-- Notes that an instance is alive, and counts those that are.
--
-- KEYS[1]  a sorted set of instances, by when they will be taken for dead
-- ARGV[1], ARGV[2]  as in algorithms.lua
-- ARGV[3]  the instance
-- ARGV[4]  how long it is taken for alive, in microseconds; 0: it goes
--
-- Returns the moment, how many are alive, and how many of those stand before this one in the order of their names; for one
-- that goes, how many are left and 0.

if is_late then return { now } end

local alive = tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now))
if alive == 0 then
  redis.call('ZREM', KEYS[1], ARGV[3])
  return { now, redis.call('ZCARD', KEYS[1]), 0 }
end
redis.call('ZADD', KEYS[1], text(now + alive), ARGV[3])
redis.call('PEXPIRE', KEYS[1], text(math.ceil(alive / 1000) + 1))
local place = 0
for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if other < ARGV[3] then place = place + 1 end
end
return { now, redis.call('ZCARD', KEYS[1]), place }
