"""Alive but stuck: a step that outlives the time it named costs its holder the lease."""

from __future__ import annotations

import asyncio
import time

import pytest
from keeper_harness import Keeper, Meshes

from seawall.errors import Refused
from seawall.runtime.keeper_client import KeeperClient
from seawall.wire.messages import Begin, Finish, Lease, Release, Step, StepKind, Take, Usage
from seawall.wire.profiles import Budget

pytestmark = pytest.mark.anyio


async def begun(
    agent: KeeperClient, lease: Lease, key: str, seconds: float | None, kind: StepKind = "model"
) -> float | None:
    """Begin a step that should take so long; when it should have ended."""
    until = None if seconds is None else time.time() + seconds
    most = Usage(turns=1)
    await agent.begin(lease.token, Begin(key=key, kind=kind, name="gpt", until=until, reserve=most))
    return until


async def renewed(agent: KeeperClient, lease: Lease, seconds: float) -> str:
    """Renew for so long; the refusal that ended it, or ''."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await agent.renew(lease.token)
        except Refused as refused:
            return refused.code
        await asyncio.sleep(0.05)
    return ""


async def reasons(mesh: Keeper, run: str) -> list[str]:
    events = await mesh.door.events(run)
    return [event.data["reason"] for event in events if event.kind == "task.redelivered"]


async def test_a_holder_that_renews_but_does_not_end_its_step_loses_the_lease(
    meshes: Meshes,
) -> None:
    mesh = await meshes.open(lease_seconds=2, stall_grace_seconds=0.2)
    chief = await mesh.agent("chief")
    view, stuck = await mesh.started()
    until = await begun(chief, stuck, "model#1", 0.3)
    assert until
    assert await renewed(chief, stuck, 5) == "lease_lost"
    assert time.time() > until + 0.2, "not before its time and the grace are over"
    with pytest.raises(Refused) as refused:
        await chief.record(stuck.token, Step(key="model#1", kind="model", payload="{}"))
    assert refused.value.code == "lease_lost"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    assert await reasons(mesh, view.run) == [
        f"step model#1 (model gpt) should have ended by {when}"
    ]
    heir = await mesh.lease("chief", "two")
    assert (heir.task, heir.attempt) == (stuck.task, 2)
    await begun(chief, heir, "model#1", 60)
    await chief.record(heir.token, Step(key="model#1", kind="model", payload="{}"))
    await chief.finish(heir.token, Finish(output="x"))
    assert (await mesh.door.run(view.run)).usage.turns == 1


async def test_an_heir_is_not_judged_by_the_times_of_the_one_before(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=0.5, stall_grace_seconds=0.1)
    chief = await mesh.agent("chief")
    view, dead = await mesh.started()
    await begun(chief, dead, "tool#a", 0.9, "tool")
    await begun(chief, dead, "tool#b", 1.0, "tool")
    heir = await mesh.lease("chief", "two")
    assert await renewed(chief, heir, 1.5) == ""
    assert len(await reasons(mesh, view.run)) == 1


async def test_two_steps_that_stall_together_cost_one_attempt(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=2, stall_grace_seconds=0.1)
    chief = await mesh.agent("chief")
    view, stuck = await mesh.started()
    await begun(chief, stuck, "tool#a", 0.1, "tool")
    await begun(chief, stuck, "tool#b", 0.1, "tool")
    assert await renewed(chief, stuck, 5) == "lease_lost"
    assert (await mesh.lease("chief", "two")).attempt == 2
    assert len(await reasons(mesh, view.run)) == 1


async def test_a_task_whose_every_holder_gets_stuck_becomes_a_dead_letter(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=2, stall_grace_seconds=0.1, attempts_max=2)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started("poison")
    await begun(chief, lease, "model#1", 0.1)
    lease = await mesh.lease("chief", "two")
    await begun(chief, lease, "model#1", 0.1)
    assert await renewed(chief, lease, 5) == "lease_lost"
    view = await mesh.door.run(view.run)
    assert view.failure
    assert (view.state, view.failure.kind) == ("failed", "dead")
    assert view.failure.reason.startswith("step model#1 (model gpt) should have ended by ")
    assert view.failure.reason.endswith("; given up after 2 attempts")
    assert (await mesh.door.dead_letters())[0].reason == view.failure.reason


async def test_work_in_time_between_steps_and_without_a_time_is_no_stall(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=1, stall_grace_seconds=0.1, run=Budget(turns=50))
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    await begun(chief, lease, "tool#long", 60, "tool")
    await begun(chief, lease, "delegate#child", None, "delegate")
    await begun(chief, lease, "model#1", 0.3)
    await chief.record(lease.token, Step(key="model#1", kind="model", payload="{}"))
    await begun(chief, lease, "model#2", 0.3)
    await chief.release(lease.token, Release(key="model#2"))
    await begun(chief, lease, "model#3", 0.3)
    await begun(chief, lease, "model#3", 60)  # begun anew, the last word counts
    assert await renewed(chief, lease, 1.6) == ""
    await chief.finish(lease.token, Finish(output="x"))
    assert "task.redelivered" not in await mesh.kinds(view.run)
    assert await mesh.store.redis.zcard(f"{mesh.store.prefix}stalls") == 0
    assert await chief.take(Take(replica="two", wait_seconds=0)) is None


@pytest.mark.parametrize("until", ["-1", "1e300", "NaN", "Infinity"])
async def test_a_time_that_is_none_is_refused(meshes: Meshes, until: str) -> None:
    mesh = await meshes.open()
    _, lease = await mesh.started()
    answer = await (await mesh.raw("chief")).post(
        "/v1/begin",
        content=f'{{"key":"k","kind":"model","name":"m","until":{until}}}',
        headers={"authorization": f"Bearer {lease.token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
