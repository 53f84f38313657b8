"""Applies a plan: starts processes, and stops every one it started."""
