"""One request for two: a step that has finished is recorded with the beginning of the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from keeper_harness import URL, Keeper, Meshes
from pydantic_ai import Agent, FunctionToolset
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel

from seawall.errors import LimitReached, Refused
from seawall.runtime.caller import Caller
from seawall.runtime.durability import KeeperDurability
from seawall.runtime.keeper_client import KeeperClient
from seawall.runtime.loop import answer
from seawall.runtime.steps import Task
from seawall.wire.messages import Begin, Finish, Lease, Step, Usage
from seawall.wire.profiles import AgentProfile, Budget, ModelProfile

pytestmark = pytest.mark.anyio

FIRST = Step(
    key="model#1", kind="model", payload="{}", usage=Usage(input_tokens=60, output_tokens=40)
)
SECOND = Begin(
    key="tool#a", kind="tool", name="f", reserve=Usage(tool_calls=1), after=FIRST, until=4e9
)


async def test_the_step_before_is_in_the_journal_first_and_once(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=0.5)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    most = Usage(input_tokens=100, output_tokens=100, turns=1)
    await chief.begin(lease.token, Begin(key="model#1", kind="model", name="m", reserve=most))
    await asyncio.gather(*(chief.begin(lease.token, SECOND) for _ in range(3)))
    await chief.begin(lease.token, SECOND)
    used = (await mesh.door.run(view.run)).usage
    assert (used.input_tokens, used.output_tokens, used.turns, used.tool_calls) == (60, 40, 1, 0)
    events = await mesh.door.events(view.run, wait_seconds=0)
    steps = [(e.kind, e.data["key"]) for e in events if e.kind.startswith("step.")]
    assert steps[:3] == [
        ("step.started", "model#1"),
        ("step.done", "model#1"),
        ("step.started", "tool#a"),
    ]
    assert steps.count(("step.done", "model#1")) == 1
    heir = await mesh.lease("chief", "two")
    assert [step.key for step in heir.journal] == ["model#1"]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Step(key="old", kind="tool", payload="[2]"), "conflict"),
        (Step(key="new", kind="tool", payload="x" * 2000), "payload"),
        (Step(key="new", kind="tool", payload="1", usage=Usage(turns=-1)), "bad_request"),
        (Step(key="", kind="tool", payload="1"), "bad_request"),
    ],
)
async def test_what_follows_a_refused_record_does_not_begin(
    meshes: Meshes, step: Step, code: str
) -> None:
    mesh = await meshes.open(run=Budget(tool_calls=2), payload_bytes_max=1000)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    await chief.record(lease.token, Step(key="old", kind="tool", payload="[1]"))
    with pytest.raises(Refused) as refused:
        await chief.begin(lease.token, SECOND.model_copy(update={"after": step}))
    assert refused.value.code == code
    assert "step.started" not in await mesh.kinds(view.run)
    one = Begin(key="b", kind="tool", name="f", reserve=Usage(tool_calls=1))
    await chief.begin(lease.token, one)  # there is room: nothing was held for the other


async def test_a_step_that_may_not_begin_leaves_the_one_before_recorded(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(tokens=150))
    chief = await mesh.agent("chief")
    view, lease = await mesh.started()
    costly = Begin(
        key="model#2", kind="model", name="m", reserve=Usage(output_tokens=80), after=FIRST
    )
    with pytest.raises(Refused, match="tokens: 100 of 150 used or reserved, this needs 80"):
        await chief.begin(lease.token, costly)
    assert (await mesh.door.run(view.run)).usage.input_tokens == 60


class Heard(httpx.AsyncBaseTransport):
    """Passes every request on and notes its path; `fault` may raise instead."""

    def __init__(self, inner: httpx.AsyncBaseTransport, fault: Callable[[str], None]) -> None:
        self._inner, self._fault, self.paths = inner, fault, list[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.rpartition("/")[2]
        self._fault(path)
        self.paths.append(path)
        return await self._inner.handle_async_request(request)


class Working:
    """A task of the real loop, with what it asks the keeper for in sight."""

    def __init__(self, mesh: Keeper, lease: Lease) -> None:
        self.lost = ""
        """The path on which the keeper cannot be reached."""
        self.on_fault: Callable[[], None] = lambda: None
        self.heard = Heard(mesh.agents_transport, self._fault)
        self.keeper = KeeperClient(Caller(self.heard, URL, {"x-seawall-agent": "chief"}))
        profile = AgentProfile(name="chief", model=ModelProfile(ref="bench:none"), turns_max=9)
        self.task = Task(lease=lease, profile=profile, keeper=self.keeper)

    def _fault(self, path: str) -> None:
        if path == self.lost:
            self.on_fault()
            raise httpx.ConnectError("gone")

    async def answer(self, *rounds: list[str], tool: Callable[..., Any]) -> str:
        """Each round calls the tool with these words in parallel; then the answer."""

        def respond(messages: list[Any], _info: Any) -> ModelResponse:
            turn = sum(isinstance(message, ModelResponse) for message in messages)
            if turn == len(rounds):
                told = [
                    p.content for m in messages for p in m.parts if isinstance(p, ToolReturnPart)
                ]
                return ModelResponse(parts=[TextPart(" ".join(map(str, told)))])
            calls = [
                ToolCallPart("work", {"word": word}, tool_call_id=f"{turn}-{word}")
                for word in rounds[turn]
            ]
            return ModelResponse(parts=calls)

        agent = Agent(
            FunctionModel(respond),
            name="chief",
            toolsets=[FunctionToolset([tool], id="tools")],
            capabilities=[KeeperDurability()],
        )
        return await answer(agent, self.task)


async def work(word: str) -> str:
    """Say it."""
    return word


async def test_a_step_alone_costs_one_request(meshes: Meshes) -> None:
    mesh = await meshes.open()
    view, lease = await mesh.started()
    one = Working(mesh, lease)
    assert await one.answer(["a"], ["b"], tool=work) == "a b"
    assert one.heard.paths == ["begin"] * 5 + ["record"]
    await one.keeper.finish(lease.token, Finish(output="x"))
    kinds = [kind for kind in await mesh.kinds(view.run) if kind.startswith("step.")]
    assert kinds == ["step.started", "step.done"] * 5


async def test_of_parallel_calls_each_is_recorded_when_it_ends(meshes: Meshes) -> None:
    mesh = await meshes.open()
    view, lease = await mesh.started()
    one, quick_is_recorded = Working(mesh, lease), asyncio.Event()

    async def slow_and_quick(word: str) -> str:
        if word == "slow":
            last, recorded = "", set[object]()
            async with asyncio.timeout(5):
                while "tool#0-quick" not in recorded:
                    for event in await mesh.door.events(view.run, last, wait_seconds=1):
                        last = event.id
                        recorded.add(event.data.get("key") if event.kind == "step.done" else None)
            quick_is_recorded.set()
        return word

    slow_and_quick.__name__ = "work"
    assert await one.answer(["slow", "quick"], tool=slow_and_quick) == "slow quick"
    assert quick_is_recorded.is_set()
    # The response is recorded with the calls that it asks for, however many; one record more.
    assert one.heard.paths == ["begin", "begin", "begin", "record", "begin", "record"]
    used = (await mesh.door.run(view.run)).usage
    assert (used.turns, used.tool_calls) == (2, 2)


async def test_the_last_step_is_recorded_when_a_limit_ends_the_task(meshes: Meshes) -> None:
    mesh = await meshes.open(run=Budget(turns=1), lease_seconds=0.5)
    _, lease = await mesh.started()
    one = Working(mesh, lease)
    with pytest.raises(LimitReached, match="turns: 1 of 1"):
        await one.answer(["a"], tool=work)
    heir = await mesh.lease("chief", "two")
    assert [step.key for step in heir.journal] == ["model#1", "tool#0-a"]


async def test_the_last_step_is_recorded_when_the_task_is_let_go(meshes: Meshes) -> None:
    mesh = await meshes.open(lease_seconds=0.5)
    _, lease = await mesh.started()
    one = Working(mesh, lease)

    async def then_lose_the_keeper(word: str) -> str:
        one.lost = "begin"  # so that the next step waits for the keeper, with this one in hand
        return word

    waits = asyncio.Event()
    one.on_fault = waits.set

    then_lose_the_keeper.__name__ = "work"
    job = asyncio.create_task(one.answer(["a"], tool=then_lose_the_keeper))
    async with asyncio.timeout(5):
        await waits.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert one.heard.paths[-1] == "record"
    heir = await mesh.lease("chief", "two")
    assert [step.key for step in heir.journal] == ["model#1", "tool#0-a"]
