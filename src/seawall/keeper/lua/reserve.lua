-- Holds room in the run's and the day's budget; the same key again replaces what it held.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local key, turns, calls = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local tokens, usd = tonumber(ARGV[7]), tonumber(ARGV[8])
local reserved = P .. 'reserved:' .. t.id
local earlier = redis.call('HGET', reserved, key)
if earlier then
  give_back(t.run, earlier)
  redis.call('HDEL', reserved, key)
end
if redis.call('HEXISTS', P .. 'steps:' .. t.id, key) == 1 then return {'ok'} end
local row = P .. 'run:' .. t.run
local r = redis.call('HMGET', row, 'turns', 'r_turns', 'b_turns', 'calls', 'r_calls', 'b_calls',
  'in', 'out', 'r_tokens', 'b_tokens', 'usd', 'r_usd', 'b_usd')
local function n(i) return tonumber(r[i] or 0) end
room(t, 'turns', n(1) + n(2), turns, r[3])
room(t, 'tool_calls', n(4) + n(5), calls, r[6])
room(t, 'tokens', n(7) + n(8) + n(9), tokens, r[10])
room(t, 'usd_micros', n(11) + n(12), usd, r[13])
if tokens > 0 or usd > 0 then
  local d = redis.call('HMGET', day_key, 'tokens', 'r_tokens', 'usd', 'r_usd')
  room(t, 'day/tokens', tonumber(d[1] or 0) + tonumber(d[2] or 0), tokens, DAY_TOKENS)
  room(t, 'day/usd_micros', tonumber(d[3] or 0) + tonumber(d[4] or 0), usd, DAY_USD)
  add(day_key, 'r_tokens', tokens)
  add(day_key, 'r_usd', usd)
  redis.call('EXPIRE', day_key, 259200)
end
add(row, 'r_turns', turns)
add(row, 'r_calls', calls)
add(row, 'r_tokens', tokens)
add(row, 'r_usd', usd)
redis.call('HSET', reserved, key,
  int(turns) .. ' ' .. int(calls) .. ' ' .. int(tokens) .. ' ' .. int(usd) .. ' ' .. day_key)
