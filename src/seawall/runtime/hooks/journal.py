"""Replays a step that the journal holds; records a new one before another begins."""

from __future__ import annotations

import json

from seawall.wire.messages import Step

from ..steps import Proceed, StepCall, Task


async def journal(task: Task, call: StepCall, proceed: Proceed) -> object:
    """Return the recorded result, or run the step and record it.

    Raises:
        Refused: the lease has passed on, the run was cancelled, or the record is too large.
    """
    from pydantic_ai.durable_exec import record_durable_unit

    recorded = task.journal.get(call.key)
    if recorded is not None:
        record_durable_unit(executed=False)
        return json.loads(recorded.payload)
    with task.under_way():
        result = await proceed()
    step = Step(
        key=call.key, kind=call.kind, payload=json.dumps(result), usage=call.measure(result)
    )
    await task.record(step)
    record_durable_unit(executed=True)
    return result
