-- A gateway is about to ask a model: holds room for the most that the call may use.
local t = held(ARGV[1], ARGV[2], ARGV[3])
if t.state ~= 'running' and t.failure then
  local failure = cjson.decode(t.failure)
  if failure.kind == 'deadline' then refuse('deadline', failure.reason, 'Ask for more time') end
end
t = live(ARGV[1], ARGV[2], ARGV[3])
local id, step, number = ARGV[4], ARGV[5], ARGV[6]
local tokens, usd = tonumber(ARGV[7]), tonumber(ARGV[8])
local task_tokens, task_usd, tolerated, says = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local row, run_row = P .. 'task:' .. t.id, P .. 'run:' .. t.run
-- The same step again: its earlier call was cut before anyone knew what it used.
if step ~= '' then
  local earlier = redis.call('HGET', row, 'metering:' .. step)
  if earlier then settle(earlier, nil) end
end
local r = redis.call('HMGET', run_row, 'in', 'out', 'r_tokens', 'b_tokens', 'usd', 'r_usd', 'b_usd',
  'no_usage:' .. t.agent .. '/' .. number)
local o = redis.call('HMGET', row, 'in', 'out', 'r_tokens', 'usd', 'r_usd', 'in_flight')
local d = redis.call('HMGET', day_key(today), 'tokens', 'r_tokens', 'usd', 'r_usd')
local function n(of, i) return tonumber(of[i] or 0) end
local bounded = (r[4] or '') .. (r[7] or '') .. task_tokens .. task_usd .. DAY_TOKENS .. DAY_USD ~= ''
if r[8] and bounded and tolerated == '' then
  refuse('usage', 'this model answered without saying what it used, and a budget holds',
    'Set allow_missing_usage for the model: the most that a call may use then counts')
end
if n(o, 6) >= IN_FLIGHT_MAX then
  refuse('rate', int(IN_FLIGHT_MAX) .. ' model calls of this task are on their way, which is the most',
    'Wait for one')
end
room(t, 'tokens', n(r, 1) + n(r, 2) + n(r, 3), tokens, r[4])
room(t, 'usd_micros', n(r, 5) + n(r, 6), usd, r[7])
room(t, 'agent/tokens', n(o, 1) + n(o, 2) + n(o, 3), tokens, task_tokens)
room(t, 'agent/usd_micros', n(o, 4) + n(o, 5), usd, task_usd)
room(t, 'day/tokens', n(d, 1) + n(d, 2), tokens, DAY_TOKENS)
room(t, 'day/usd_micros', n(d, 3) + n(d, 4), usd, DAY_USD)
local held_now = {r_tokens = tokens, r_usd = usd}
add(run_row, held_now)
add_day(today, held_now)
held_now.in_flight = 1
add(row, held_now)
if step ~= '' then redis.call('HSET', row, 'metering:' .. step, id) end
redis.call('HSET', P .. 'meter:' .. id, 'run', t.run, 'task', t.id, 'agent', t.agent, 'step', step,
  'number', number, 'tokens', int(tokens), 'usd', int(usd), 'day', int(today), 'says', says)
redis.call('ZADD', P .. 'meters', string.format('%.6f', now + METER_SECONDS), id)
return {'ok', t.agent, t.run, t.id}
