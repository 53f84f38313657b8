"""An agent's own budget stops its task before it spends, what an earlier replica spent included."""

import pytest
from task_builder import task

from seawall.errors import LimitReached
from seawall.runtime.hooks.own_budget import own_budget
from seawall.runtime.steps import StepCall, Task
from seawall.wire.messages import Step, Usage
from seawall.wire.profiles import TaskBudget

CALL = StepCall(
    key="model#1",
    kind="model",
    name="m",
    reserve=Usage(input_tokens=40, output_tokens=20, usd_micros=60),
    measure=lambda _result: Usage(input_tokens=30, output_tokens=10, usd_micros=40),
)


async def spend(here: Task, times: int, call: StepCall = CALL) -> list[int]:
    done: list[int] = []

    async def body() -> object:
        done.append(1)
        return None

    try:
        for _ in range(times):
            await own_budget(here, call, body)
    except LimitReached:
        done.append(-1)
    return done


@pytest.mark.anyio
@pytest.mark.parametrize("budget", [TaskBudget(tokens=100), TaskBudget(usd_micros=100)])
async def test_the_step_that_might_go_over_does_not_happen(budget: TaskBudget) -> None:
    assert await spend(task(budget=budget), 5) == [1, 1, -1]


@pytest.mark.anyio
async def test_what_an_earlier_replica_spent_counts() -> None:
    earlier = Step(key="model#0", kind="model", payload="1", usage=Usage(input_tokens=30))
    assert await spend(task(earlier, budget=TaskBudget(tokens=100)), 5) == [1, -1]


@pytest.mark.anyio
async def test_without_a_budget_nothing_stops_and_free_steps_always_happen() -> None:
    assert await spend(task(), 9) == [1] * 9
    free = StepCall(key="tool#1", kind="tool", name="f")
    assert await spend(task(budget=TaskBudget(tokens=1)), 3, free) == [1, 1, 1]
