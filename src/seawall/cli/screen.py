"""The terminal as the commands write to it. Knows nothing of what they write."""

from __future__ import annotations

from rich.console import Console


class Screen(Console):
    """Rich's console, but for a reader that goes away: rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        """Let `main` end the command with its documented code."""
        raise BrokenPipeError
