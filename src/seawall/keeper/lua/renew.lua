-- Lengthens a lease; the answer says when to stop instead.
local t = held(ARGV[1], ARGV[2], ARGV[3])
local deadline = redis.call('HGET', P .. 'run:' .. t.run, 'deadline') or ''
if t.state == 'running' then
  redis.call('ZADD', P .. 'leases', string.format('%.6f', now + LEASE), t.id)
  return {'ok', 0, deadline}
end
if t.by == 'holder' then refuse('lease_lost', 'the task has ended') end
return {'ok', 1, deadline}
