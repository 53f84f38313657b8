"""Tells the keeper that a step begins, so that people see it and a stall can be told from work."""

from __future__ import annotations

from seawall.wire.messages import Begin

from ..steps import Proceed, StepCall, Task

DETAIL_CHARS_MAX = 500


async def trace(task: Task, call: StepCall, proceed: Proceed) -> object:
    """Announce the step, then run it."""
    begin = Begin(
        key=call.key,
        kind=call.kind,
        name=call.name,
        until=call.until,
        detail=call.detail[:DETAIL_CHARS_MAX],
    )
    await task.keeper.begin(task.lease.token, begin)
    return await proceed()
