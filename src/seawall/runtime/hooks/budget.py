"""Reserves a step's worst case in the run's budget before it happens.

The record of the step settles the reservation; a step that fails gives it back here.
"""

from __future__ import annotations

from contextlib import suppress

from seawall.errors import Refused
from seawall.wire.messages import Reserve

from ..steps import Proceed, StepCall, Task, as_limit


async def budget(task: Task, call: StepCall, proceed: Proceed) -> object:
    """Run the step only if the keeper has room for it.

    Raises:
        LimitReached: a budget of the run or the day has no room for this step.
    """
    reserve = Reserve(
        key=call.key,
        turns=call.reserve.turns,
        tool_calls=call.reserve.tool_calls,
        tokens=call.reserve.input_tokens + call.reserve.output_tokens,
        usd_micros=call.reserve.usd_micros,
    )
    try:
        await task.keeper.reserve(task.lease.token, reserve)
    except Refused as refused:
        raise as_limit(refused) from None
    try:
        return await proceed()
    except BaseException:
        # The keeper drops reservations with the lease; giving back early only helps siblings.
        with suppress(Refused):
            await task.keeper.release(task.lease.token, call.key)
        raise
