"""Models: real ones by provider, scripted ones from a file, fakes on the wire, and what they cost.

Sees `wire` and `errors` only. Provider libraries and pydantic-ai are imported late.
"""
