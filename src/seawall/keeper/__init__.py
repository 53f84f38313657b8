"""The mesh's one brain, and the broker's only client.

Stateless: every change is one Lua script over Redis, so that lease, journal, budget and events
change together or not at all, and any number of keepers on one Redis behave as one.
"""
