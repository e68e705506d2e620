-- One batch of operations on shared state, atomically, by the clock of this server.
--
-- ARGV holds for each key a letter of `apply` below and that operation's parameters.
-- Moments and durations of windows and slots are whole microseconds, those of buckets ticks
-- (policies/stores/gcra.py), all below 2^53 and so exact in Lua's doubles; a ttl is in
-- milliseconds. Replies are whole numbers, nil, strings or pairs. What
-- means nothing to an operation counts as absent, so that no operation fails the others.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ticks = (now - 1704067200000000) * 16

local function whole(number) return string.format('%.0f', number) end

-- The entry of a sliding window, `moment:count` with blanks between: policies/stores/windows.py
local function marks_of(text, per)
  local marks, used = {}, 0
  for moment, count in string.gmatch(text, '(%d+):(%d+)') do
    moment, count = tonumber(moment), tonumber(count)
    if moment + per > now then
      marks[#marks + 1] = {moment, count}
      used = used + count
    end
  end
  return marks, used
end

-- The entry of slots, `holder:count:end` with blanks between: policies/stores/slots.py
local function shares_of(text)
  local shares, used = {}, 0
  for holder, count, ends in string.gmatch(text, '(%S+):(%d+):(%d+)') do
    count, ends = tonumber(count), tonumber(ends)
    if ends > now then
      shares[holder] = {count, ends}
      used = used + count
    end
  end
  return shares, used
end

local function keep_shares(key, shares)
  local items, last = {}, 0
  for holder, share in pairs(shares) do
    items[#items + 1] = holder .. ':' .. whole(share[1]) .. ':' .. whole(share[2])
    last = math.max(last, share[2])
  end
  if #items == 0 then return redis.call('DEL', key) end
  local ttl = math.max(1, math.ceil((last - now) / 1000))
  redis.call('SET', key, table.concat(items, ' '), 'PX', ttl)
end

local apply = {
  -- consume(full, cost): the backlog before; policies/stores/gcra.py makes the answer of it
  c = function(key, full, cost)
    full, cost = tonumber(full), tonumber(cost)
    local tat = tonumber(redis.call('GET', key) or 0) or 0
    local backlog = math.min(math.max(tat - ticks, 0), full)
    local after = backlog + cost
    if cost > 0 and after <= full then
      redis.call('SET', key, whole(ticks + after), 'PX', math.ceil(after / 16000))
    end
    return backlog
  end,
  -- count(limit, cost, per, needs): what was used before, and the milliseconds that are left;
  -- nil where `needs` is a key and not there
  w = function(key, limit, cost, per, needs)
    if needs ~= '' and redis.call('EXISTS', needs) == 0 then return false end
    limit, cost, per = tonumber(limit), tonumber(cost), tonumber(per)
    local used = tonumber(redis.call('GET', key) or '')
    local left = used and redis.call('PTTL', key) or per
    local after = (used or 0) + cost
    if cost > 0 and after <= limit then
      redis.call('SET', key, whole(after), 'PX', math.max(1, left))
    end
    return {used or 0, left}
  end,
  -- slide(limit, cost, per, grain): now and the entry before; windows.py makes the answer of it
  s = function(key, limit, cost, per, grain)
    limit, cost, per, grain = tonumber(limit), tonumber(cost), tonumber(per), tonumber(grain)
    local held = redis.call('GET', key) or ''
    local marks, used = marks_of(held, per)
    if cost > 0 and used + cost <= limit then
      local last = marks[#marks]
      local moment = math.max(math.ceil(now / grain) * grain, last and last[1] or 0)
      if last and last[1] == moment then
        last[2] = last[2] + cost
      else
        marks[#marks + 1] = {moment, cost}
      end
      local items = {}
      for i, mark in ipairs(marks) do items[i] = whole(mark[1]) .. ':' .. whole(mark[2]) end
      local ttl = math.ceil((moment + per - now) / 1000)
      redis.call('SET', key, table.concat(items, ' '), 'PX', ttl)
    end
    return {now, held}
  end,
  -- occupy(holder, limit, cost, ttl): the slots used before
  o = function(key, holder, limit, cost, ttl)
    limit, cost, ttl = tonumber(limit), tonumber(cost), tonumber(ttl)
    local shares, used = shares_of(redis.call('GET', key) or '')
    if cost > 0 and used + cost <= limit then
      local mine = shares[holder] and shares[holder][1] or 0
      shares[holder] = {mine + cost, now + ttl * 1000}
      keep_shares(key, shares)
    end
    return used
  end,
  -- hold(holder, least, most, ttl)
  h = function(key, holder, least, most, ttl)
    least, most, ttl = tonumber(least), tonumber(most), tonumber(ttl)
    local shares = shares_of(redis.call('GET', key) or '')
    local mine = shares[holder] and shares[holder][1] or 0
    mine = math.min(math.max(mine, least), most)
    shares[holder] = mine > 0 and {mine, now + ttl * 1000} or nil
    keep_shares(key, shares)
    return 1
  end,
  -- vacate(holder): whether it had a slot
  v = function(key, holder)
    local shares = shares_of(redis.call('GET', key) or '')
    local share = shares[holder]
    if not share then return 0 end
    share[1] = share[1] - 1
    if share[1] == 0 then shares[holder] = nil end
    keep_shares(key, shares)
    return 1
  end,
  -- raise(amount, ttl): the counter, at least the amount
  m = function(key, amount, ttl)
    amount = tonumber(amount)
    local held = redis.call('GET', key)
    if not held then
      redis.call('SET', key, whole(amount), 'PX', ttl)
      return amount
    end
    local sum = math.max(tonumber(held) or 0, amount)
    redis.call('SET', key, whole(sum), 'KEEPTTL')
    return sum
  end,
  -- increment(amount, ttl): the sum; without a ttl, nil when there is no counter
  n = function(key, amount, ttl)
    local held = redis.call('GET', key)
    if held then
      local sum = (tonumber(held) or 0) + tonumber(amount)
      redis.call('SET', key, whole(sum), 'KEEPTTL')
      return sum
    end
    if ttl == '' then return false end
    redis.call('SET', key, amount, 'PX', ttl)
    return tonumber(amount)
  end,
  -- add(value, ttl): whether there was no entry
  a = function(key, value, ttl)
    return redis.call('SET', key, value, 'NX', 'PX', ttl) and 1 or 0
  end,
  -- lease(holder, ttl): whether the holder has it now
  l = function(key, holder, ttl)
    local held = redis.call('GET', key)
    if held and held ~= holder then return 0 end
    redis.call('SET', key, holder, 'PX', ttl)
    return 1
  end,
  -- release(holder): whether the holder had it
  r = function(key, holder)
    if redis.call('GET', key) ~= holder then return 0 end
    return redis.call('DEL', key)
  end,
  -- publish(value, ttl)
  p = function(key, value, ttl)
    redis.call('SET', key, value, 'PX', ttl)
    return 1
  end,
  -- replace(held, value, ttl): whether held was there
  x = function(key, held, value, ttl)
    if redis.call('GET', key) ~= held then return 0 end
    redis.call('SET', key, value, 'PX', ttl)
    return 1
  end,
  -- read(): the value, or nil
  g = function(key) return redis.call('GET', key) end,
  -- touch(ttl): whether there was an entry
  t = function(key, ttl) return redis.call('PEXPIRE', key, ttl) end,
  -- delete(): whether there was an entry
  d = function(key) return redis.call('DEL', key) end,
}

local parameters = {
  c = 2, w = 4, s = 4, o = 4, h = 4, v = 1, m = 2, n = 2,
  a = 2, l = 2, r = 1, p = 2, x = 3, g = 0, t = 1, d = 0,
}

local replies, at = {}, 1
for i, key in ipairs(KEYS) do
  local letter = ARGV[at]
  local last = at + parameters[letter]
  replies[i] = apply[letter](key, unpack(ARGV, at + 1, last))
  at = last + 1
end
return replies
