"""One task from lease to answer: the LLM loop, with everything round it in sight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Any

from pydantic_ai import Agent, UsageLimits
from pydantic_ai.durable_exec import replay_scope
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import Model

from seawall.errors import OperatorError
from seawall.wire.messages import Progress
from seawall.wire.profiles import AgentProfile

from .durability import KeeperDurability
from .steps import CURRENT, Task, current
from .toolsets import Granted, delegates, tools

TOOL_RETRIES = 2
"""How often the model may correct a call that does not fit the function's schema."""
TEXT_FLUSH_SECONDS = 0.15
"""Streamed text is sent on in pieces of this age, not one request a token."""


def build(profile: AgentProfile, model: Model, granted: Granted) -> Agent[Any, str]:
    """The agent as pydantic-ai sees it."""
    return Agent(
        model,
        name=profile.name,
        instructions=profile.instructions or None,
        toolsets=[tools(granted), delegates(profile)],
        capabilities=[KeeperDurability(event_stream_handler=stream_text)],
        retries=TOOL_RETRIES,
    )


async def answer(agent: Agent[Any, str], task: Task) -> str:
    """Work on the task until it has an answer.

    Raises:
        LimitReached: a budget has no room left.
        Refused: the lease is lost or the run cancelled.
        TimeoutError: the run's deadline passed.
        pydantic_ai.exceptions.AgentRunError: the model failed, or never came to an answer.
    """
    limits = UsageLimits(request_limit=task.profile.turns_max)
    token = CURRENT.set(task)
    try:
        async with asyncio.timeout(_seconds_left(task.lease.deadline)):
            with replay_scope():
                result = await agent.run(task.lease.input, usage_limits=limits)
                await task.settle()
        return result.output
    finally:
        CURRENT.reset(token)
        await task.last_word()


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.time())


async def stream_text(_ctx: Any, events: AsyncIterable[Any]) -> None:
    """Pass a response's text on to people while it streams; say when it starts anew."""
    task = current()
    buffer, since, newest, shown, anew = "", time.monotonic(), -1, False, False

    async def tell() -> None:
        said = Progress(text=buffer, kind="text", restart=anew)
        # Shown to people only: a keeper that is away for a moment must not cost the response.
        with suppress(OperatorError):
            await task.keeper.progress(task.lease.token, said)

    async for event in events:
        if isinstance(event, PartStartEvent):
            if event.index <= newest:  # after a cut stream, or with another model
                buffer, anew = "", shown
            newest = event.index
        buffer += _text(event)
        if (buffer or anew) and time.monotonic() - since >= TEXT_FLUSH_SECONDS:
            await tell()
            buffer, since, shown, anew = "", time.monotonic(), True, False
    if buffer or anew:
        await tell()


def _text(event: Any) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""
