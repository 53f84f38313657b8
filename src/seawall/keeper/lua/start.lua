-- Starts a run with its main task; the same key, or the same id, starts it once.
local run, task, agent, input, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local budget = cjson.decode(ARGV[6])
if key ~= '' then
  local earlier = redis.call('GET', P .. 'start:' .. key)
  if earlier then return {'ok', earlier} end
end
local row = P .. 'run:' .. run
if redis.call('EXISTS', row) == 1 then return {'ok', run} end
if redis.call('SCARD', P .. 'active') >= RUNS_MAX then
  refuse('runs_full', int(RUNS_MAX) .. ' runs are not yet finished', 'Wait for one, or cancel one')
end
local kept = archives()
if kept and redis.call('ZCARD', P .. 'finished') >= FINISHED_MAX then
  refuse('memory_full', int(FINISHED_MAX) .. ' runs that have ended are not in files yet',
    'Try again in a moment; if that does not help, see what the keeper says of its disk')
end
if live_bytes() > LIVE_MAX then
  -- What has ended gives way to what is to begin, unless it is only on its way to a file.
  for _ = 1, kept and 0 or 20 do
    local ended = redis.call('ZPOPMIN', P .. 'finished')[1]
    if not ended then break end
    forget(ended)
    if live_bytes() <= LIVE_MAX then break end
  end
  if live_bytes() > LIVE_MAX then
    refuse('memory_full', 'the runs in memory hold ' .. int(live_bytes()) .. ' bytes of ' ..
      int(LIVE_MAX), 'Wait for one, or cancel one')
  end
end
if redis.call('LLEN', P .. 'queue:' .. agent) >= QUEUE_MAX then
  refuse('queue_full', int(QUEUE_MAX) .. ' tasks wait for ' .. agent .. ' already', 'Try again later')
end
local function max(name)
  local value = budget[name]
  if value == cjson.null or value == nil then return '' end
  return value
end
local seconds, deadline = max('seconds'), ''
if seconds ~= '' then
  deadline = string.format('%.6f', now + seconds)
  redis.call('ZADD', P .. 'deadlines', deadline, run)
end
redis.call('HSET', row, 'agent', agent, 'state', 'queued', 'input', input, 'main', task, 'key', key,
  'started', stamp, 'deadline', deadline, 'budget', ARGV[6], 'b_usd', max('usd_micros'),
  'b_tokens', max('tokens'), 'b_turns', max('turns'), 'b_calls', max('tool_calls'),
  'b_depth', max('depth'), 'b_fan_out', max('fan_out'), 'b_seconds', seconds)
weigh(run, #input)
redis.call('SADD', P .. 'active', run)
redis.call('ZADD', P .. 'runs', stamp, run)
if key ~= '' then redis.call('SET', P .. 'start:' .. key, run) end
emit(run, task, agent, 'run.started', {input = cut(input), agent = agent, budget = budget})
queue(run, task, agent, '', input, '0', '[]')
return {'ok', run}
