-- Gives the oldest queued task of an agent to a replica, with everything it needs to go on.
local agent, replica, secret = ARGV[1], ARGV[2], ARGV[3]
local task, row, f
repeat
  task = redis.call('LPOP', P .. 'queue:' .. agent)
  if not task then return {'ok'} end
  row = P .. 'task:' .. task
  f = redis.call('HMGET', row, 'state', 'run', 'input', 'depth', 'ancestry')
until f[1] == 'queued'
local run = f[2]
local run_row = P .. 'run:' .. run
local attempt = redis.call('HINCRBY', row, 'attempts', 1)
redis.call('HSET', row, 'state', 'running', 'lease', secret, 'replica', replica)
redis.call('HDEL', row, 'doing')
redis.call('ZADD', P .. 'leases', string.format('%.6f', now + LEASE), task)
local r = redis.call('HMGET', run_row, 'state', 'deadline', 'budget')
if r[1] == 'queued' then redis.call('HSET', run_row, 'state', 'running') end
emit(run, task, agent, 'task.taken', {replica = replica, attempt = attempt})
return {'ok', task, run, attempt, f[3], f[4], f[5], r[2], r[3], cjson.encode(usage_of(run_row)),
  redis.call('LLEN', P .. 'queue:' .. agent), redis.call('LRANGE', P .. 'journal:' .. task, 0, -1)}
