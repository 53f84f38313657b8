-- The run's file goes: nothing of it stays.
forget(ARGV[1])
