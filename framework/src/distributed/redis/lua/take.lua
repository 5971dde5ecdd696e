-- Takes each of several costs, one after the other, from every limit or from none.
--
-- KEYS     one for each limit, the widest first
-- ARGV[3]  '1' to take, '0' only to look
-- then four for each limit: kind, limit, and two that say how fast
-- then two for each cost: the cost, and the last moment at which it may be decided here ('' for no end): later its caller has
-- decided without us
--
-- Returns the moment; then for each cost six numbers: whether it was taken; the limit that decides, from 1; what that has left;
-- microseconds until that is as good as new; microseconds until this cost would pass all (-1: never); a bit for
-- each limit that refuses. Of a cost that comes too late the first is -1, and it has taken nothing.

local limits = {}
for at, key in ipairs(KEYS) do limits[at] = limit_at(key, 4 * at) end

local takes = ARGV[3] == '1'
local answer = { now }
local function say(taken, at, retry, refusing)
  local limit = limits[at]
  for _, number in ipairs({ taken, at, limit:left(), limit:reset(), retry, refusing }) do
    answer[#answer + 1] = number
  end
end

for cost_at = 4 + 4 * #KEYS, #ARGV, 2 do
  local cost, last_moment = tonumber(ARGV[cost_at]), ARGV[cost_at + 1]
  local refused, retry, refusing = nil, 0, 0
  for at, limit in ipairs(limits) do
    local wait = cost == 0 and 0 or limit:wait(cost)
    if wait ~= 0 then
      refused = refused or at
      refusing = refusing + 2 ^ (at - 1)
      if wait < 0 or retry < 0 then retry = -1 else retry = math.max(retry, wait) end
    end
  end
  if last_moment ~= '' and now > tonumber(last_moment) then
    say(-1, 1, 0, 0)
  elseif refused then
    say(0, refused, retry, refusing)
  else
    local tightest, least, longest
    for at, limit in ipairs(limits) do
      if cost > 0 and takes then limit:take(cost) end
      local left, reset = limit:left(), limit:reset()
      if not tightest or left < least or (left == least and reset > longest) then
        tightest, least, longest = at, left, reset
      end
    end
    say(1, tightest, 0, 0)
  end
end

-- A clock that was set back is noted too, but only with something taken: a refusal writes nothing.
if takes then
  local any = false
  for at = 2, #answer, 6 do any = any or answer[at] == 1 end
  for _, limit in ipairs(limits) do
    if any and limit.changed then limit:write() end
  end
end
return answer
