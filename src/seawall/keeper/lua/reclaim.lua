-- Takes back what dead holders left, and ends what ran too long. Any keeper may run it, at any time.
local expired = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', stamp, 'LIMIT', 0, 100)
for _, task in ipairs(expired) do
  local row = P .. 'task:' .. task
  local f = redis.call('HMGET', row, 'run', 'agent', 'attempts', 'replica', 'doing', 'input', 'state')
  redis.call('ZREM', P .. 'leases', task)
  if f[7] == 'running' then
    local attempts = tonumber(f[3])
    local reason = 'replica ' .. f[4] .. ' stopped renewing its lease'
    if f[5] then reason = reason .. ' while doing ' .. f[5] end
    redis.call('HDEL', row, 'lease')
    if attempts >= ATTEMPTS_MAX then
      reason = reason .. '; given up after ' .. attempts .. ' attempts'
      redis.call('LPUSH', P .. 'dead', cjson.encode({run = f[1], task = task, agent = f[2],
        input = cut(f[6]), attempts = attempts, reason = reason, at = now}))
      redis.call('LTRIM', P .. 'dead', 0, DEAD_MAX - 1)
      close(task, 'dead', 'keeper', nil, cjson.encode({kind = 'dead', reason = reason}))
    else
      redis.call('HSET', row, 'state', 'queued')
      redis.call('LPUSH', P .. 'queue:' .. f[2], task)
      emit(f[1], task, f[2], 'task.redelivered', {attempt = attempts + 1, reason = reason})
      ring('q:' .. f[2])
    end
  end
end
local late = redis.call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', stamp, 'LIMIT', 0, 20)
for _, run in ipairs(late) do
  redis.call('ZREM', P .. 'deadlines', run)
  end_by_deadline(run)
end
return {'ok', #expired + #late}
