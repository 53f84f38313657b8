-- A step is about to happen: holds room for the most it may use, and notes what it is.
-- The same key again replaces what it held.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local key, kind, name, detail = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local turns, calls = tonumber(ARGV[8]), tonumber(ARGV[9])
local tokens, usd = tonumber(ARGV[10]), tonumber(ARGV[11])
local until_at, by = ARGV[12], ARGV[13]
if redis.call('HEXISTS', P .. 'steps:' .. t.id, key) == 1 then return {'ok'} end
local row, run_row, opened = P .. 'task:' .. t.id, P .. 'run:' .. t.run, P .. 'open:' .. t.id
if t.begun >= STEPS_MAX then
  refuse('payload', 'the task has begun ' .. int(STEPS_MAX) .. ' steps, which is the most')
end
local earlier = redis.call('HGET', opened, key)
if earlier then give_back(t.run, shut(t.id, key, earlier)) end
local r = redis.call('HMGET', run_row, 'turns', 'r_turns', 'b_turns', 'calls', 'r_calls', 'b_calls',
  'in', 'out', 'r_tokens', 'b_tokens', 'usd', 'r_usd', 'b_usd')
local function n(i) return tonumber(r[i] or 0) end
room(t, 'turns', n(1) + n(2), turns, r[3])
room(t, 'tool_calls', n(4) + n(5), calls, r[6])
room(t, 'tokens', n(7) + n(8) + n(9), tokens, r[10])
room(t, 'usd_micros', n(11) + n(12), usd, r[13])
if tokens > 0 or usd > 0 then
  local d = redis.call('HMGET', day_key(today), 'tokens', 'r_tokens', 'usd', 'r_usd')
  room(t, 'day/tokens', tonumber(d[1] or 0) + tonumber(d[2] or 0), tokens, DAY_TOKENS)
  room(t, 'day/usd_micros', tonumber(d[3] or 0) + tonumber(d[4] or 0), usd, DAY_USD)
end
-- The gateway holds what a model call may use, when it comes to it: here it only had to have room.
if METERED == 1 and kind == 'model' then tokens, usd = 0, 0 end
redis.call('HSET', run_row, 'r_turns', int(n(2) + turns), 'r_calls', int(n(5) + calls),
  'r_tokens', int(n(9) + tokens), 'r_usd', int(n(12) + usd))
add_day(today, {r_tokens = tokens, r_usd = usd})
redis.call('HSET', opened, key, string.format('%d %d %d %d %d %s %s %s',
  turns, calls, tokens, usd, today, by, kind, name))
if until_at ~= '' then redis.call('ZADD', P .. 'stalls', until_at, t.id .. ' ' .. key) end
redis.call('HSET', row, 'doing', kind .. ' ' .. name, 'begun', int(t.begun + 1))
emit(t.run, t.id, t.agent, 'step.started', {key = key, kind = kind, name = name, detail = detail})
