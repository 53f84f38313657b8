-- Takes back what dead or stuck holders left, and ends what ran too long. Any keeper may run it, at
-- any time. Answers how many it found, and how many runs are not finished.

-- The holder's lease ends here: what it still sends is refused, and another replica goes on.
local function take_back(task, reason)
  local row = P .. 'task:' .. task
  local f = redis.call('HMGET', row, 'run', 'agent', 'attempts', 'input', 'state')
  redis.call('ZREM', P .. 'leases', task)
  if f[5] ~= 'running' then return end
  local attempts = tonumber(f[3])
  redis.call('HDEL', row, 'lease')
  if attempts >= ATTEMPTS_MAX then
    reason = reason .. '; given up after ' .. attempts .. ' attempts'
    redis.call('LPUSH', P .. 'dead', cjson.encode({run = f[1], task = task, agent = f[2],
      input = cut(f[4]), attempts = attempts, reason = reason, at = now}))
    redis.call('LTRIM', P .. 'dead', 0, DEAD_MAX - 1)
    close(task, 'dead', 'keeper', nil, cjson.encode({kind = 'dead', reason = reason}))
    return
  end
  unwatch_all(task)
  redis.call('HSET', row, 'state', 'queued')
  redis.call('LPUSH', P .. 'queue:' .. f[2], task)
  emit(f[1], task, f[2], 'task.redelivered', {attempt = attempts + 1, reason = reason})
  ring('q:' .. f[2])
end

local expired = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', stamp, 'LIMIT', 0, 100)
for _, task in ipairs(expired) do
  local f = redis.call('HMGET', P .. 'task:' .. task, 'replica', 'doing')
  local reason = 'replica ' .. f[1] .. ' stopped renewing its lease'
  if f[2] then reason = reason .. ' while doing ' .. f[2] end
  take_back(task, reason)
end

-- Alive but stuck: the lease is renewed, and a step has not ended by the time it named itself.
local stuck_since = string.format('%.6f', now - STALL_GRACE)
local stalled = redis.call('ZRANGEBYSCORE', P .. 'stalls', '-inf', stuck_since, 'LIMIT', 0, 100)
for _, member in ipairs(stalled) do
  redis.call('ZREM', P .. 'stalls', member)
  local task, key = string.match(member, '^(%S+) (.*)$')
  local text = redis.call('HGET', P .. 'open:' .. task, key)
  -- One of the same task may have been before it in this round.
  if text and redis.call('HGET', P .. 'task:' .. task, 'state') == 'running' then
    local step = read_step(text)
    take_back(task, 'step ' .. key .. ' (' .. step.kind .. ' ' .. step.name ..
      ') should have ended by ' .. step.by)
  end
end

-- Model calls whose gateway or provider never said what they used.
local silent = redis.call('ZRANGEBYSCORE', P .. 'meters', '-inf', stamp, 'LIMIT', 0, 100)
for _, id in ipairs(silent) do settle(id, nil) end

local late = redis.call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', stamp, 'LIMIT', 0, 20)
for _, run in ipairs(late) do
  redis.call('ZREM', P .. 'deadlines', run)
  end_by_deadline(run)
end
return {'ok', #expired + #stalled + #late, redis.call('SCARD', P .. 'active')}
