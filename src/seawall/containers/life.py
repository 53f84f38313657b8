"""A container's life: signals, signs of health, log. Imports nothing large."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path

from seawall.wire import places

HEALTH_EVERY_SECONDS = 5.0
HEALTH_SECONDS = 30
"""How long one sign of life counts."""


def on_signals(stop: Callable[[], object]) -> None:
    """Call `stop` when the container is told to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


async def beat(ready: asyncio.Event | None = None) -> None:
    """Write the sign of life that HEALTHCHECK reads, from `ready` on, while the loop turns."""
    if ready is not None:
        await ready.wait()
    while True:
        healthy_until(time.time() + HEALTH_SECONDS)
        await asyncio.sleep(HEALTH_EVERY_SECONDS)


def healthy_until(until: float) -> None:
    """Count as healthy until then, in unix seconds."""
    with contextlib.suppress(OSError):  # a full tmpfs must not end the work
        Path(places.HEALTH).write_text(str(int(until)), "ascii")


def log_to_stdout() -> None:
    """Log as one line an entry, to where the engine collects it."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    for chatty in ("httpx", "httpx2", "mcp"):
        logging.getLogger(chatty).setLevel("WARNING")
