-- The run is in a file now: of it stays what the list of runs shows.
local run = ARGV[1]
local row = P .. 'run:' .. run
if not redis.call('ZSCORE', P .. 'finished', run) then return {'ok'} end
local fields = {'agent', 'state', 'input', 'output', 'failure', 'started', 'ended', 'key', 'in',
  'out', 'usd', 'turns', 'calls'}
local values = redis.call('HMGET', row, unpack(fields))
drop(run)
redis.call('HSET', row, 'archived', '1')
for i, field in ipairs(fields) do
  local value = values[i]
  if value then
    if field == 'input' or field == 'output' then value = cut(value, ROW_TEXT_MAX) end
    redis.call('HSET', row, field, value)
  end
end
redis.call('ZREM', P .. 'finished', run)
