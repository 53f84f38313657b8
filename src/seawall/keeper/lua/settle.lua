-- A model call has ended: what it used counts instead of what was held; '' where that is not known.
local f = redis.call('HMGET', P .. 'meter:' .. ARGV[1], 'run', 'agent', 'number', 'says')
if not f[1] then return {'ok'} end
if ARGV[2] ~= '' then
  settle(ARGV[1], {['in'] = tonumber(ARGV[2]), out = tonumber(ARGV[3]), usd = tonumber(ARGV[4])})
  return {'ok'}
end
settle(ARGV[1], nil)
-- The provider's silence, not the asker's: it was asked to say.
if ARGV[5] == '1' and f[4] == '1' and redis.call('EXISTS', P .. 'run:' .. f[1]) == 1 then
  redis.call('HSET', P .. 'run:' .. f[1], 'no_usage:' .. f[2] .. '/' .. f[3], '1')
end
