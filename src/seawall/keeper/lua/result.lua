-- How a child of this task stands.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local row = P .. 'task:' .. ARGV[4]
local f = redis.call('HMGET', row, 'parent', 'agent', 'state', 'output', 'failure')
if f[1] ~= t.id then refuse('unknown', 'this task has not delegated ' .. ARGV[4]) end
return {'ok', f[2], f[3], f[4] or '', f[5] or '', cjson.encode(usage_of(row))}
