-- A step that began will not be recorded: its room is free again.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local earlier = redis.call('HGET', P .. 'open:' .. t.id, ARGV[4])
if earlier then give_back(t.run, shut(t.id, ARGV[4], earlier)) end
