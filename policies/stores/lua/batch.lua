-- One batch of operations on shared state, atomically, by the clock of this server.
--
-- ARGV holds three values for each key: a letter of `apply` below and its two parameters.
-- Moments and durations of buckets are whole microseconds, below 2^53 and so exact in Lua's
-- doubles; the ttl of other entries is in milliseconds. Replies are whole numbers, nil or
-- strings. What is no number counts as 0, so that no operation fails the others.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local apply = {
  -- consume(full, cost): the backlog before; policies/stores/gcra.py makes the answer of it
  c = function(key, full, cost)
    full, cost = tonumber(full), tonumber(cost)
    local tat = tonumber(redis.call('GET', key) or 0) or 0
    local backlog = math.min(math.max(tat - now, 0), full)
    local after = backlog + cost
    if cost > 0 and after <= full then
      redis.call('SET', key, string.format('%.0f', now + after), 'PX', math.ceil(after / 1000))
    end
    return backlog
  end,
  -- increment(amount, ttl): the sum; without a ttl, nil when there is no counter
  n = function(key, amount, ttl)
    local held = redis.call('GET', key)
    if held then
      local sum = (tonumber(held) or 0) + tonumber(amount)
      redis.call('SET', key, string.format('%.0f', sum), 'KEEPTTL')
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
  -- replace(held followed by value, "ttl/length of held"): whether held was there
  s = function(key, both, bounds)
    local ttl, size = string.match(bounds, '(%d+)/(%d+)')
    if redis.call('GET', key) ~= string.sub(both, 1, size) then return 0 end
    redis.call('SET', key, string.sub(both, size + 1), 'PX', ttl)
    return 1
  end,
  -- read(): the value, or nil
  g = function(key) return redis.call('GET', key) end,
  -- touch(ttl): whether there was an entry
  t = function(key, ttl) return redis.call('PEXPIRE', key, ttl) end,
  -- delete(): whether there was an entry
  d = function(key) return redis.call('DEL', key) end,
}

local replies = {}
for i, key in ipairs(KEYS) do
  local at = 3 * i
  replies[i] = apply[ARGV[at - 2]](key, ARGV[at - 1], ARGV[at])
end
return replies
