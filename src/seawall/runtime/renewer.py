"""Renews leases from a thread of its own: work that blocks the event loop cannot starve it.

When the keeper says that a lease is lost or its run cancelled, the holder is told.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass

from seawall.errors import OperatorError, Refused
from seawall.wire.messages import Lease

from .keeper_client import KeeperClient

KeeperFactory = Callable[[], AbstractAsyncContextManager[KeeperClient]]
"""Opens a client of its own for the thread's loop: clients belong to the loop that made them."""


@dataclass
class Held:
    """A lease being renewed; `lost` says why it ended, once it did."""

    lease: Lease
    on_end: Callable[[], object]
    lost: str | None = None

    def end(self, reason: str) -> None:
        """Note the reason and tell the holder."""
        self.lost = reason
        self.on_end()


class Renewer:
    """One thread for one replica, alive inside its `with` block."""

    def __init__(self, factory: KeeperFactory) -> None:
        self._factory = factory
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._keeper: KeeperClient | None = None
        self._thread = threading.Thread(target=self._main, name="renewer", daemon=True)

    def __enter__(self) -> Renewer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @contextmanager
    def hold(self, lease: Lease, on_end: Callable[[], object]) -> Iterator[Held]:
        """Keep `lease` alive inside the block. `on_end` is called in the renewer's thread."""
        held = Held(lease, on_end)
        renewing = asyncio.run_coroutine_threadsafe(self._renew(held), self._loop)
        try:
            yield held
        finally:
            renewing.cancel()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _renew(self, held: Held) -> None:
        last = time.monotonic()
        while held.lost is None:
            await asyncio.sleep(held.lease.seconds / 3)
            try:
                renewal = await (await self._client()).renew(held.lease.token)
            except Refused as refused:
                held.end(refused.code)
            except OperatorError:
                # The keeper is away; what counts is whether the lease has run out meanwhile.
                if time.monotonic() - last > held.lease.seconds:
                    held.end("lease_lost")
            else:
                last = time.monotonic()
                if renewal.cancelled:
                    held.end("cancelled")

    async def _client(self) -> KeeperClient:
        if self._keeper is None:  # most tasks end before their first renewal
            self._keeper = await self._stack.enter_async_context(self._factory())
        return self._keeper
