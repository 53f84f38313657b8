"""Writes a plan down: pure functions from a plan to files. Same plan, same bytes."""
