-- Gives an instance a part of a limit ahead of its need, and takes back what it did not use.
--
-- KEYS[1]  the limit's state
-- KEYS[2]  who holds leases: a hash of instances, and of
--            e  since when this hash is there: its epoch
--            l  until when the store only listens
--            x  that what was lost counts as used up
-- ARGV[3..6]  the limit
-- ARGV[7]  the instance
-- ARGV[8]  the epoch that it knows, '' if it knows none
-- ARGV[9]  a lease's length
-- ARGV[10] how much it wants at most
-- ARGV[11] how much it gives back
-- ARGV[12] the window of what it gives back, and of what it has been granted
-- ARGV[13] what it has been granted in that window
-- ARGV[14] and in the window before
-- ARGV[15] '1': it goes, and wants nothing any more
--
-- Returns the moment, the epoch, how much is granted, microseconds until there is enough more to ask again (0: now), the window,
-- what is left for all. Too late: the moment alone.

if is_late then return { now } end

local limit = limit_at(KEYS[1], 3)
local leases, instance, known = KEYS[2], ARGV[7], ARGV[8]
local term, wanted, returned = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local index, granted, before = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])

local kept = redis.call('HMGET', leases, 'e', 'l', 'x')
local epoch, listens_until, used_up = tonumber(kept[1]), tonumber(kept[2]), kept[3]
-- A server whose clock was set back would listen until the old time comes round.
if listens_until and listens_until > now + term then listens_until = now + term end

if not epoch then
  epoch, listens_until = now, now
  redis.call('HSET', leases, 'e', text(epoch), 'l', text(now))
end
if known ~= '' and tonumber(known) ~= epoch then
  -- It has leases of a state that was lost. Others will have, too: they are given the time to say so.
  listens_until = math.max(listens_until, epoch + term)
  redis.call('HSET', leases, 'l', text(listens_until))
  if limit.flow then
    if not used_up then
      limit:add()
      redis.call('HSET', leases, 'x', '1')
    end
  else
    limit:add(index, granted, before)
  end
end

if returned > 0 then limit:give_back(returned, index) end

local wait, grant = 0, 0
if now < listens_until then
  wait = listens_until - now
elseif wanted > 0 then
  grant = math.min(wanted, limit:left())
  if grant > 0 then limit:take(grant) end
  -- Half of what is wanted: so what comes back is leased in few pieces, and not one by one.
  if grant < wanted then wait = limit:wait(math.min(math.ceil(wanted / 2), limit.limit)) end
end
if limit.changed then limit:write() end

if ARGV[15] == '1' then
  redis.call('HDEL', leases, instance)
else
  redis.call('HSET', leases, instance, text(now + term))
end
-- Forgotten when nobody has asked for ten leases' lengths, and then everything that they held is over.
redis.call('PEXPIRE', leases, text(math.ceil(term / 100) + 1))
return { now, epoch, grant, wait, limit.index or 0, limit:left() }
