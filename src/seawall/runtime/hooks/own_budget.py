"""Stops a task at its agent's own budget, before spending.

Inside the agent's container, so a courtesy only: the keeper enforces the run's and the day's.
"""

from __future__ import annotations

from seawall.errors import LimitReached

from ..steps import Proceed, StepCall, Task


async def own_budget(task: Task, call: StepCall, proceed: Proceed) -> object:
    """Run the step only if the agent's own budget has room for it.

    Raises:
        LimitReached: it has not.
    """
    budget = task.profile.budget
    tokens = call.reserve.input_tokens + call.reserve.output_tokens
    _check(task, "usd", "usd_micros", task.spent_usd_micros, call.reserve.usd_micros,
           budget.usd_micros)  # fmt: skip
    _check(task, "tokens", "tokens", task.spent_tokens, tokens, budget.tokens)
    result = await proceed()
    task.spend(call.measure(result))
    return result


def _check(task: Task, key: str, unit: str, spent: int, wanted: int, limit: int | None) -> None:
    if limit is None or not wanted or spent + wanted <= limit:
        return
    name = task.profile.name
    raise LimitReached(
        "budget",
        f"{name} has spent {spent} of its {limit} {unit}, and the next step may take {wanted}",
        f"Raise agents/{name}/budget/{key}",
    )
