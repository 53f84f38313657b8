-- Undoes a take whose asker had gone before it heard of it.
local task, secret, agent = ARGV[1], ARGV[2], ARGV[3]
local t = live(task, secret, agent)
redis.call('HSET', P .. 'task:' .. task, 'state', 'queued')
redis.call('HDEL', P .. 'task:' .. task, 'lease')
redis.call('HINCRBY', P .. 'task:' .. task, 'attempts', -1)
redis.call('ZREM', P .. 'leases', task)
redis.call('LPUSH', P .. 'queue:' .. agent, task)
emit(t.run, task, agent, 'task.redelivered',
  {attempt = tonumber(redis.call('HGET', P .. 'task:' .. task, 'attempts')) + 1,
   reason = 'the replica that asked for it went away'})
ring('q:' .. agent)
