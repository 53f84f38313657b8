"""Work goes out, comes back, and is seen: taking, recording, delegating, answering."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from keeper_harness import Meshes

from seawall.errors import Refused
from seawall.wire.messages import (
    Begin,
    Delegation,
    Failure,
    Finish,
    Progress,
    StartRun,
    Step,
    Take,
    Usage,
)

pytestmark = pytest.mark.anyio


async def test_a_question_is_delegated_and_answered(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief, clerk = await mesh.agent("chief"), await mesh.agent("clerk")
    view, lease = await mesh.started("how many? ✓")
    assert (lease.input, lease.agent, lease.attempt, lease.run) == (
        "how many? ✓",
        "chief",
        1,
        view.run,
    )
    most = Usage(turns=1, input_tokens=60, output_tokens=40)
    await chief.begin(
        lease.token, Begin(key="model#1", kind="model", name="gpt", detail="d", reserve=most)
    )
    used = Usage(input_tokens=7, output_tokens=3, usd_micros=11, turns=1)
    await chief.record(
        lease.token, Step(key="model#1", kind="model", payload='{"a":1}', usage=used)
    )
    child = await chief.delegate(lease.token, Delegation(key="call1", agent="clerk", input="count"))
    waiting = asyncio.create_task(chief.result(lease.token, child.task, 10))
    theirs = await mesh.lease("clerk")
    assert (theirs.task, theirs.depth, theirs.ancestry) == (child.task, 1, ("chief",))
    assert theirs.used == used
    await clerk.progress(theirs.token, Progress(text="co", kind="text"))
    await clerk.finish(theirs.token, Finish(output="42"))
    result = await waiting
    assert (result.state, result.output, result.agent) == ("done", "42", "clerk")
    await chief.finish(lease.token, Finish(output="it is 42"))
    view = await mesh.door.run(view.run)
    assert (view.state, view.output, view.usage) == ("done", "it is 42", used)
    assert view.ended
    assert [task.state for task in await mesh.door.tasks(view.run)] == ["done", "done"]
    assert await mesh.kinds(view.run) == [
        "run.started", "task.queued", "task.taken", "step.started", "step.done", "task.queued",
        "task.taken", "text", "task.done", "task.done", "run.done",
    ]  # fmt: skip


async def test_waiting_requests_wake_at_once(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief, clerk = await mesh.agent("chief"), await mesh.agent("clerk")
    take = asyncio.create_task(mesh.lease("chief"))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    view = await mesh.door.start(StartRun(input="x"))
    lease = await take
    child = await chief.delegate(lease.token, Delegation(key="k", agent="clerk", input="y"))
    result = asyncio.create_task(chief.result(lease.token, child.task, 10))
    theirs = await mesh.lease("clerk")
    last = (await mesh.door.events(view.run))[-1].id
    events = asyncio.create_task(mesh.door.events(view.run, last, 10))
    await asyncio.sleep(0.05)
    await clerk.finish(theirs.token, Finish(output="z"))
    assert (await result).output == "z"
    assert [event.kind for event in await events] == ["task.done"]
    assert time.monotonic() - began < 1.0


async def test_take_answers_nothing_when_the_wait_is_over(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief = await mesh.agent("chief")
    began = time.monotonic()
    assert await chief.take(Take(replica="one", wait_seconds=0.3)) is None
    assert 0.25 < time.monotonic() - began < 1.5


async def test_a_wait_is_no_longer_than_the_limit(meshes: Meshes) -> None:
    mesh = await meshes.open(wait_seconds_max=0.2)
    began = time.monotonic()
    assert await (await mesh.agent("chief")).take(Take(replica="one", wait_seconds=60)) is None
    assert time.monotonic() - began < 2


async def test_tasks_are_taken_in_the_order_they_came(meshes: Meshes) -> None:
    mesh = await meshes.open()
    for n in range(5):
        await mesh.door.start(StartRun(input=str(n)))
    assert [(await mesh.lease("chief")).input for _ in range(5)] == list("01234")


async def test_the_journal_keeps_its_order_and_each_step_once(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=0.4)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    steps = [
        Step(key=f"tool#{n}", kind="tool", payload=json.dumps([n]), usage=Usage(usd_micros=5))
        for n in range(12)
    ]
    for step in steps:
        await chief.record(lease.token, step)
        await chief.record(lease.token, step)
    with pytest.raises(Refused) as refused:
        await chief.record(lease.token, Step(key="tool#3", kind="tool", payload="[99]"))
    assert refused.value.code == "conflict"
    again = await mesh.lease("chief")
    assert [(s.key, s.payload) for s in again.journal] == [(s.key, s.payload) for s in steps]
    used = (await mesh.door.run(view.run)).usage
    assert (used.usd_micros, used.tool_calls) == (60, 12)
    assert (await mesh.kinds(view.run)).count("step.done") == 12


async def test_starting_delegating_and_answering_twice_happen_once(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief = await mesh.agent("chief")
    first = await mesh.door.start(StartRun(input="x", key="same"))
    assert (await mesh.door.start(StartRun(input="x", key="same"))).run == first.run
    lease = await mesh.lease("chief")
    ask = Delegation(key="call#1", agent="clerk", input="y")
    child = await chief.delegate(lease.token, ask)
    assert await chief.delegate(lease.token, ask) == child
    with pytest.raises(Refused) as refused:
        await chief.delegate(lease.token, Delegation(key="call#1", agent="scout", input="y"))
    assert refused.value.code == "conflict"
    await mesh.lease("clerk")
    assert await (await mesh.agent("clerk")).take(Take(replica="two", wait_seconds=0)) is None
    await chief.finish(lease.token, Finish(output="z"))
    await chief.finish(lease.token, Finish(output="z"))
    assert (await mesh.kinds(first.run)).count("run.done") == 1


async def test_a_failing_child_is_a_result_and_a_failing_main_task_fails_the_run(
    meshes: Meshes,
) -> None:
    mesh = await meshes.open()
    chief, clerk = await mesh.agent("chief"), await mesh.agent("clerk")
    view, lease = await mesh.started()
    child = await chief.delegate(lease.token, Delegation(key="k", agent="clerk", input="y"))
    theirs = await mesh.lease("clerk")
    await clerk.fail(theirs.token, Failure(kind="error", reason="the file is not there"))
    result = await chief.result(lease.token, child.task, 5)
    assert result.state == "failed"
    assert result.failure == Failure(kind="error", reason="the file is not there")
    assert (await mesh.door.run(view.run)).state == "running"
    await chief.fail(lease.token, Failure(kind="limit", reason="enough"))
    view = await mesh.door.run(view.run)
    assert (view.state, view.failure) == ("failed", Failure(kind="limit", reason="enough"))


async def test_children_end_with_the_task_that_asked_for_them(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief, clerk = await mesh.agent("chief"), await mesh.agent("clerk")
    view, lease = await mesh.started()
    await chief.delegate(lease.token, Delegation(key="1", agent="clerk", input="y"))
    theirs = await mesh.lease("clerk")
    await chief.delegate(lease.token, Delegation(key="2", agent="scout", input="y"))
    await chief.finish(lease.token, Finish(output="without you"))
    assert (await clerk.renew(theirs.token)).cancelled
    with pytest.raises(Refused) as refused:
        await clerk.finish(theirs.token, Finish(output="late"))
    assert refused.value.code == "cancelled"
    assert await (await mesh.agent("scout")).take(Take(replica="one", wait_seconds=0)) is None
    states = [task.state for task in await mesh.door.tasks(view.run)]
    assert states == ["done", "cancelled", "cancelled"]


async def test_events_resume_after_the_last_one_seen_and_are_capped(meshes: Meshes) -> None:
    mesh = await meshes.open(events_max=10)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    seen = await mesh.door.events(view.run)
    for n in range(4):
        await chief.progress(lease.token, Progress(text=str(n)))
    rest = await mesh.door.events(view.run, seen[-1].id)
    assert [event.data["text"] for event in rest] == ["0", "1", "2", "3"]
    for n in range(30):
        await chief.progress(lease.token, Progress(text=str(n)))
    kept = await mesh.door.events(view.run, seen[0].id)
    assert [event.data["text"] for event in kept] == [str(n) for n in range(20, 30)]
    await chief.progress(lease.token, Progress(text="é" * 9000))
    text = (await mesh.door.events(view.run))[-1].data["text"]
    assert text.startswith("éé")
    assert len(text) < 2100


async def test_an_event_stream_ends_with_its_run(meshes: Meshes) -> None:
    mesh = await meshes.open()
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    await chief.finish(lease.token, Finish(output="done"))
    path = f"/v1/runs/{view.run}/events"
    got = await mesh.door_http.get(path, headers={"accept": "text/event-stream"})
    kinds = [line[7:] for line in got.text.splitlines() if line.startswith("event: ")]
    assert kinds == ["run.started", "task.queued", "task.taken", "task.done", "run.done"]
    ids = [line[4:] for line in got.text.splitlines() if line.startswith("id: ")]
    got = await mesh.door_http.get(
        path, headers={"accept": "text/event-stream", "last-event-id": ids[3]}
    )
    assert got.text.count("event: ") == 1


async def test_finished_runs_are_forgotten_oldest_first_and_leave_nothing(meshes: Meshes) -> None:
    mesh = await meshes.open(finished_runs_max=2)
    chief = await mesh.agent("chief")
    names = []
    for n in range(4):
        view, lease = await mesh.started(str(n), key=str(n))
        await chief.begin(lease.token, Begin(key="m", kind="model", name="x"))
        await chief.record(lease.token, Step(key="m", kind="model", payload="{}"))
        await chief.delegate(lease.token, Delegation(key="k", agent="clerk", input="y"))
        await chief.finish(lease.token, Finish(output="done"))
        names.append(view.run)
    assert [view.run for view in await mesh.door.runs()] == names[:1:-1]
    with pytest.raises(Refused) as refused:
        await mesh.door.run(names[0])
    assert refused.value.code == "unknown"
    keys = await mesh.store.redis.keys(mesh.store.prefix + "*")
    assert not [key for key in keys if names[0] in key or key.endswith("start:0")]
