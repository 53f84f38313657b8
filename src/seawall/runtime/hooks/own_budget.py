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
    limits = {"usd_micros": task.profile.budget.usd_micros, "tokens": task.profile.budget.tokens}
    wanted = {
        "usd_micros": call.reserve.usd_micros,
        "tokens": call.reserve.input_tokens + call.reserve.output_tokens,
    }
    for unit, limit in limits.items():
        spent = _replayed(task, unit) + task.counters.get(f"spent {unit}", 0)
        if limit is not None and wanted[unit] and spent + wanted[unit] > limit:
            fault = (
                f"{task.profile.name} has spent {spent} of its {limit} {unit}, and the next step"
            )
            fault += f" may take {wanted[unit]}"
            key = "usd" if unit == "usd_micros" else unit
            raise LimitReached("budget", fault, f"Raise agents/{task.profile.name}/budget/{key}")
    result = await proceed()
    usage = call.measure(result)
    for unit, amount in (
        ("usd_micros", usage.usd_micros),
        ("tokens", usage.input_tokens + usage.output_tokens),
    ):
        task.counters[f"spent {unit}"] = task.counters.get(f"spent {unit}", 0) + amount
    return result


def _replayed(task: Task, unit: str) -> int:
    """What the steps took that an earlier replica finished."""
    used = [step.usage for step in task.journal.values()]
    if unit == "usd_micros":
        return sum(usage.usd_micros for usage in used)
    return sum(usage.input_tokens + usage.output_tokens for usage in used)
