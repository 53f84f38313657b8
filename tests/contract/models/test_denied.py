"""What a gateway refuses is a limit with its own words to the runtime, and is not asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from loopback import served
from pydantic_ai import Agent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from seawall.errors import LimitReached, OperatorError
from seawall.models.providers import build
from seawall.wire.profiles import ModelProfile

pytestmark = pytest.mark.anyio
FAULT = {"code": "budget", "reason": "tokens: 9 of 9 used", "remedy": "raise budgets/run/tokens"}


@asynccontextmanager
async def refusing(status: int, fault: dict[str, str]) -> AsyncIterator[tuple[int, list[str]]]:
    """A gateway that refuses every call; its port, and the steps that it was told."""
    seen: list[str] = []

    async def refuse(request: Request) -> JSONResponse:
        seen.append(request.headers.get("x-seawall-step", ""))
        return JSONResponse(fault, status)

    routes = [Route("/{rest:path}", refuse, methods=["POST"])]
    async with served(Starlette(routes=routes)) as port:
        yield port, seen


async def asked(provider: str, port: int) -> None:
    """One question through the gateway; raises what it means."""

    async def at_once(_seconds: float) -> None: ...

    url = f"http://127.0.0.1:{port}"
    profile = ModelProfile(ref=f"{provider}:m", gateway_url=url, retries_max=2, secret=None)
    model = build(profile, None, identity=lambda: {"x-seawall-step": "model#1"}, sleep=at_once)
    async with Agent(model) as agent:
        await agent.run("hi")


@pytest.mark.parametrize(
    ("status", "code"), [(402, "budget"), (429, "budget"), (402, "usage"), (504, "deadline")]
)
async def test_a_refusal_is_a_limit_with_the_keepers_words(
    provider: str, status: int, code: str
) -> None:
    async with refusing(status, {**FAULT, "code": code}) as (port, seen):
        with pytest.raises(LimitReached) as limit:
            await asked(provider, port)
    assert str(limit.value) == f"{code}: tokens: 9 of 9 used. raise budgets/run/tokens."
    assert seen == ["model#1"]


async def test_too_many_calls_on_their_way_are_tried_again(provider: str) -> None:
    async with refusing(429, {**FAULT, "code": "rate"}) as (port, seen):
        with pytest.raises(OperatorError):
            await asked(provider, port)
    assert len(seen) == 3
