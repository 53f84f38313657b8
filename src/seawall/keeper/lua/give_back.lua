-- The holder will not go on: the task is first in its queue again, at once. It costs the task no
-- attempt, until it has come back too often to be an accident.
local task, secret, agent, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local t = live(task, secret, agent)
local row = P .. 'task:' .. task
redis.call('HSET', row, 'state', 'queued')
redis.call('HDEL', row, 'lease')
if redis.call('HINCRBY', row, 'given_back', 1) <= GIVE_BACKS_MAX then
  redis.call('HINCRBY', row, 'attempts', -1)
end
redis.call('ZREM', P .. 'leases', task)
unwatch_all(task)
redis.call('LPUSH', P .. 'queue:' .. agent, task)
emit(t.run, task, agent, 'task.redelivered',
  {attempt = tonumber(redis.call('HGET', row, 'attempts')) + 1, reason = reason})
ring('q:' .. agent)
