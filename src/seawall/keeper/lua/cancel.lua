-- Ends a run and its whole tree.
if redis.call('EXISTS', P .. 'run:' .. ARGV[1]) == 0 then refuse('unknown', 'there is no such run') end
end_run(ARGV[1], 'cancelled', nil, cjson.encode({kind = 'cancelled', reason = ARGV[2]}))
