"""How an engine says what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Who is told."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def step(self, text: str) -> None:
        """A line that the next one replaces; where lines cannot be replaced it is not shown."""


class Silent:
    """Nobody listens."""

    def say(self, text: str) -> None:
        """Nothing."""

    def step(self, text: str) -> None:
        """Nothing."""
