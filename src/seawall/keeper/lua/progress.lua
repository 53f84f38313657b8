-- What the agent is doing, for people.
local t = live(ARGV[1], ARGV[2], ARGV[3])
space()
emit(t.run, t.id, t.agent, ARGV[4], cjson.decode(ARGV[5]))
