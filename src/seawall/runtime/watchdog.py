"""Ends this process when what it does outlives its time while the event loop still turns.

A loop that does not turn cannot look at itself: for that `containers/life.py` has a C thread. Where
the process was is told first: the stacks of all threads and of all asyncio tasks.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .progress import Progress

STUCK_EXIT = 1
"""Exit code, the same as the C thread's; Docker restarts whatever ends."""
TASKS_MAX = 200
"""Tasks whose stacks are told."""
DEPTH_MAX = 100
"""Frames of one task."""

log = logging.getLogger(__name__)


def end_process() -> None:
    """Exit at once: nothing of a stuck process can be trusted to clean up."""
    os._exit(STUCK_EXIT)


class Watchdog:
    """Watches one process's progress. `look()` must be called again by the time it returns."""

    def __init__(
        self,
        progress: Progress,
        grace_seconds: float,
        end: Callable[[], object] = end_process,
    ) -> None:
        self._progress, self._grace_seconds, self._end = progress, grace_seconds, end

    def look(self) -> float | None:
        """End the process if something is overdue; else when it will be, on the monotonic clock."""
        found = self._progress.ends()
        if found is None:
            return None
        until, what = found
        overdue = time.monotonic() - until
        if overdue < self._grace_seconds:
            return until + self._grace_seconds
        log.critical("stuck: %s should have ended %.1f s ago; this process ends", what, overdue)
        tell_stacks()
        self._end()
        return None

    def words(self) -> list[str]:
        """What goes on, for people."""
        return self._progress.words()


def tell_stacks() -> None:
    """Write the stacks of all threads and of the loop's tasks to stderr: places, no values."""
    sys.stderr.write("".join(task_stacks()))
    sys.stderr.flush()
    faulthandler.dump_traceback(sys.stderr, all_threads=True)


def task_stacks() -> Iterator[str]:
    """Each task's name and where it waits, the innermost call last."""
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name())[:TASKS_MAX]:
        yield f"Task {task.get_name()}:\n"
        for frame in _frames(task.get_coro()):
            for entry in traceback.StackSummary.extract([(frame, frame.f_lineno)]):
                yield f'  File "{entry.filename}", line {entry.lineno} in {entry.name}\n'


def _frames(waiting: Any) -> Iterator[FrameType]:
    """The chain of coroutines and generators that await one another."""
    for _ in range(DEPTH_MAX):
        frame = _first(waiting, "cr_frame", "gi_frame", "ag_frame")
        if frame is None:
            return
        yield frame
        waiting = _first(waiting, "cr_await", "gi_yieldfrom", "ag_await")


def _first(of: object, *names: str) -> Any:
    return next((found for name in names if (found := getattr(of, name, None)) is not None), None)
