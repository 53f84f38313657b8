"""Whoever dies, the work goes on; whoever lost a lease can write nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from keeper_harness import Meshes

from seawall.errors import Refused
from seawall.runtime.keeper_client import KeeperClient
from seawall.wire.messages import (
    Begin,
    Delegation,
    Failure,
    Finish,
    Progress,
    Release,
    StartRun,
    Step,
    Take,
)
from seawall.wire.profiles import Budget

pytestmark = pytest.mark.anyio

Write = Callable[[KeeperClient, str], Awaitable[object]]
WRITES: dict[str, Write] = {
    "renew": lambda k, t: k.renew(t),
    "begin": lambda k, t: k.begin(t, Begin(key="x", kind="tool", name="n")),
    "begin after": lambda k, t: k.begin(
        t,
        Begin(key="y", kind="tool", name="n", after=Step(key="x", kind="tool", payload="{}")),
    ),
    "record": lambda k, t: k.record(t, Step(key="x", kind="tool", payload="{}")),
    "release": lambda k, t: k.release(t, Release(key="x")),
    "delegate": lambda k, t: k.delegate(t, Delegation(key="x", agent="clerk", input="y")),
    "progress": lambda k, t: k.progress(t, Progress(text="x")),
    "finish": lambda k, t: k.finish(t, Finish(output="x")),
    "fail": lambda k, t: k.fail(t, Failure(kind="error", reason="x")),
}


async def codes(agent: KeeperClient, token: str) -> dict[str, str]:
    """What each write is refused with."""
    found = {}
    for name, write in WRITES.items():
        try:
            await write(agent, token)
            found[name] = "allowed"
        except Refused as refused:
            found[name] = refused.code
    return found


async def test_a_dead_holders_task_is_redelivered_within_two_leases_and_fenced(
    meshes: Meshes,
) -> None:
    mesh = await meshes.open(lease_seconds=0.6)
    chief = await mesh.agent("chief")
    view, dead = await mesh.started()
    await chief.record(dead.token, Step(key="model#1", kind="model", payload='"one"'))
    await chief.begin(dead.token, Begin(key="tool#a", kind="tool", name="web/search"))
    died = time.monotonic()
    heir = await mesh.lease("chief", "two")
    assert time.monotonic() - died < 1.2
    assert (heir.task, heir.attempt, heir.token != dead.token) == (dead.task, 2, True)
    assert [step.payload for step in heir.journal] == ['"one"']
    assert await codes(chief, dead.token) == dict.fromkeys(WRITES, "lease_lost")
    await chief.finish(heir.token, Finish(output="from two"))
    assert (await mesh.door.run(view.run)).output == "from two"
    events = await mesh.door.events(view.run)
    reasons = [e.data["reason"] for e in events if e.kind == "task.redelivered"]
    assert reasons == ["replica one stopped renewing its lease while doing tool web/search"]


async def test_a_task_is_not_redelivered_while_its_holder_renews(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=1.5)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    other = asyncio.create_task(chief.take(Take(replica="two", wait_seconds=4)))
    for _ in range(25):
        await asyncio.sleep(0.15)
        assert not (await chief.renew(lease.token)).cancelled
    assert await other is None
    await chief.finish(lease.token, Finish(output="x"))
    assert "task.redelivered" not in await mesh.kinds(view.run)


async def test_a_task_that_kills_its_holders_becomes_a_dead_letter(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=0.3, attempts_max=2)
    view, _ = await mesh.started("poison")
    assert (await mesh.lease("chief")).attempt == 2
    after = ""
    while (view := await mesh.door.run(view.run)).state == "running":
        events = await mesh.door.events(view.run, after, 2)
        after = events[-1].id if events else after
    assert view.state == "failed"
    assert view.failure
    assert view.failure.kind == "dead"
    assert view.failure.reason.endswith("given up after 2 attempts")
    (letter,) = await mesh.door.dead_letters()
    assert (letter.run, letter.input, letter.attempts) == (view.run, "poison", 2)
    assert letter.reason == view.failure.reason
    assert (await mesh.kinds(view.run))[-2:] == ["task.dead", "run.failed"]


async def test_the_parent_of_a_dead_child_reads_why(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=0.4, attempts_max=1)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    child = await chief.delegate(lease.token, Delegation(key="k", agent="clerk", input="y"))
    await mesh.lease("clerk")
    result = asyncio.create_task(chief.result(lease.token, child.task, 5))
    while not result.done():
        await chief.renew(lease.token)
        await asyncio.sleep(0.1)
    assert (await result).state == "dead"
    failure = (await result).failure
    assert failure
    assert "stopped renewing" in failure.reason
    assert (await mesh.door.run(view.run)).state == "running"


async def test_a_run_past_its_deadline_fails_and_its_holder_hears_of_it(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(seconds=0.5))
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    assert lease.deadline
    assert view.started < lease.deadline < view.started + 0.6
    await chief.delegate(lease.token, Delegation(key="k", agent="clerk", input="y"))
    await asyncio.sleep(0.55)
    assert (await chief.renew(lease.token)).cancelled
    found = await codes(chief, lease.token)
    assert found.pop("renew") == "allowed"
    assert set(found.values()) == {"cancelled"}
    view = await mesh.door.run(view.run)
    assert view.failure
    assert (view.state, view.failure.kind) == ("failed", "deadline")
    assert [task.state for task in await mesh.door.tasks(view.run)] == ["failed", "cancelled"]
    assert "budget.reached" in await mesh.kinds(view.run)


async def test_a_deadline_needs_nobody_to_ask(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(seconds=0.3))
    view = await mesh.door.start(StartRun(input="x"))
    events = await mesh.door.events(view.run)
    while events[-1].kind != "run.failed":
        events = await mesh.door.events(view.run, events[-1].id, 5)
        assert events, "the run did not end"


async def test_cancelling_a_run_ends_its_whole_tree(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief, scout = await mesh.agent("chief"), await mesh.agent("scout")
    view, lease = await mesh.started()
    child = await chief.delegate(lease.token, Delegation(key="k", agent="scout", input="y"))
    theirs = await mesh.lease("scout")
    await scout.delegate(theirs.token, Delegation(key="k", agent="clerk", input="z"))
    waiting = asyncio.create_task(chief.result(lease.token, child.task, 10))
    await asyncio.sleep(0.05)
    assert (await mesh.door.cancel(view.run)).state == "cancelled"
    assert (await chief.renew(lease.token)).cancelled
    assert (await scout.renew(theirs.token)).cancelled
    found = await codes(scout, theirs.token)
    assert found.pop("renew") == "allowed"
    assert set(found.values()) == {"cancelled"}
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.code == "cancelled"
    clerk = await mesh.agent("clerk")
    assert await clerk.take(Take(replica="one", wait_seconds=0)) is None
    assert {task.state for task in await mesh.door.tasks(view.run)} == {"cancelled"}
    assert (await mesh.door.cancel(view.run)).state == "cancelled"
    assert (await mesh.kinds(view.run))[-1] == "run.cancelled"
    with pytest.raises(Refused) as refused:
        await mesh.door.cancel("nothing")
    assert refused.value.code == "unknown"


async def test_a_replica_that_hangs_up_swallows_no_work(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief = await mesh.agent("chief")
    for _ in range(5):
        ghost = asyncio.create_task(chief.take(Take(replica="ghost", wait_seconds=10)))
        await asyncio.sleep(0.05)
        ghost.cancel()
        await asyncio.gather(ghost, return_exceptions=True)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    _, lease = await mesh.started()
    assert (lease.attempt, time.monotonic() - began < 1) == (1, True)


async def test_work_taken_while_its_asker_leaves_is_put_back(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=30)
    chief = await mesh.agent("chief")
    for n in range(30):
        ghost = asyncio.create_task(chief.take(Take(replica="ghost", wait_seconds=10)))
        await asyncio.sleep(0.01)
        start = asyncio.create_task(mesh.door.start(StartRun(input=str(n))))
        await asyncio.sleep(n * 0.0002)
        ghost.cancel()
        (lease,) = await asyncio.gather(ghost, return_exceptions=True)
        await start
        if isinstance(lease, BaseException) and meshes.transport == "in process":
            lease = await mesh.lease("chief", wait_seconds=2)
            assert lease.input == str(n)


async def test_two_keepers_on_one_broker_behave_as_one(meshes: Meshes) -> None:
    left = await meshes.open(lease_seconds=3.0)
    right = await meshes.another(left.policy)
    takes = [asyncio.create_task(k.lease("chief")) for k in (left, right) * 5]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    runs = [(await k.door.start(StartRun(input="x"))).run for k in (left, right) * 5]
    leases = await asyncio.gather(*takes)
    assert time.monotonic() - began < 2
    assert sorted(lease.run for lease in leases) == sorted(runs)
    mine = leases[0]
    there = await right.agent("chief")
    assert not (await there.renew(mine.token)).cancelled
    await there.finish(mine.token, Finish(output="elsewhere"))
    assert (await left.door.run(mine.run)).output == "elsewhere"
    again = await asyncio.gather(*(k.lease("chief") for k in (left, right)))
    assert {lease.attempt for lease in again} == {2}
    assert len({lease.task for lease in again}) == 2


async def test_a_lease_outlives_its_keeper(meshes: Meshes) -> None:
    first = await meshes.open()
    view, lease = await first.started()
    second = await meshes.another(first.policy)
    await first.store.aclose()
    await (await second.agent("chief")).finish(lease.token, Finish(output="x"))
    assert (await second.door.run(view.run)).state == "done"
