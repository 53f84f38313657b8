"""The terminal as the commands write to it. Knows nothing of what they write."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table


class Screen(Console):
    """Rich's console, but for a reader that goes away: rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        """Let `main` end the command with its documented code."""
        raise BrokenPipeError


def table(*heads: str, overflow: Literal["fold", "ellipsis"] = "fold") -> Table:
    """A plain table with a heading over each column; too long a cell is folded, or cut."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        made.add_column(head, no_wrap=overflow == "ellipsis", overflow=overflow)
    return made
