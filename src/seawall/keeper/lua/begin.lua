-- Notes that a step is about to happen: for people, and for the reason of a dead letter.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local key, kind, name, until_at, detail = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local begun = P .. 'begun:' .. t.id
if redis.call('HLEN', begun) >= STEPS_MAX then
  refuse('payload', 'the task has begun ' .. int(STEPS_MAX) .. ' steps, which is the most')
end
redis.call('HSET', begun, key, name)
redis.call('HSET', P .. 'task:' .. t.id, 'doing', kind .. ' ' .. name, 'until', until_at)
emit(t.run, t.id, t.agent, 'step.started', {key = key, kind = kind, name = name, detail = detail})
