-- Queues a child task; its id is derived from parent and key, so it is queued once.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local child, target, input, granted = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local earlier = redis.call('HGET', P .. 'task:' .. child, 'agent')
if earlier == target then return {'ok', child} end
if earlier then refuse('conflict', 'this key has already been delegated to ' .. earlier) end
if granted ~= '1' then
  refuse('edge', t.agent .. ' may not delegate to ' .. target,
    'Name it in agents/' .. t.agent .. '/delegates')
end
space()
local f = redis.call('HMGET', P .. 'task:' .. t.id, 'depth', 'ancestry')
local ancestry = cjson.decode(f[2])
for _, agent in ipairs(ancestry) do
  if agent == target then
    refuse('cycle', target .. ' is already waiting for this task', 'Answer with what is known')
  end
end
ancestry[#ancestry + 1] = t.agent
if target == t.agent then refuse('cycle', 'an agent may not delegate to itself') end
local b = redis.call('HMGET', P .. 'run:' .. t.run, 'b_depth', 'b_fan_out')
if tonumber(f[1]) + 1 > tonumber(b[1]) then
  refuse('depth', 'delegations may be ' .. b[1] .. ' deep, and this one would be deeper',
    'Do the work here, or raise budgets/run/depth')
end
local children = redis.call('LLEN', P .. 'children:' .. t.id)
if children >= tonumber(b[2]) then
  refuse('fan_out', 'the task has delegated ' .. children .. ' times, which is the most',
    'Work with their answers, or raise budgets/run/fan_out')
end
queue(t.run, child, target, t.id, input, int(f[1] + 1), cjson.encode(ancestry))
redis.call('RPUSH', P .. 'children:' .. t.id, child)
return {'ok', child}
