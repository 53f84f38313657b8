-- Rings the bells also after a refusal: what a script changed before refusing stays changed.
local ok, reply = pcall(main)
local grown = 0
for run, bytes in pairs(heavier) do
  redis.call('HINCRBY', P .. 'run:' .. run, 'bytes', int(bytes))
  grown = grown + bytes
end
if grown > 0 then redis.call('INCRBY', P .. 'live_bytes', int(grown)) end
if #bells > 0 then redis.call('PUBLISH', P .. 'bells', table.concat(bells, '\n')) end
for name in pairs(news) do redis.call('PUBLISH', P .. 'bells:e', name) end
if ok then return reply or {'ok'} end
if type(reply) == 'table' and reply.refused then
  return {'refused', reply.refused[1], reply.refused[2], reply.refused[3]}
end
if type(reply) == 'table' then return reply end
return redis.error_reply(tostring(reply))
