"""Who works keeps its lease, also while its work lets nothing else of its process run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from keeper_harness import Keeper, Meshes

from seawall.engine.dev import GATEWAY_URL, in_process
from seawall.engine.dev_gateway import DevGateway
from seawall.keeper.app import agents_app
from seawall.keeper.store import Store
from seawall.runtime.keeper_client import KeeperClient
from seawall.runtime.renewer import Renewer
from seawall.wire.messages import Finish, Take

pytestmark = pytest.mark.anyio

LEASE_SECONDS = 0.5


def busy(seconds: float) -> None:
    """Computes, and never returns to the event loop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def renewer(mesh: Keeper) -> Renewer:
    """Its keeper is of its own thread, as is each replica's in `dev`; it reclaims as any other."""

    @asynccontextmanager
    async def keeper() -> AsyncIterator[KeeperClient]:
        async with await Store.connect(mesh.url, mesh.policy) as store:
            gateway = DevGateway("chief", agents_app(store), {})
            yield KeeperClient(in_process(gateway, f"{GATEWAY_URL}/keeper"))

    return Renewer(keeper)


async def test_work_that_keeps_the_processor_busy_keeps_its_lease(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=LEASE_SECONDS)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    with renewer(mesh) as renewing, renewing.hold(lease, lambda: None):
        busy(6 * LEASE_SECONDS)
        assert await chief.take(Take(replica="two", wait_seconds=0.2)) is None
    await chief.finish(lease.token, Finish(output="computed"))
    assert (await mesh.door.run(view.run)).output == "computed"
    assert "task.redelivered" not in await mesh.kinds(view.run)


async def test_without_renewal_the_same_work_loses_it(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=LEASE_SECONDS)
    _, lease = await mesh.started()
    busy(2 * LEASE_SECONDS)
    assert (await mesh.lease("chief", "two")).task == lease.task
