-- Says what a lease token names; refuses one that holds nothing.
local t = live(ARGV[1], ARGV[2], ARGV[3])
return {'ok', t.agent, t.run, t.id}
