"""A replica that stops gives its task back: another has it at once, the first writes no more."""

from __future__ import annotations

import asyncio
import time

import pytest
from keeper_harness import Meshes

from seawall.errors import Refused
from seawall.keeper.scripts import GIVE_BACKS_MAX
from seawall.wire.messages import Begin, Finish, GiveBack, Step, Take, Usage
from seawall.wire.profiles import Budget

pytestmark = pytest.mark.anyio
STOPPED = GiveBack(reason="replica one stopped")


async def test_another_replica_has_the_task_at_once_with_its_journal(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=60)
    chief = await mesh.agent("chief")
    view, first = await mesh.started()
    await chief.record(first.token, Step(key="model#1", kind="model", payload="{}"))
    waiting = asyncio.create_task(mesh.lease("chief", "two"))
    await asyncio.sleep(0.1)
    before = time.monotonic()
    await chief.give_back(first.token, STOPPED)
    heir = await waiting
    assert time.monotonic() - before < 2
    assert (heir.task, [step.key for step in heir.journal]) == (first.task, ["model#1"])
    assert heir.attempt == 1, "it was nobody's fault"
    events = await mesh.door.events(view.run)
    assert [e.data["reason"] for e in events if e.kind == "task.redelivered"] == [STOPPED.reason]


async def test_who_gave_back_is_fenced_and_may_say_it_only_once(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief = await mesh.agent("chief")
    _, first = await mesh.started()
    await chief.give_back(first.token, STOPPED)
    heir = await mesh.lease("chief", "two")
    late = (
        chief.record(first.token, Step(key="model#1", kind="model", payload="{}")),
        chief.finish(first.token, Finish(output="late")),
        chief.give_back(first.token, STOPPED),
    )
    for write in late:
        with pytest.raises(Refused) as refused:
            await write
        assert refused.value.code == "lease_lost"
    await chief.finish(heir.token, Finish(output="x"))


async def test_another_agent_cannot_give_it_back(meshes: Meshes) -> None:
    mesh = await meshes.open()
    _, first = await mesh.started()
    with pytest.raises(Refused) as refused:
        await (await mesh.agent("clerk")).give_back(first.token, STOPPED)
    assert refused.value.code == "identity"


async def test_the_times_of_open_steps_do_not_count_against_the_next_one(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=5, stall_grace_seconds=0.1, run=Budget(turns=1))
    chief = await mesh.agent("chief")
    view, first = await mesh.started()
    begin = Begin(key="model#1", kind="model", name="m", reserve=Usage(turns=1))
    await chief.begin(first.token, begin.model_copy(update={"until": time.time() + 0.3}))
    await chief.give_back(first.token, STOPPED)
    heir = await mesh.lease("chief", "two")
    await asyncio.sleep(1.6)
    await chief.begin(heir.token, begin)  # the room it held is the same step's
    await chief.finish(heir.token, Finish(output="x"))
    assert (await mesh.kinds(view.run)).count("task.redelivered") == 1


async def test_a_task_that_always_comes_back_costs_attempts_in_the_end(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=5)
    chief = await mesh.agent("chief")
    _, lease = await mesh.started()
    for _ in range(GIVE_BACKS_MAX + 1):
        assert lease.attempt == 1
        await chief.give_back(lease.token, STOPPED)
        taken = await chief.take(Take(replica="two", wait_seconds=1))
        assert taken
        lease = taken
    assert lease.attempt == 2
