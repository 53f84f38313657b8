"""Everything has a limit, and nothing is allowed that the policy does not grant."""

from __future__ import annotations

import asyncio

import pytest
from keeper_harness import Keeper, Meshes

from seawall.errors import Refused
from seawall.runtime.keeper_client import KeeperClient
from seawall.wire import trace
from seawall.wire.messages import (
    Begin,
    Delegation,
    Finish,
    Lease,
    Release,
    StartRun,
    Step,
    Take,
    Usage,
)
from seawall.wire.profiles import Budget, DayBudget

pytestmark = pytest.mark.anyio


async def delegated(mesh: Keeper, lease: Lease, to: str, key: str = "k", text: str = "y") -> str:
    """The child's id, or the code of the refusal."""
    agent = await mesh.agent(lease.agent)
    try:
        ask = Delegation(key=key, agent=to, input=text)
        return (await agent.delegate(lease.token, ask)).task
    except Refused as refused:
        return refused.code


async def reserved(agent: KeeperClient, token: str, key: str, **asked: int) -> str:
    try:
        tokens = asked.pop("tokens", 0)
        most = Usage(input_tokens=tokens - tokens // 3, output_tokens=tokens // 3, **asked)
        await agent.begin(token, Begin(key=key, kind="model", name="m", reserve=most))
    except Refused as refused:
        return f"{refused.code}: {refused.fault}"
    return "ok"


async def test_delegation_follows_the_edges_and_not_in_circles(meshes: Meshes) -> None:
    mesh = await meshes.open()
    _, lease = await mesh.started()
    assert await delegated(mesh, lease, "nobody") == "edge"
    assert await delegated(mesh, lease, "chief") == "edge"
    assert "-" in await delegated(mesh, lease, "scout")
    theirs = await mesh.lease("scout")
    assert await delegated(mesh, theirs, "chief") == "cycle"
    assert "-" in await delegated(mesh, theirs, "clerk")
    assert await delegated(mesh, await mesh.lease("clerk"), "scout") == "cycle"


async def test_delegation_is_only_so_deep_and_so_wide(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(depth=1, fan_out=2))
    _, lease = await mesh.started()
    found = [await delegated(mesh, lease, "scout", key=str(n)) for n in range(3)]
    assert found[2] == "fan_out"
    assert "-" in found[1]
    assert await delegated(mesh, await mesh.lease("scout"), "clerk") == "depth"


async def test_queues_runs_and_payloads_are_bounded(meshes: Meshes) -> None:
    mesh = await meshes.open(queue_max=2, runs_max=3, payload_bytes_max=1000)
    chief = await mesh.agent("chief")
    _, lease = await mesh.started()
    for n in range(2):
        assert "-" in await delegated(mesh, lease, "clerk", key=str(n))
    assert await delegated(mesh, lease, "clerk", key="3") == "queue_full"
    assert await delegated(mesh, lease, "scout", key="4", text="é" * 501) == "payload"
    too_long = "x" * 1001
    for write in (
        chief.record(lease.token, Step(key="a", kind="note", payload=too_long)),
        chief.finish(lease.token, Finish(output=too_long)),
        mesh.door.start(StartRun(input=too_long)),
        mesh.door.start(StartRun(input="x" * 100_000)),
    ):
        with pytest.raises(Refused) as refused:
            await write
        assert refused.value.code == "payload"
    await mesh.door.start(StartRun(input="2"))
    await mesh.door.start(StartRun(input="3"))
    with pytest.raises(Refused) as refused:
        await mesh.door.start(StartRun(input="4"))
    assert refused.value.code == "runs_full"


async def test_a_journal_is_bounded(meshes: Meshes) -> None:
    mesh = await meshes.open(journal_bytes_max=100)
    chief = await mesh.agent("chief")
    _, lease = await mesh.started()
    await chief.record(lease.token, Step(key="a", kind="note", payload="x" * 60))
    with pytest.raises(Refused) as refused:
        await chief.record(lease.token, Step(key="b", kind="note", payload="x" * 60))
    assert refused.value.code == "payload"
    assert "60 bytes of 100" in refused.value.fault


@pytest.mark.parametrize(
    ("budget", "asked", "words"),
    [
        ({"usd_micros": 2_000_000}, {"usd_micros": 1_500_000}, "usd_micros: 1.5000 USD of 2.0000"),
        ({"tokens": 1000}, {"tokens": 700}, "tokens: 700 of 1000 used or reserved, this needs 700"),
        ({"turns": 1}, {"turns": 1}, "turns: 1 of 1"),
        ({"tool_calls": 1}, {"tool_calls": 1}, "tool_calls: 1 of 1"),
    ],
)
async def test_spending_is_refused_before_it_happens(
    meshes: Meshes, budget: dict[str, int], asked: dict[str, int], words: str
) -> None:
    mesh = await meshes.open(run=Budget(**budget))
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    assert await reserved(chief, lease.token, "a", **asked) == "ok"
    assert await reserved(chief, lease.token, "a", **asked) == "ok", "the same key holds once"
    refusal = await reserved(chief, lease.token, "b", **asked)
    assert refusal.startswith("budget: " + words)
    await reserved(chief, lease.token, "c", **asked)
    (event,) = [e for e in await mesh.door.events(view.run) if e.kind == "budget.reached"]
    (limit,) = budget
    assert event.data == {"limit": limit, "used": asked[limit], "max": budget[limit]}
    await chief.release(lease.token, Release(key="a"))
    assert await reserved(chief, lease.token, "b", **asked) == "ok"


async def test_recording_settles_what_was_reserved(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(tokens=1000, turns=3))
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    assert await reserved(chief, lease.token, "a", tokens=900, turns=1) == "ok"
    used = Usage(input_tokens=100, output_tokens=50)
    await chief.record(lease.token, Step(key="a", kind="model", payload="{}", usage=used))
    assert await reserved(chief, lease.token, "a", tokens=900, turns=1) == "ok", "done already"
    assert await reserved(chief, lease.token, "b", tokens=850, turns=1) == "ok"
    usage = (await mesh.door.run(view.run)).usage
    assert usage == Usage(input_tokens=100, output_tokens=50, turns=1), "a turn counts, said or not"


async def test_parallel_children_cannot_overshoot_together(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(usd_micros=1000, fan_out=30))
    view, lease = await mesh.started()
    for n in range(20):
        await delegated(mesh, lease, "scout", key=str(n))
    scout = await mesh.agent("scout")
    leases = [await mesh.lease("scout") for _ in range(20)]
    found = await asyncio.gather(
        *(reserved(scout, one.token, "model#1", usd_micros=300) for one in leases)
    )
    assert found.count("ok") == 3
    for one, answer in zip(leases, found, strict=True):
        if answer == "ok":
            spent = Step(key="model#1", kind="model", payload="{}", usage=Usage(usd_micros=300))
            await scout.record(one.token, spent)
    assert (await mesh.door.run(view.run)).usage.usd_micros == 900


async def test_an_ended_task_gives_its_reservations_back(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(tokens=1000), day=DayBudget(tokens=1500))
    chief, scout = await mesh.agent("chief"), await mesh.agent("scout")
    _, lease = await mesh.started()
    await delegated(mesh, lease, "scout")
    theirs = await mesh.lease("scout")
    assert await reserved(scout, theirs.token, "a", tokens=800) == "ok"
    assert (await reserved(chief, lease.token, "a", tokens=800)).startswith("budget")
    await scout.finish(theirs.token, Finish(output="x"))
    assert await reserved(chief, lease.token, "a", tokens=800) == "ok"


async def test_all_runs_share_the_days_budget(meshes: Meshes) -> None:
    mesh = await meshes.open(day=DayBudget(usd_micros=1000))
    chief = await mesh.agent("chief")
    _, one = await mesh.started()
    _, two = await mesh.started()
    assert await reserved(chief, one.token, "a", usd_micros=600) == "ok"
    assert "day/usd_micros: 0.0006 USD of 0.0010" in await reserved(
        chief, two.token, "a", usd_micros=600
    )
    spent = Step(key="a", kind="model", payload="{}", usage=Usage(usd_micros=300))
    await chief.record(one.token, spent)
    assert await reserved(chief, two.token, "a", usd_micros=600) == "ok"
    assert (await reserved(chief, one.token, "b", usd_micros=200)).startswith("budget")


async def test_no_agent_refunds_itself_or_counts_too_little(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(turns=2))
    chief = await mesh.agent("chief")
    _, lease = await mesh.started()
    assert (await reserved(chief, lease.token, "a", tokens=-5)).startswith("bad_request")
    bad = Usage(usd_micros=-1)
    with pytest.raises(Refused) as refused:
        await chief.record(lease.token, Step(key="a", kind="model", payload="{}", usage=bad))
    assert refused.value.code == "bad_request"
    for key in ("a", "b"):
        await chief.record(lease.token, Step(key=key, kind="model", payload="{}"))
    with pytest.raises(Refused) as refused:
        await chief.record(lease.token, Step(key="c", kind="model", payload="{}"))
    assert refused.value.code == "budget"


async def test_a_run_may_lower_the_budget_only(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(usd_micros=1000, depth=5))
    _, lease = await mesh.started(budget=Budget(usd_micros=10))
    assert (lease.budget.usd_micros, lease.budget.depth) == (10, 5)
    for more in (Budget(usd_micros=1001), Budget(usd_micros=None), Budget(depth=6)):
        with pytest.raises(Refused) as refused:
            await mesh.door.start(StartRun(input="x", budget=more))
        assert refused.value.code == "budget"


async def test_who_asks_is_checked(meshes: Meshes) -> None:
    mesh = await meshes.open()
    view, lease = await mesh.started()
    bearer = {"authorization": f"Bearer {lease.token}"}
    nobody, stranger = await mesh.raw(None), await mesh.raw("stranger")
    clerk, chief = await mesh.raw("clerk"), await mesh.raw("chief")
    found = [
        await nobody.post("/v1/take", json={"replica": "x"}),
        await stranger.post("/v1/take", json={"replica": "x"}),
        await chief.post("/v1/renew"),
        await chief.post("/v1/renew", headers={"authorization": "Bearer nonsense"}),
        await clerk.post("/v1/renew", headers=bearer),
        await chief.post("/v1/renew", headers={"authorization": bearer["authorization"] + "x"}),
    ]
    assert [(r.status_code, r.json()["code"]) for r in found] == [
        (401, "no_identity"), (403, "identity"), (401, "token"), (401, "token"),
        (403, "identity"), (409, "lease_lost"),
    ]  # fmt: skip
    good = await chief.post("/v1/authorize/mcp/some/path", headers=bearer)
    assert good.headers["traceparent"] == trace.traceparent(lease.run, lease.task)
    names = [good.headers[f"x-seawall-{what}"] for what in ("agent", "run", "task")]
    assert (good.status_code, names) == (200, ["chief", view.run, lease.task])
    for who, sent in ((clerk, bearer), (nobody, bearer), (chief, {})):
        assert (await who.get("/v1/authorize", headers=sent)).status_code == 403
    keys = await mesh.store.redis.hvals(f"{mesh.store.prefix}task:{lease.task}")
    assert lease.token.split(".")[1] not in "".join(keys), "the broker holds only its hash"


async def test_only_the_parent_reads_a_childs_result(meshes: Meshes) -> None:
    mesh = await meshes.open()
    _, one = await mesh.started()
    _, two = await mesh.started()
    child = await delegated(mesh, one, "clerk")
    chief = await mesh.agent("chief")
    for task in (child, two.task, "nothing"):
        with pytest.raises(Refused) as refused:
            await chief.result(two.token, task, 0)
        assert refused.value.code == "unknown"


async def test_nonsense_is_answered_with_a_fault(meshes: Meshes) -> None:
    mesh = await meshes.open()
    view, lease = await mesh.started()
    chief = await mesh.raw("chief")
    bearer = {"authorization": f"Bearer {lease.token}"}
    found = [
        await chief.post("/v1/record", content=b"\x00\xff{", headers=bearer),
        await chief.post("/v1/record", json={"key": "k", "secret": "x" * 50}, headers=bearer),
        await chief.post("/v1/record", content=b"x" * 8_000_000, headers=bearer),
        await chief.post("/v1/nothing"),
        await chief.get("/v1/take"),
        await chief.get("/v1/result/x?wait=soon", headers=bearer),
        await mesh.door_http.get(f"/v1/runs/{view.run}/events?after=x"),
        await mesh.door_http.get("/v1/runs/none/events"),
        await mesh.door_http.get("/v1/runs/none/tasks"),
    ]
    assert [(r.status_code, r.json()["code"]) for r in found] == [
        (400, "bad_request"), (400, "bad_request"), (413, "payload"), (404, "unknown"),
        (405, "method"), (400, "bad_request"), (400, "bad_request"), (404, "unknown"),
        (404, "unknown"),
    ]  # fmt: skip
    assert "xxxx" not in found[1].text
    with pytest.raises(Refused) as refused:
        await (await mesh.agent("chief")).begin(lease.token, Begin(key="", kind="tool", name="x"))
    assert refused.value.code == "bad_request"


async def test_many_waiting_replicas_leave_room_for_others(meshes: Meshes) -> None:
    mesh = await meshes.open()
    clerk = await mesh.agent("clerk")
    waits = [
        asyncio.create_task(clerk.take(Take(replica=str(n), wait_seconds=20))) for n in range(150)
    ]
    await asyncio.sleep(0.5)
    async with asyncio.timeout(3):
        _, lease = await mesh.started()
        for n in range(16):
            await delegated(mesh, lease, "clerk", key=str(n))
        await asyncio.sleep(0.5)
    for task in waits:
        task.cancel()
    found = await asyncio.gather(*waits, return_exceptions=True)
    assert sum(isinstance(lease, Lease) for lease in found) == 16
