"""Model calls at the gateways: what the keeper holds, settles and refuses."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from keeper_harness import Keeper, Meshes

from seawall.wire.messages import Begin, Lease, Step, Usage
from seawall.wire.profiles import AgentMeter, Budget, DayBudget, MeteredModel, Rate, TaskBudget

ONE = MeteredModel(
    provider="anthropic", name="m", output_tokens_max=1000, rates=(Rate(input=1, output=2),)
)
CHAT = ONE.model_copy(update={"provider": "openai"})
LAX = ONE.model_copy(update={"allow_missing_usage": True})
METERS = {"chief": AgentMeter(models=(ONE, CHAT, LAX))}
ANSWER = {"usage": {"input_tokens": 10, "output_tokens": 20}}
EVENTS = (
    b'data: {"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1,'
    b'"cache_read_input_tokens":3}}}\n\n'
    b'data: {"type":"message_delta","usage":{"output_tokens":20}}\n\n'
)


async def ask(
    keeper: Keeper, lease: Lease, number: int = 0, step: str = "", **body: Any
) -> httpx.Response:
    """What the keeper tells a gateway before a model call."""
    asked = {"model": "m", "max_tokens": 500, "messages": [], **body}
    http = await keeper.raw("chief")
    headers = {"authorization": f"Bearer {lease.token}", "x-seawall-step": step}
    path = f"/v1/authorize/models/{number}/v1/messages"
    return await http.post(path, content=json.dumps(asked).encode(), headers=headers)


async def settle(
    keeper: Keeper, asked: httpx.Response, body: Any = ANSWER, status: int = 200, **more: str
) -> None:
    """What a gateway tells the keeper after it."""
    headers = {
        "x-seawall-reservation": asked.headers["x-seawall-reservation"],
        "x-seawall-status": str(status),
        "x-seawall-source": more.get("source", "provider"),
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    http = await keeper.raw(None)
    assert (await http.post("/gateway/settle", content=content, headers=headers)).is_success


async def tokens(keeper: Keeper, run: str) -> int:
    used = (await keeper.door.run(run)).usage
    return used.input_tokens + used.output_tokens


async def test_calls_beyond_the_runs_budget_are_refused_and_what_was_used_counts(
    meshes: Meshes,
) -> None:
    keeper = await meshes.open(run=Budget(tokens=1100), meters=METERS)
    view, lease = await keeper.started()
    first, second = await ask(keeper, lease), await ask(keeper, lease)
    third = await ask(keeper, lease)
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 402]
    assert third.json()["code"] == "budget"
    assert "budgets/run/tokens" in third.json()["remedy"]
    await settle(keeper, first)
    await settle(keeper, second, EVENTS)
    await settle(keeper, second, EVENTS)
    assert await tokens(keeper, view.run) == 60
    assert (await ask(keeper, lease)).status_code == 200


async def test_the_honest_runtime_is_not_charged_twice(meshes: Meshes) -> None:
    keeper = await meshes.open(run=Budget(tokens=1100), meters=METERS)
    view, lease = await keeper.started()
    agent = await keeper.agent("chief")
    reserve = Usage(input_tokens=100, output_tokens=500, turns=1)
    await agent.begin(lease.token, Begin(key="model#1", kind="model", name="m", reserve=reserve))
    asked = await ask(keeper, lease, step="model#1")
    assert asked.status_code == 200
    await settle(keeper, asked)
    told = Usage(input_tokens=10, output_tokens=20, turns=1)
    await agent.record(lease.token, Step(key="model#1", kind="model", payload="{}", usage=told))
    used = (await keeper.door.run(view.run)).usage
    assert (used.input_tokens, used.output_tokens, used.turns) == (10, 20, 1)
    held = await keeper.store.redis.hmget(f"{keeper.store.prefix}run:{view.run}", "r_tokens")
    assert held == ["0"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"usage":{}}', EVENTS.partition(b"\n\n")[0]])
async def test_a_model_that_does_not_say_is_charged_in_full_and_then_refused(
    meshes: Meshes, body: bytes
) -> None:
    keeper = await meshes.open(run=Budget(tokens=9000), meters=METERS)
    view, lease = await keeper.started()
    await settle(keeper, await ask(keeper, lease), body)
    assert await tokens(keeper, view.run) > 500
    refused = await ask(keeper, lease)
    assert (refused.status_code, refused.json()["code"]) == (402, "usage")
    assert "allow_missing_usage" in refused.json()["remedy"]
    await settle(keeper, await ask(keeper, lease, number=2), body)
    assert (await ask(keeper, lease, number=2)).status_code == 200


async def test_an_asker_who_does_not_ask_for_usage_pays_in_full_and_blames_nobody(
    meshes: Meshes,
) -> None:
    keeper = await meshes.open(run=Budget(tokens=9000), meters=METERS)
    view, lease = await keeper.started()
    await settle(keeper, await ask(keeper, lease, number=1, stream=True), b"")
    assert await tokens(keeper, view.run) > 500
    assert (await ask(keeper, lease, number=1)).status_code == 200


async def test_a_step_that_is_asked_again_pays_for_the_cut_call_and_people_see_it(
    meshes: Meshes,
) -> None:
    keeper = await meshes.open(meters=METERS)
    view, lease = await keeper.started()
    cut = await ask(keeper, lease, step="model#1")
    await settle(keeper, await ask(keeper, lease, step="model#1"))
    await settle(keeper, cut)  # too late: it has been counted
    assert 530 < await tokens(keeper, view.run) < 600
    events = await keeper.door.events(view.run, wait_seconds=0)
    notes = [event.data["text"] for event in events if event.kind == "note"]
    assert len(notes) == 1
    assert "model#1" in notes[0]


async def test_what_a_provider_refused_costs_nothing_and_a_silent_gateway_all(
    meshes: Meshes,
) -> None:
    keeper = await meshes.open(meters=METERS)
    view, lease = await keeper.started()
    await settle(keeper, await ask(keeper, lease), {"error": "busy"}, status=529)
    unsent = b"upstream connect error: remote connection failure"
    await settle(keeper, await ask(keeper, lease), unsent, status=503, source="gateway")
    assert await tokens(keeper, view.run) == 0
    await settle(keeper, await ask(keeper, lease), b"reset", status=503, source="gateway")
    assert await tokens(keeper, view.run) > 500


async def test_the_days_budget_is_a_429(meshes: Meshes) -> None:
    keeper = await meshes.open(day=DayBudget(tokens=600), meters=METERS)
    _, lease = await keeper.started()
    assert (await ask(keeper, lease)).status_code == 200
    refused = await ask(keeper, lease)
    assert (refused.status_code, refused.json()["code"]) == (429, "budget")


async def test_an_agents_own_budget_holds_at_its_gateway(meshes: Meshes) -> None:
    own = {"chief": AgentMeter(models=(ONE,), budget=TaskBudget(tokens=600))}
    keeper = await meshes.open(meters=own)
    _, lease = await keeper.started()
    assert (await ask(keeper, lease)).status_code == 200
    refused = await ask(keeper, lease)
    assert refused.status_code == 402
    assert "agents/chief/budget/tokens" in refused.json()["remedy"]


async def test_calls_on_their_way_are_limited(meshes: Meshes) -> None:
    keeper = await meshes.open(meters=METERS)
    _, lease = await keeper.started()
    found = [(await ask(keeper, lease)).status_code for _ in range(65)]
    assert found == [200] * 64 + [429]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "other"}, 403),
        ({"max_tokens": 1001}, 400),
        ({"max_tokens": 0}, 400),
        ({"max_tokens": True}, 400),
        ({"n": 17}, 400),
        ({"n": -1}, 400),
    ],
)
async def test_what_cannot_be_metered_is_refused(
    meshes: Meshes, body: dict[str, Any], status: int
) -> None:
    keeper = await meshes.open(meters=METERS)
    _, lease = await keeper.started()
    refused = await ask(keeper, lease, **body)
    assert refused.status_code == status
    assert refused.json()["reason"]


async def test_a_key_twice_and_another_encoding_are_refused(meshes: Meshes) -> None:
    keeper = await meshes.open(meters=METERS)
    _, lease = await keeper.started()
    http = await keeper.raw("chief")
    headers = {"authorization": f"Bearer {lease.token}"}
    twice = b'{"model":"m","max_tokens":1,"max_tokens":1000}'
    for body in (twice, '{"model":"m"}'.encode("utf-16"), b"[]", b"{", b'["m"]'):
        answer = await http.post(
            "/v1/authorize/models/0/v1/messages", content=body, headers=headers
        )
        assert answer.status_code == 400, body


async def test_a_forged_reservation_changes_nothing(meshes: Meshes) -> None:
    keeper = await meshes.open(meters=METERS)
    view, lease = await keeper.started()
    asked = await ask(keeper, lease)
    asked.headers["x-seawall-reservation"] = "forged"
    await settle(keeper, asked)
    assert await tokens(keeper, view.run) == 0


async def test_a_run_past_its_deadline_is_a_504(meshes: Meshes) -> None:
    keeper = await meshes.open(run=Budget(seconds=0.05), meters=METERS)
    _, lease = await keeper.started()
    import asyncio

    await asyncio.sleep(0.2)
    refused = await ask(keeper, lease)
    assert (refused.status_code, refused.json()["code"]) == (504, "deadline")
