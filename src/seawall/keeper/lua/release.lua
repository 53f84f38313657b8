-- Gives a failed attempt's reservation back.
local t = live(ARGV[1], ARGV[2], ARGV[3])
local earlier = redis.call('HGET', P .. 'reserved:' .. t.id, ARGV[4])
if earlier then
  give_back(t.run, earlier)
  redis.call('HDEL', P .. 'reserved:' .. t.id, ARGV[4])
end
