"""A container's life: signals, the sign of life, the watchdog that needs no lock, the log.

Imports nothing large.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from seawall.wire import places
from seawall.wire.profiles import Watch

log = logging.getLogger("seawall")

HEALTH_EVERY_SECONDS = 5.0
START_SECONDS_MAX = 120.0
"""How long a process may take until its event loop turns."""


class Watched(Protocol):
    """What the process is doing, as the watchdog of its steps sees it."""

    def look(self) -> float | None:
        """End the process if something is overdue; else when it will be, if ever."""

    def words(self) -> list[str]:
        """What goes on, for people."""


def on_signals(stop: Callable[[], object]) -> None:
    """Call `stop` when the container is told to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def watch_silence(seconds: float) -> None:
    """End the process, with the stacks of all threads in its log, unless called again in time.

    The clock is a C thread's: it strikes although the event loop is blocked, and although the
    interpreter's lock is held.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)


@asynccontextmanager
async def alive(
    who: str, watch: Watch, watched: Watched | None = None
) -> AsyncIterator[asyncio.Event]:
    """Inside the block the watchdog's clock runs; set the event when the workload is ready.

    From then on the sign of life is written, that HEALTHCHECK reads. `who` this is, is logged, so
    that a log is never empty and tells a process that never became ready from one that did.
    """
    ready = asyncio.Event()
    log.info("%s, starting", who)
    beating = asyncio.create_task(_beat(who, watch, watched, ready), name="health")
    try:
        yield ready
    finally:
        beating.cancel()


async def _beat(who: str, watch: Watch, watched: Watched | None, ready: asyncio.Event) -> None:
    """While the loop turns, put off the clock and write the sign of life.

    The sign ends when what the process does must have ended: healthy is who makes progress.
    """
    lasts = watch.silence_seconds
    every = min(HEALTH_EVERY_SECONDS, lasts / 3)
    told = False
    while True:
        watch_silence(watch.silence_seconds)
        end = watched.look() if watched else None
        left = lasts if end is None else min(lasts, end - time.monotonic())
        if ready.is_set():
            if not told:
                log.info("%s, ready", who)
                told = True
            healthy_until(time.time() + left, watched.words() if watched else [])
        # One that becomes ready is seen at once, whatever the beat.
        pause = max(0.0, min(every, left))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await (asyncio.sleep(pause) if ready.is_set() else ready.wait())


def healthy_until(until: float, words: list[str]) -> None:
    """Count as healthy until then, in unix seconds; `words` say what is going on."""
    file = Path(places.HEALTH)
    new = file.with_suffix(".new")
    with contextlib.suppress(OSError):  # a full tmpfs must not end the work
        new.write_text("\n".join([str(int(until)), *words, ""]), "utf-8")
        new.replace(file)  # HEALTHCHECK never reads half a number


def begin() -> None:
    """The first thing a main program does: log lines, and a clock for its own start."""
    watch_silence(START_SECONDS_MAX)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    for chatty in ("httpx", "httpx2", "mcp"):
        logging.getLogger(chatty).setLevel("WARNING")
