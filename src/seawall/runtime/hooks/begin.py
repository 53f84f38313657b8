"""Announces a step before it happens: people see it, a stall can be told from work, and the worst
case is held in the run's budget. The step's record settles what was held.
"""

from __future__ import annotations

import time
from contextlib import suppress

from seawall.errors import OperatorError, Refused
from seawall.wire.messages import Begin, Release

from ..steps import Proceed, StepCall, Task, as_limit

DETAIL_CHARS_MAX = 500


async def begin(task: Task, call: StepCall, proceed: Proceed) -> object:
    """Run the step only if the keeper has room for it.

    Raises:
        LimitReached: a budget of the run or the day has no room for this step.
    """
    message = Begin(
        key=call.key,
        kind=call.kind,
        name=call.name,
        reserve=call.reserve,
        until=None if call.seconds_max is None else time.time() + call.seconds_max,
        detail=call.detail[:DETAIL_CHARS_MAX],
    )
    try:
        await task.begin(message)
    except Refused as refused:
        raise as_limit(refused) from None
    try:
        return await proceed()
    except BaseException:
        # The keeper gives back what an ended task held; sooner only helps its siblings.
        with suppress(Refused, OperatorError):
            await task.keeper.release(task.lease.token, Release(key=call.key))
        raise
