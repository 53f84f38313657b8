"""What this process is doing, and until when each of it may take. Knows no step, keeper or file.

Written by the worker and by the hook `watched`; read by the sign of life and by the watchdog.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LINES_MAX = 20
"""Of what goes on at once, told to people."""


@dataclass(eq=False)
class Doing:
    """One thing that goes on. Times are of the monotonic clock, which no operator sets."""

    what: str
    since: float
    until: float | None
    pause_seconds: float | None
    """How long nothing else may go on meanwhile; None when it is work itself."""
    paused: float
    """Since when nothing else goes on."""


class Progress:
    """Everything that goes on. Belongs to one event loop."""

    def __init__(self) -> None:
        self._doing: list[Doing] = []

    @contextmanager
    def doing(
        self, what: str, seconds_max: float | None, *, pause_seconds: float | None = None
    ) -> Iterator[Doing]:
        """Inside the block this goes on, for at most `seconds_max`.

        With `pause_seconds` it is made of other things that go on, and that is the longest time
        between two of them.
        """
        now = time.monotonic()
        until = None if seconds_max is None else now + seconds_max
        mine = Doing(what, now, until, pause_seconds, now)
        self._doing.append(mine)
        try:
            yield mine
        finally:
            self._doing.remove(mine)
            for doing in self._doing:
                doing.paused = time.monotonic()

    def ends(self) -> tuple[float, str] | None:
        """The first time, on the monotonic clock, by which something must have ended, and what."""
        work = any(doing.pause_seconds is None for doing in self._doing)
        times = []
        for doing in self._doing:
            if doing.until is not None:
                times.append((doing.until, doing.what))
            if doing.pause_seconds is not None and not work:
                words = f"{doing.what}: nothing between two steps"
                times.append((doing.paused + doing.pause_seconds, words))
        return min(times, default=None)

    def words(self) -> list[str]:
        """A line for each thing that goes on: what, since and until when, in unix seconds."""
        shift = time.time() - time.monotonic()
        return [
            f"{doing.what}, since {doing.since + shift:.0f}"
            + (f", until {doing.until + shift:.0f}" if doing.until is not None else "")
            for doing in self._doing[:LINES_MAX]
        ]
