"""Bells wake requests that wait: queued work, an ended task, a new event.

One or two subscriptions for each keeper, however many requests wait, so that long polls hold no
broker connection: one for work, and, once people follow events here, one for events (`e:`), of
which there are several a step. A lost ring costs a wait of at most `POLL_SECONDS`, never an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from seawall.errors import Refused

WAITS_MAX = 4096
"""Requests that may wait in one keeper."""
POLL_SECONDS = 5.0
"""How long a waiting request trusts the bells before it looks again."""

ANY = "*"
"""The name of a bell that rings with every other, for what is to happen when anything does."""


async def stopped(task: asyncio.Future[Any]) -> None:
    """Cancel until it has ended: redis-py 8.1 loses a cancellation that meets an answer."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


class Ear:
    """One waiting request's side of a bell."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when rung, or after `seconds` (at most `POLL_SECONDS`)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, POLL_SECONDS)):
                await self.rung.wait()
        self.rung.clear()


class Bells:
    """The bells of one mesh, as heard by one keeper."""

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._ears: dict[str, list[Ear]] = {}
        self._count = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._follows_events = False

    def start(self) -> None:
        """Begin to listen to the broker."""
        self._tasks.append(asyncio.create_task(self._follow(""), name="keeper bells"))

    async def stop(self) -> None:
        """Stop listening, and wake everyone."""
        for task in self._tasks:
            await stopped(task)
        self.ring_all()

    def _start_events(self) -> None:
        """Begin to listen to events; what rings before the broker knows of it is rung after."""
        self._follows_events = True
        self._tasks.append(asyncio.create_task(self._follow(":e"), name="keeper event bells"))

    @contextmanager
    def listen(self, name: str) -> Iterator[Ear]:
        """An ear for one bell; look once after getting it, then wait."""
        if self._count >= WAITS_MAX:
            raise Refused("busy", f"{WAITS_MAX} requests wait already", "Try again later")
        if name.startswith("e:") and self._tasks and not self._follows_events:
            self._start_events()
        ear = Ear()
        self._count += 1
        self._ears.setdefault(name, []).append(ear)
        try:
            yield ear
        finally:
            self._count -= 1
            ears = self._ears[name]
            ears.remove(ear)
            if not ears:
                del self._ears[name]
            elif ear.rung.is_set():
                self.ring(name)

    def ring(self, name: str) -> None:
        """Wake everyone at this bell; of those who wait for queued work (`q:`) only one."""
        for ear in self._ears.get(name, ()):
            if not ear.rung.is_set():
                ear.rung.set()
                if name.startswith("q:"):
                    return

    def ring_all(self) -> None:
        """Wake everyone: rings may have been missed."""
        for ears in self._ears.values():
            for ear in ears:
                ear.rung.set()

    async def _follow(self, which: str) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(self._channel + which)
                    self.ring_all()
                    async for message in subscription.listen():
                        for name in (*message["data"].split("\n"), ANY):
                            self.ring(name)
            except (RedisError, OSError):
                await asyncio.sleep(0.2)
