"""Moves ended runs out of the broker's memory into the archive, and forgets what is too old.

Write, sync, then unlink: killed at any moment, the run is in the broker, in the file, or in both,
and the next round does it again. Two keepers may do it at once. When runs end faster than they can
be moved, or the disk is full, new ones are refused: none that has ended is dropped instead.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

from redis.exceptions import RedisError

from seawall.errors import Refused

from . import events, runs
from .archive import Archive, Kind
from .bells import ANY, POLL_SECONDS, stopped
from .store import Store

EVERY_SECONDS = 1.0
ROUND_MAX = 20
"""Runs in one round."""
TOGETHER = 4
"""Runs that are moved at once: each waits for the disk, and is in the keeper's memory meanwhile."""
PRUNE_EVERY_SECONDS = 60.0

log = logging.getLogger("seawall.keeper")


class Archiver:
    """Works inside its `async with` block; the store answers from the archive meanwhile."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store, self._archive = store, archive
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Archiver:
        await asyncio.to_thread(self._archive.clean)
        await self._store.redis.set(f"{self._store.prefix}archives", 1)
        self._store.archive = self._archive
        self._task = asyncio.create_task(self._work(), name="keeper archive")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task:
            await stopped(self._task)

    async def _work(self) -> None:
        pruned = 0.0
        with self._store.bells.listen(ANY) as ear:
            while True:
                moved, left = 0, 1
                try:
                    moved, left = await self.round()
                    if time.monotonic() - pruned > PRUNE_EVERY_SECONDS:
                        pruned = time.monotonic()
                        await self.prune()
                except (RedisError, Refused, OSError) as error:
                    # A full disk stops nobody yet: runs stay in the broker while it has room.
                    log.warning("could not archive: %s", error)
                if moved == ROUND_MAX:
                    continue
                await asyncio.sleep(EVERY_SECONDS)
                if not left:  # nothing has ended that waits, and none will before a bell rings
                    await ear.wait(POLL_SECONDS)

    async def round(self) -> tuple[int, int]:
        """Archive what is due; how many runs that were, and how many wait. Raises RedisError,
        OSError.
        """
        due, ended = await self._due()
        for first in range(0, len(due), TOGETHER):
            moving = (self._move(run) for run in due[first : first + TOGETHER])
            for outcome in await asyncio.gather(*moving, return_exceptions=True):
                if outcome is not None:
                    raise outcome
        return len(due), ended - len(due)

    async def _move(self, run: str) -> None:
        lines = await self._read(run)
        await asyncio.to_thread(self._archive.write, run, lines)
        await self._store.run("archive", run)

    async def prune(self) -> None:
        """Drop what the limits leave no room for: first from the list of runs, then the file."""
        for run in await asyncio.to_thread(self._archive.over):
            await self._store.run("forget", run)
            await asyncio.to_thread(self._archive.remove, run)

    async def _due(self) -> tuple[list[str], int]:
        """Runs that ended a while ago, sooner when the broker fills up; how many ended at all."""
        limits, prefix = self._store.policy.limits, self._store.prefix
        pipe = self._store.redis.pipeline(transaction=False)
        pipe.zcard(f"{prefix}finished")
        pipe.get(f"{prefix}live_bytes")
        pipe.zrange(f"{prefix}finished", 0, ROUND_MAX - 1, withscores=True)
        ended, live, oldest = await pipe.execute()
        crowded = ended > limits.finished_runs_max / 2 or int(live or 0) > limits.live_bytes_max / 2
        latest = float("inf") if crowded else time.time() - limits.archive_after_seconds
        return [run for run, at in oldest if at <= latest], ended

    async def _read(self, run: str) -> list[tuple[Kind, Any]]:
        """Everything of an ended run; nothing of it changes any more."""
        store, prefix = self._store, self._store.prefix
        view = await runs.view(store, run)
        lines: list[tuple[Kind, Any]] = [("run", view.model_dump(mode="json"))]
        for task in await runs.tasks(store, run):
            lines.append(("task", task.model_dump(mode="json")))
            steps = await store.redis.lrange(f"{prefix}journal:{task.task}", 0, -1)
            lines += [("step", {"task": task.task, **json.loads(step)}) for step in steps]
        after = ""
        while page := await events.page(store, run, after):
            after = page[-1].id
            lines += [("event", event.model_dump(mode="json")) for event in page]
        return lines
