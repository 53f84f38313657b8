-- The holder's answer or failure; sent twice it counts once.
local state, output, failure = ARGV[4], ARGV[5], ARGV[6]
local t = held(ARGV[1], ARGV[2], ARGV[3])
if t.state == state and t.by == 'holder' then return {'ok'} end
t = live(ARGV[1], ARGV[2], ARGV[3])
if failure == '' then failure = nil end
close(t.id, state, 'holder', output, failure)
