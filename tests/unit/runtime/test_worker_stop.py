"""A worker that is stopped gives its task back, whether or not the task can be cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from task_builder import task

from seawall.runtime import worker as module
from seawall.runtime.keeper_client import KeeperClient
from seawall.runtime.worker import Worker
from seawall.wire.messages import Finish, GiveBack, Lease, Take


class Keeper:
    """Has one task, and notes what comes back."""

    def __init__(self) -> None:
        self.back: list[tuple[str, str]] = []
        self.leases = [task().lease]

    async def take(self, _message: Take) -> Lease | None:
        if not self.leases:
            await asyncio.Event().wait()
        return self.leases.pop()

    async def give_back(self, token: str, message: GiveBack) -> None:
        self.back.append((token, message.reason))


class Stubborn(Worker):
    """Works on a task that hears the first cancellation, and goes on for a while."""

    stubborn_seconds = 0.0
    working: asyncio.Event

    async def _outcome(self, _keeper: KeeperClient, _lease: Lease) -> Finish:
        self.working.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(self.stubborn_seconds)
            raise
        raise AssertionError


@pytest.mark.anyio
@pytest.mark.parametrize("stubborn_seconds", [0.0, 5.0])
async def test_the_task_goes_back_within_the_time_of_a_stop(
    stubborn_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS_MAX", 0.3)
    keeper: Any = Keeper()

    @asynccontextmanager
    async def factory() -> AsyncIterator[KeeperClient]:
        yield keeper

    unused: Any = None
    worker = Stubborn(task().profile, "one", factory, unused, unused)
    worker.stubborn_seconds = stubborn_seconds
    worker.working = asyncio.Event()
    running = asyncio.create_task(worker.run())
    await worker.working.wait()
    before = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - before < 3
    assert keeper.back == [("t", "replica one stopped")]
