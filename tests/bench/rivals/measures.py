"""What every queue is asked to do: echo an answer, drain no-ops, finish what a dead worker held.

Standard library only: it runs in each rival's own environment. What must be seen from outside is
written to files in `BENCH_FOLDER`, so that no rival's broker client is part of the measure.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

TRIPS, WARM_UP = 200, 20
NOOPS = int(os.environ.get("BENCH_NOOPS", "300"))
FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
LEASE_SECONDS = float(os.environ.get("BENCH_LEASE", "60"))

_counted = 0


class Asker(Protocol):
    """The asking side of a queue."""

    async def put(self, task: str) -> Any:
        """Enqueue `noop`, `echo` or `hold`; a handle."""

    async def answer(self, handle: Any) -> Any:
        """Wait for the answer."""


Open = Callable[[str], AbstractAsyncContextManager[Asker]]


async def noop() -> int:
    """Nothing; the first and the last of NOOPS leave their times."""
    global _counted
    _counted += 1
    if _counted == 1:
        (FOLDER / "first").write_text(repr(time.time()))
    if _counted == NOOPS:
        done = FOLDER / "last.new"
        done.write_text(repr(time.time()))
        done.rename(FOLDER / "last")
    return 1


async def echo() -> str:
    """An answer."""
    return "x"


async def hold() -> str:
    """The first attempt never ends; the next says when it has finished."""
    held = FOLDER / "held"
    if held.exists():
        (FOLDER / "again").write_text(repr(time.time()))
        return "again"
    new = FOLDER / "held.new"
    new.write_text(str(os.getpid()))
    new.rename(held)
    await asyncio.sleep(600)
    return "first"


async def trips(asker: Asker) -> dict[str, float]:
    """Enqueue, taken, answered, answer read: one at a time; milliseconds."""
    took = []
    for number in range(WARM_UP + TRIPS):
        began = time.perf_counter()
        await asker.answer(await asker.put("echo"))
        if number >= WARM_UP:
            took.append((time.perf_counter() - began) * 1000)
    return {"p50": statistics.median(took), "p99": statistics.quantiles(took, n=100)[98]}


async def fill(asker: Asker, task: str, number: int) -> None:
    """Enqueue many and go away."""
    for _ in range(number):
        await asker.put(task)


async def _ask(role: str, url: str, opened: Open) -> None:
    async with opened(url) as asker:
        if role == "trips":
            print(json.dumps(await trips(asker)))
        else:
            await fill(asker, role, NOOPS if role == "noop" else 1)


def main(worker: Callable[[str], None], opened: Open) -> None:
    """`ROLE URL`, where the role is `worker`, `trips`, or the task to enqueue."""
    role, url = sys.argv[1:]
    if role == "worker":
        worker(url)
    else:
        asyncio.run(_ask(role, url, opened))


TASKS = {"noop": noop, "echo": echo, "hold": hold}
Asking = AsyncIterator[Asker]
