"""What runs in an agent's container: worker, loop, hooks, renewal. No Redis client, no keys."""
