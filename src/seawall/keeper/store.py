"""The keeper's only way to the broker: scripts that change, connections that read, and bells.

Knows Redis and nothing of HTTP. What the scripts mean is in the modules beside it.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from seawall.errors import OperatorError, Refused
from seawall.wire.profiles import KeeperPolicy

from .archive import Archive
from .bells import ANY, POLL_SECONDS, Bells, stopped
from .scripts import Scripts

CONNECTIONS_MAX = 32
"""Broker connections for reading; a request waits for one, and never holds one while it waits."""
RECLAIMED_AT_ONCE = 100
"""Of a kind, in one run of the script (`lua/reclaim.lua`); then there may be more."""

log = logging.getLogger("seawall.keeper")


class Store:
    """One mesh's state in the broker, open inside `async with` or from `connect` to `aclose`.

    It belongs to the event loop that opened it.
    """

    def __init__(self, url: str, policy: KeeperPolicy) -> None:
        self.policy = policy
        self.prefix = f"seawall:{policy.mesh}:"
        self.closing = False
        self.archive: Archive | None = None
        """Where ended runs go, when there is a folder for them."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=5,
            decode_responses=True,
            socket_timeout=10,
            socket_connect_timeout=3,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
        )
        redis = Redis.from_pool(pool)
        # redis-py annotates answers as unions over sync and async, bytes and text.
        self.redis: Any = redis
        self.bells = Bells(redis, self.prefix + "bells")
        self._scripts = Scripts(url, policy, self.prefix)
        self._reclaimer: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, url: str, policy: KeeperPolicy) -> Store:
        """An open store. Raises OperatorError when the broker does not answer."""
        store = cls(url, policy)
        await store.open()
        return store

    async def open(self) -> None:
        """See that the broker answers, then start to listen and to reclaim; once."""
        if self._reclaimer:
            return
        try:
            await self.redis.ping()
        except (RedisError, OSError) as error:
            await self.redis.aclose()
            reason = f"it does not answer ({type(error).__name__})"
            raise OperatorError(
                "broker", reason, "See that it runs, and that its URL is right"
            ) from error
        self.bells.start()
        self._scripts.start()
        self._reclaimer = asyncio.create_task(self._reclaim(), name="keeper reclaim")

    async def aclose(self) -> None:
        """Wake and refuse what waits, then let go of the broker."""
        self.closing = True
        if self._reclaimer:
            await stopped(self._reclaimer)
        await self.bells.stop()
        await self._scripts.stop()
        await self.redis.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def run(self, script: str, *args: str | float) -> list[Any]:
        """Run one script; its answer without the leading `ok`. Raises Refused, RedisError."""
        return await self._scripts.run(script, *args)

    def wait_seconds(self, wanted: float) -> float:
        """How long a request that asks for `wanted` seconds may wait."""
        return max(0.0, min(wanted, self.policy.limits.wait_seconds_max))

    async def _reclaim(self) -> None:
        """Take back what dead holders left; every keeper does, in any order.

        A mesh without a run has nothing to take back: it is left asleep until a bell rings.
        """
        every_seconds = min(1.0, self.policy.limits.lease_seconds / 4)
        with self.bells.listen(ANY) as ear:
            while True:
                found, active = 0, 1
                try:
                    found, active = await self.run("reclaim")
                except (RedisError, Refused) as error:
                    log.warning("could not look for expired leases: %s", error)
                if found < RECLAIMED_AT_ONCE:
                    await (asyncio.sleep(every_seconds) if active else ear.wait(POLL_SECONDS))
