-- Appends a finished step and settles what was reserved for it, once for each key.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local key, kind, digest, bytes, step = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]
local spent_in, spent_out, usd = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local turns, calls = tonumber(ARGV[12]), tonumber(ARGV[13])
local row, run_row = P .. 'task:' .. t.id, P .. 'run:' .. t.run
local name = key
local earlier = redis.call('HGET', P .. 'steps:' .. t.id, key)
if earlier == digest then return {'ok'} end
if earlier then
  refuse('conflict', 'step ' .. key .. ' is in the journal already with another payload')
end
if t.journal_bytes + bytes > JOURNAL_MAX then
  refuse('payload', 'the journal holds ' .. int(t.journal_bytes) .. ' bytes of ' .. int(JOURNAL_MAX) ..
    ', this step has ' .. int(bytes), 'Delegate pieces of the work, or return less from tools')
end
space()
-- An agent that reports fewer turns or calls than it made is not believed.
if kind == 'model' then turns = math.max(turns, 1) end
if kind == 'tool' then calls = math.max(calls, 1) end
local opened = redis.call('HGET', P .. 'open:' .. t.id, key)
local was
if opened then
  was = shut(t.id, key, opened)
  turns, calls = math.max(turns, was.turns), math.max(calls, was.calls)
  name = was.name
else
  local r = redis.call('HMGET', run_row, 'turns', 'r_turns', 'b_turns', 'calls', 'r_calls', 'b_calls')
  room(t, 'turns', tonumber(r[1] or 0) + tonumber(r[2] or 0), turns, r[3])
  room(t, 'tool_calls', tonumber(r[4] or 0) + tonumber(r[5] or 0), calls, r[6])
end
local told = {input_tokens = spent_in, output_tokens = spent_out, usd_micros = usd, turns = turns,
  tool_calls = calls}
-- The gateway's count is the truth, and has been added already.
if METERED == 1 and kind == 'model' then spent_in, spent_out, usd = 0, 0, 0 end
local used = {['in'] = spent_in, out = spent_out, usd = usd, turns = turns, calls = calls,
  jbytes = bytes}
local day_used = {usd = usd, tokens = spent_in + spent_out}
add(row, used)
used.jbytes = nil
if was and was.day == today then
  -- As give_back, in the same writes.
  used.r_turns, used.r_calls = -was.turns, -was.calls
  used.r_tokens, used.r_usd = -was.tokens, -was.usd
  day_used.r_tokens, day_used.r_usd = -was.tokens, -was.usd
elseif was then
  give_back(t.run, was)
end
add(run_row, used)
add_day(today, day_used)
redis.call('RPUSH', P .. 'journal:' .. t.id, step)
weigh(t.run, #step)
redis.call('HSET', P .. 'steps:' .. t.id, key, digest)
emit(t.run, t.id, t.agent, 'step.done', {key = key, kind = kind, replayed = false,
  name = name,
  usage = told})
