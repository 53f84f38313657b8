-- Shared by every script: the clock, bells, events, leases, budgets and endings.
-- `bells` wake waiting requests: q:<agent> work queued, t:<task> task ended, e:<run> event written.
local P = KEYS[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local stamp = string.format('%.6f', now)
local today = math.floor(now / 86400)
local bells, news, heavier = {}, {}, {}

local function refuse(code, reason, remedy)
  error({refused = {code, reason, remedy or ''}})
end

local function ring(name) bells[#bells + 1] = name end

-- Redis refuses "-0" and "1e+15" as integers.
local function int(n) return string.format('%d', n) end

local function day_key(day) return P .. 'day:' .. int(day) end

-- Adds to numbers of a hash, in two calls however many they are; says whether all of them are new.
local function add(key, changes)
  local fields, sums, new = {}, {}, true
  for field, n in pairs(changes) do
    if n ~= 0 then fields[#fields + 1] = field end
  end
  if #fields == 0 then return false end
  local had = redis.call('HMGET', key, unpack(fields))
  for i, field in ipairs(fields) do
    if had[i] then new = false end
    sums[2 * i - 1], sums[2 * i] = field, int(tonumber(had[i] or 0) + changes[field])
  end
  redis.call('HSET', key, unpack(sums))
  return new
end

local function add_day(day, changes)
  if add(day_key(day), changes) then redis.call('EXPIRE', day_key(day), 259200) end
end

-- Never cuts through a UTF-8 sequence.
local function cut(text, most)
  local last = most or TEXT_MAX
  if #text <= last then return text end
  while last > 0 do
    local b = string.byte(text, last + 1)
    if b < 128 or b > 191 then break end
    last = last - 1
  end
  return string.sub(text, 1, last) .. '…'
end

-- What a run holds in memory, in bytes: counted here, noted at the end of the script.
local function weigh(run, bytes) heavier[run] = (heavier[run] or 0) + bytes end

local function live_bytes() return tonumber(redis.call('GET', P .. 'live_bytes') or 0) end

-- Refuses to let a running run grow further; far above where new ones are refused.
local function space()
  if live_bytes() <= 2 * LIVE_MAX then return end
  refuse('memory_full', 'the runs in memory hold more than ' .. int(2 * LIVE_MAX) .. ' bytes',
    'Cancel a run, or raise the limit')
end

local function emit(run, task, agent, kind, data)
  local text = cjson.encode(data)
  redis.call('XADD', P .. 'events:' .. run, 'MAXLEN', EVENTS_MAX, '*', 'at', stamp,
    'task', task, 'agent', agent, 'kind', kind, 'data', text)
  weigh(run, EVENT_BYTES + #text)
  news['e:' .. run] = true
end

local function usage_of(key)
  local u = redis.call('HMGET', key, 'in', 'out', 'usd', 'turns', 'calls')
  return {input_tokens = tonumber(u[1] or 0), output_tokens = tonumber(u[2] or 0),
    usd_micros = tonumber(u[3] or 0), turns = tonumber(u[4] or 0), tool_calls = tonumber(u[5] or 0)}
end

-- What `open:` notes of a step that has begun: "turns calls tokens usd day by kind name"; `by` is
-- when it should have ended, in words, or "-". `stalls` has those with such a time, the first first.
local function read_step(text)
  local turns, calls, tokens, usd, day, by, kind, name =
    string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (.*)$')
  return {turns = tonumber(turns), calls = tonumber(calls), tokens = tonumber(tokens),
    usd = tonumber(usd), day = tonumber(day), by = by, kind = kind, name = name}
end

local function unwatch(task, key, step)
  if step.by ~= '-' then redis.call('ZREM', P .. 'stalls', task .. ' ' .. key) end
end

-- The next attempt begins the same steps again: their room stays held, their times do not.
local function unwatch_all(task)
  local opened = redis.call('HGETALL', P .. 'open:' .. task)
  for i = 1, #opened, 2 do unwatch(task, opened[i], read_step(opened[i + 1])) end
end

-- The step is over, however it went; the caller gives back its room.
local function shut(task, key, text)
  local step = read_step(text)
  unwatch(task, key, step)
  redis.call('HDEL', P .. 'open:' .. task, key)
  return step
end

local function give_back(run, step)
  add(P .. 'run:' .. run, {r_turns = -step.turns, r_calls = -step.calls,
    r_tokens = -step.tokens, r_usd = -step.usd})
  if step.tokens + step.usd > 0 and redis.call('EXISTS', day_key(step.day)) == 1 then
    add_day(step.day, {r_tokens = -step.tokens, r_usd = -step.usd})
  end
end

-- Ends what a gateway held for a model call: `used` counts, or (usage unknown) all that was held.
local function settle(id, used)
  local key = P .. 'meter:' .. id
  local f = redis.call('HMGET', key, 'run', 'task', 'agent', 'tokens', 'usd', 'day', 'step')
  redis.call('ZREM', P .. 'meters', id)
  if not f[1] then return end
  redis.call('DEL', key)
  local run, task = P .. 'run:' .. f[1], P .. 'task:' .. f[2]
  local tokens, usd = tonumber(f[4]), tonumber(f[5])
  local spent = used or {['in'] = tokens, out = 0, usd = usd}
  local sums = {['in'] = spent['in'], out = spent.out, usd = spent.usd,
    r_tokens = -tokens, r_usd = -usd}
  add_day(tonumber(f[6]), {tokens = spent['in'] + spent.out, usd = spent.usd,
    r_tokens = -tokens, r_usd = -usd})
  if redis.call('EXISTS', run) == 1 then add(run, sums) end
  if redis.call('EXISTS', task) == 1 then
    sums.in_flight = -1
    add(task, sums)
    if redis.call('HGET', task, 'metering:' .. f[7]) == id then
      redis.call('HDEL', task, 'metering:' .. f[7])
    end
  end
  if not used and redis.call('HGET', run, 'state') == 'running' then
    emit(f[1], f[2], f[3], 'note', {text = 'what a model call used is not known (step ' ..
      (f[7] ~= '' and f[7] or 'unnamed') .. '): all that was held for it counts, ' ..
      int(tokens) .. ' tokens'})
  end
end

local function limit_reached(t, limit, used, max)
  if redis.call('HSETNX', P .. 'run:' .. t.run, 'hit:' .. limit, '1') == 1 then
    emit(t.run, t.id, t.agent, 'budget.reached', {limit = limit, used = used, max = max})
  end
end

local function amount(limit, n)
  if string.find(limit, 'usd') then return string.format('%.4f USD', n / 1000000) end
  return int(n)
end

-- Refuses when what is used and reserved leaves no room for `asked`; '' as `max` is no limit.
local function room(t, limit, used, asked, max)
  if asked <= 0 or max == '' or not max or used + asked <= tonumber(max) then return end
  limit_reached(t, limit, used, tonumber(max))
  local place = string.find(limit, '^day/') and 'budgets/' or 'budgets/run/'
  if string.find(limit, '^agent/') then
    place, limit = 'agents/' .. t.agent .. '/budget/', string.sub(limit, 7)
    refuse('budget', t.agent .. ' ' .. limit .. ': ' .. amount(limit, used) .. ' of ' ..
      amount(limit, tonumber(max)) .. ' used or reserved, this needs ' .. amount(limit, asked),
      'Finish with what is there, or raise ' .. place .. string.gsub(limit, '_micros', ''))
  end
  refuse('budget', limit .. ': ' .. amount(limit, used) .. ' of ' .. amount(limit, tonumber(max)) ..
    ' used or reserved, this needs ' .. amount(limit, asked),
    'Finish with what is there, or raise ' .. place .. string.gsub(limit, '_micros', ''))
end

-- Takes a run out of memory.
local function drop(run)
  for _, task in ipairs(redis.call('LRANGE', P .. 'tasks:' .. run, 0, -1)) do
    redis.call('UNLINK', P .. 'task:' .. task, P .. 'journal:' .. task, P .. 'steps:' .. task,
      P .. 'children:' .. task, P .. 'open:' .. task)
  end
  local held = tonumber(redis.call('HGET', P .. 'run:' .. run, 'bytes') or 0)
  redis.call('DECRBY', P .. 'live_bytes', int(held))
  heavier[run] = nil
  redis.call('UNLINK', P .. 'run:' .. run, P .. 'tasks:' .. run, P .. 'events:' .. run)
end

local function forget(run)
  local key = redis.call('HGET', P .. 'run:' .. run, 'key')
  if key and key ~= '' then redis.call('DEL', P .. 'start:' .. key) end
  drop(run)
  redis.call('ZREM', P .. 'runs', run)
  redis.call('ZREM', P .. 'finished', run)
end

-- Whether a keeper of this mesh moves what has ended to files: then nothing goes before it is there.
local function archives() return redis.call('EXISTS', P .. 'archives') == 1 end

local function evict()
  if redis.call('ZCARD', P .. 'finished') <= FINISHED_MAX or archives() then return end
  for _ = 1, 5 do
    if redis.call('ZCARD', P .. 'finished') <= FINISHED_MAX then return end
    forget(redis.call('ZPOPMIN', P .. 'finished')[1])
  end
end

local function alive(state) return state == 'queued' or state == 'running' end

local function end_task(task, state, by, output, failure)
  local key = P .. 'task:' .. task
  local f = redis.call('HMGET', key, 'run', 'agent', 'state')
  local run, agent = f[1], f[2]
  if f[3] == 'queued' then redis.call('LREM', P .. 'queue:' .. agent, 1, task) end
  local opened = redis.call('HGETALL', P .. 'open:' .. task)
  for i = 1, #opened, 2 do give_back(run, shut(task, opened[i], opened[i + 1])) end
  redis.call('ZREM', P .. 'leases', task)
  redis.call('HSET', key, 'state', state, 'ended', stamp, 'by', by)
  local data
  if failure then
    redis.call('HSET', key, 'failure', failure)
    data = {failure = cjson.decode(failure)}
  else
    redis.call('HSET', key, 'output', output)
    weigh(run, #output)
    data = {output = cut(output), usage = usage_of(key)}
  end
  emit(run, task, agent, 'task.' .. state, data)
  ring('t:' .. task)
  for _, child in ipairs(redis.call('LRANGE', P .. 'children:' .. task, 0, -1)) do
    if alive(redis.call('HGET', P .. 'task:' .. child, 'state')) then
      end_task(child, 'cancelled', 'keeper', nil,
        cjson.encode({kind = 'cancelled', reason = 'the task that asked for it has ended'}))
    end
  end
end

local function end_run(run, state, output, failure)
  local key = P .. 'run:' .. run
  local f = redis.call('HMGET', key, 'state', 'agent', 'main')
  if not alive(f[1]) then return end
  redis.call('HSET', key, 'state', state, 'ended', stamp)
  local left = failure or cjson.encode({kind = 'cancelled', reason = 'the run has ended'})
  for _, task in ipairs(redis.call('LRANGE', P .. 'tasks:' .. run, 0, -1)) do
    if alive(redis.call('HGET', P .. 'task:' .. task, 'state')) then
      local of_main = task == f[3] and state == 'failed'
      end_task(task, of_main and 'failed' or 'cancelled', 'keeper', nil, left)
    end
  end
  redis.call('ZREM', P .. 'deadlines', run)
  redis.call('SREM', P .. 'active', run)
  redis.call('ZADD', P .. 'finished', stamp, run)
  if failure then
    redis.call('HSET', key, 'failure', failure)
    emit(run, f[3], f[2], 'run.' .. state, {failure = cjson.decode(failure), usage = usage_of(key)})
  else
    redis.call('HSET', key, 'output', output)
    weigh(run, #output)
    emit(run, f[3], f[2], 'run.' .. state, {output = output, usage = usage_of(key)})
  end
  evict()
end

-- Ends a task, and its run when it is the run's main task.
local function close(task, state, by, output, failure)
  local run = redis.call('HGET', P .. 'task:' .. task, 'run')
  end_task(task, state, by, output, failure)
  if redis.call('HGET', P .. 'run:' .. run, 'main') == task then
    end_run(run, state == 'dead' and 'failed' or state, output, failure)
  end
end

local function end_by_deadline(run)
  local f = redis.call('HMGET', P .. 'run:' .. run, 'main', 'agent', 'b_seconds')
  limit_reached({id = f[1], agent = f[2], run = run}, 'seconds', tonumber(f[3]), tonumber(f[3]))
  end_run(run, 'failed', nil, cjson.encode({kind = 'deadline',
    reason = 'the run took longer than the ' .. f[3] .. ' seconds it may take'}))
end

-- The task that this lease holds, or a refusal. Fencing: only the newest delivery's secret fits.
local function held(task, secret, agent)
  local f = redis.call('HMGET', P .. 'task:' .. task, 'lease', 'agent', 'run', 'state', 'by',
    'failure', 'begun', 'jbytes')
  if not f[1] or f[1] ~= secret then
    refuse('lease_lost', 'this lease is no longer valid: the task was given to another replica',
      'Drop the task and take another')
  end
  if f[2] ~= agent then refuse('identity', 'this lease belongs to another agent') end
  local t = {id = task, agent = f[2], run = f[3], state = f[4], by = f[5], failure = f[6],
    begun = tonumber(f[7] or 0), journal_bytes = tonumber(f[8] or 0)}
  if t.state == 'running' then
    t.deadline = redis.call('HGET', P .. 'run:' .. t.run, 'deadline')
    if t.deadline ~= '' and tonumber(t.deadline) <= now then
      end_by_deadline(t.run)
      f = redis.call('HMGET', P .. 'task:' .. task, 'state', 'by', 'failure')
      t.state, t.by, t.failure = f[1], f[2], f[3]
    end
  end
  return t
end

-- As `held`, and the task is still running: what every write asks for.
local function live(task, secret, agent)
  local t = held(task, secret, agent)
  if t.state == 'running' then return t end
  if t.by == 'holder' then refuse('lease_lost', 'the task has ended') end
  refuse('cancelled', cjson.decode(t.failure).reason, 'Stop working on the task')
end

local function queue(run, task, agent, parent, input, depth, ancestry)
  if redis.call('LLEN', P .. 'queue:' .. agent) >= QUEUE_MAX then
    refuse('queue_full', int(QUEUE_MAX) .. ' tasks wait for ' .. agent .. ' already',
      'Try again later, or give it more replicas')
  end
  weigh(run, #input)
  redis.call('HSET', P .. 'task:' .. task, 'run', run, 'agent', agent, 'parent', parent,
    'input', input, 'depth', depth, 'ancestry', ancestry, 'state', 'queued', 'attempts', 0)
  redis.call('RPUSH', P .. 'tasks:' .. run, task)
  redis.call('RPUSH', P .. 'queue:' .. agent, task)
  emit(run, task, agent, 'task.queued', {parent = parent, input = cut(input), depth = tonumber(depth)})
  ring('q:' .. agent)
end
