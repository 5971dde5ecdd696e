-- The five algorithms. Put in front of each script that needs them.
--
-- Times are microseconds by the server's clock, counts are whole numbers; both are exact below 2^53. What a bucket's
-- tokens take is a pair: whole microseconds, and what is left of that in parts of 2^-20.
--
-- ARGV[1]  the moment, for tests; '' means the server's clock
-- ARGV[2]  the last moment at which this may still be done, '' for no end

local PART = 1048576
-- A clock further back than this was set back. Anything less is two servers that do not quite agree.
local SET_BACK = 3610000000

local function the_time()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local now = the_time()
local is_late = ARGV[2] ~= '' and now > tonumber(ARGV[2])

-- Whole numbers as text: Lua would write large ones with an exponent.
local function text(number) return string.format('%.0f', number) end

-- Pairs of microseconds and parts.
local function times(count, pair)
  local parts = count * pair[2]
  local carried = math.floor(parts / PART)
  return { count * pair[1] + carried, parts - carried * PART }
end
local function plus(a, b)
  local parts = a[2] + b[2]
  if parts >= PART then return { a[1] + b[1] + 1, parts - PART } end
  return { a[1] + b[1], parts }
end
local function minus(a, b)
  if a[2] < b[2] then return { a[1] - b[1] - 1, a[2] - b[2] + PART } end
  return { a[1] - b[1], a[2] - b[2] }
end
local function above(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end
-- Whole microseconds, rounded up, never less than none.
local function up(pair)
  local whole = pair[1]
  if pair[2] > 0 then whole = whole + 1 end
  return math.max(whole, 0)
end

-- Each kind has: read, wait(cost) (0: it fits; -1: never), take(cost), left, reset, write, and for leases give_back, and
-- add (what was spent by others before this state was lost).

-- A bucket: token bucket and leaky bucket, as the generic cell rate algorithm. The key has the moment at which it is full, and
-- what a token took when that was written.
local function bucket_kind()
  local Bucket = {}
  function Bucket:read()
    self.flow = { self.a, self.b }
    self.span = times(self.limit, self.flow)
    self.full = { 0, 0 }
    local kept = redis.call('GET', self.key)
    if kept then
      local whole, parts, flow_whole, flow_parts = string.match(kept, '^(%d+):(%d+):(%d+):(%d+)$')
      self.full = { tonumber(whole), tonumber(parts) }
      local flow = { tonumber(flow_whole), tonumber(flow_parts) }
      if (flow[1] ~= self.flow[1] or flow[2] ~= self.flow[2]) and above(self.full, { now, 0 }) then
        -- By other settings so many tokens take another time to come back; rounded up to whole ones.
        local missing, one = minus(self.full, { now, 0 }), flow[1] + flow[2] / PART
        local spent = math.ceil((missing[1] + missing[2] / PART) / one - 1e-6)
        self.full = plus({ now, 0 }, times(spent, self.flow))
      end
      if above(minus(self.full, self.span), { now + SET_BACK, 0 }) then self:empty() end
    end
  end
  function Bucket:empty() self.full = plus({ now, 0 }, self.span); self.changed = true end
  function Bucket:missing()
    if above({ now, 0 }, self.full) then return { 0, 0 } end
    return minus(self.full, { now, 0 })
  end
  function Bucket:wait(cost)
    if cost > self.limit then return -1 end
    local after = plus(self:missing(), times(cost, self.flow))
    if not above(after, self.span) then return 0 end
    return up(minus(after, self.span))
  end
  function Bucket:take(cost)
    self.full = plus(plus({ now, 0 }, self:missing()), times(cost, self.flow))
    self.changed = true
  end
  function Bucket:left()
    local missing = self:missing()
    if above(missing, self.span) then return 0 end
    local there = minus(self.span, missing)
    local flow = self.flow[1] + self.flow[2] / PART
    local count = math.floor((there[1] + there[2] / PART) / flow)
    -- The division is rounded, so it may be one off.
    if above(times(count, self.flow), there) then return count - 1 end
    if not above(times(count + 1, self.flow), there) then return count + 1 end
    return count
  end
  function Bucket:reset() return up(self:missing()) end
  function Bucket:give_back(amount)
    local full = minus(plus({ now, 0 }, self:missing()), times(amount, self.flow))
    if above({ now, 0 }, full) then full = { now, 0 } end
    self.full, self.changed = full, true
  end
  -- Nobody knows how much was spent when, so it counts as used up.
  function Bucket:add() self:empty() end
  function Bucket:write()
    local alive = math.ceil(up(self:missing()) / 1000) + 1
    local value = { text(self.full[1]), text(self.full[2]), text(self.flow[1]), text(self.flow[2]) }
    redis.call('SET', self.key, table.concat(value, ':'), 'PX', text(alive))
  end
  return Bucket
end

-- One window or two: the key has the window's number, what was taken in it, what was taken in the one before, and how long
-- windows were when that was written.
local function window_kind()
  local Window = {}
  function Window:read()
    self.width = self.a
    local present = (now - now % self.width) / self.width
    self.index, self.count, self.before, self.is_new = present, 0, 0, true
    local kept = redis.call('GET', self.key)
    if not kept then return end
    local index, count, before, width = string.match(kept, '^(%d+):(%d+):(%d+):(%d+)$')
    index, count, before, width = tonumber(index), tonumber(count), tonumber(before), tonumber(width)
    if width ~= self.width then
      -- By other settings: what was spent in a window that is not over is spent in the present one.
      if (index + 1) * width > now then self.count = count end
    elseif index * self.width > now + SET_BACK then
      self.count = self.limit
    elseif index >= present then
      self.index, self.count, self.before, self.is_new = index, count, before, false
    elseif index == present - 1 then
      self.before = count
    end
    if not self.is_sliding then self.before = 0 end
  end
  function Window:start() return math.max(self.index * self.width, now) end
  -- What the window before still weighs, times a window's length.
  function Window:weight() return self.before * (self.width - (self:start() - self.index * self.width)) end
  -- How long until the window before has lost so much of its weight that `room` is left, in window `index`.
  function Window:due(before, index, room)
    local kept = before > 0 and math.min(math.floor(room * self.width / before), self.width) or self.width
    return (index + 1) * self.width - kept - now
  end
  function Window:wait(cost)
    if cost > self.limit then return -1 end
    local room = self.limit - self.count - cost
    if not self.is_sliding then
      if room >= 0 then return 0 end
      return (self.index + 1) * self.width - now
    end
    if room >= 0 then
      if self:weight() <= room * self.width then return 0 end
      return self:due(self.before, self.index, room)
    end
    return self:due(self.count, self.index + 1, self.limit - cost)
  end
  function Window:take(cost) self.count = self.count + cost; self.changed = true end
  function Window:left()
    return math.max(self.limit - self.count - math.ceil(self:weight() / self.width), 0)
  end
  function Window:reset()
    if not self.is_sliding then
      if self.count == 0 then return 0 end
      return (self.index + 1) * self.width - now
    end
    if self.count > 0 then return (self.index + 2) * self.width - now end
    if self.before > 0 then return (self.index + 1) * self.width - now end
    return 0
  end
  function Window:give_back(amount, index)
    if index ~= self.index then return end
    self.count = math.max(self.count - amount, 0)
    self.changed = true
  end
  function Window:add(index, count, before)
    if index == self.index then
      self.count, self.before = self.count + count, self.before + (self.is_sliding and before or 0)
    elseif index == self.index - 1 and self.is_sliding then
      self.before = self.before + count
    else
      return
    end
    self.changed = true
  end
  function Window:write()
    local value = table.concat({ text(self.index), text(self.count), text(self.before), text(self.width) }, ':')
    if self.is_new then
      -- Set by the window's first, and left alone by all others. A sliding window counts for two windows.
      local alive = (self.index + (self.is_sliding and 2 or 1)) * self.width - now
      redis.call('SET', self.key, value, 'PX', text(math.ceil(alive / 1000) + 1))
    else
      redis.call('SET', self.key, value, 'KEEPTTL')
    end
  end
  return Window
end

-- The log: a list of moments, each with what was taken then and what has been taken up to then, in all.
local function log_kind()
  local Log = {}
  function Log:at(place)
    local moment, amount, total = string.match(redis.call('LINDEX', self.key, place), '^(%d+):(%d+):(%d+)$')
    return { at = tonumber(moment), amount = tonumber(amount), total = tonumber(total) }
  end
  -- The first place from `from` on for which `test` is true, which it is for all behind it; the length if there is none.
  function Log:first(from, test)
    local low, high = from, self.length
    while low < high do
      local middle = math.floor((low + high) / 2)
      if test(self:at(middle)) then high = middle else low = middle + 1 end
    end
    return low
  end
  function Log:read()
    self.width, self.present, self.added = self.a, now, 0
    self.length = redis.call('LLEN', self.key)
    self.base, self.taken, self.from = 0, 0, 0
    if self.length == 0 then return end
    self.last = self:at(-1)
    if self.last.at > now + SET_BACK then
      self.is_set_back, self.length = true, 0
      self.base, self.taken, self.added, self.last = 0, self.limit, self.limit, nil
      return
    end
    self.present = math.max(now, self.last.at)
    -- Mostly the oldest still counts.
    local head = self:at(0)
    if self.present - head.at >= self.width then
      self.from = self:first(1, function(entry) return self.present - entry.at < self.width end)
    end
    if self.from < self.length then
      head = self:at(self.from)
      self.base = head.total - head.amount
      self.taken = self.last.total - self.base
    end
  end
  function Log:wait(cost)
    if cost > self.limit then return -1 end
    local excess = self.taken + cost - self.limit
    if excess <= 0 then
      return 0
    end
    if self.taken - self.added >= excess then
      local place = self:first(self.from, function(entry) return entry.total - self.base >= excess end)
      return self:at(place).at + self.width - now
    end
    return self.present + self.width - now
  end
  function Log:take(cost)
    self.taken, self.added, self.changed = self.taken + cost, self.added + cost, true
  end
  function Log:left() return math.max(self.limit - self.taken, 0) end
  function Log:reset()
    if self.added > 0 then return self.present + self.width - now end
    if self.taken > 0 then return self.last.at + self.width - now end
    return 0
  end
  function Log:give_back() end
  function Log:add(_, count, before) self:take(count + before) end
  function Log:write()
    if self.is_set_back then redis.call('DEL', self.key) end
    if self.from > 0 then redis.call('LTRIM', self.key, self.from, -1) end
    if self.added > 0 then
      local amount, total = self.added, self.base + self.taken
      if self.last and self.last.at == self.present and self.from < self.length then
        amount = amount + self.last.amount
        redis.call('RPOP', self.key)
      end
      redis.call('RPUSH', self.key, text(self.present) .. ':' .. text(amount) .. ':' .. text(total))
    end
    redis.call('PEXPIRE', self.key, text(math.ceil((self.present + self.width - now) / 1000) + 1))
  end
  return Log
end

local KINDS = { bucket = bucket_kind, fixed = window_kind, sliding = window_kind, log = log_kind }
-- Made when one is asked for: a script makes all of its functions anew each time it runs.
local made = {}

-- The limit whose four settings begin at ARGV[from].
local function limit_at(key, from)
  local kind = ARGV[from]
  local make = KINDS[kind]
  if not made[make] then made[make] = { __index = make() } end
  local limit = setmetatable({
    key = key,
    limit = tonumber(ARGV[from + 1]),
    a = tonumber(ARGV[from + 2]),
    b = tonumber(ARGV[from + 3]),
    is_sliding = kind == 'sliding',
  }, made[make])
  limit:read()
  return limit
end
