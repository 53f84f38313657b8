"""An agent's own budget stops its task before it spends, what an earlier replica spent included."""

import pytest

from seawall.errors import LimitReached
from seawall.runtime.hooks.own_budget import own_budget
from seawall.runtime.steps import StepCall, Task
from seawall.wire.messages import Lease, Step, Usage
from seawall.wire.profiles import AgentProfile, Budget, ModelProfile, TaskBudget

CALL = StepCall(
    key="model#1",
    kind="model",
    name="m",
    reserve=Usage(input_tokens=40, output_tokens=20, usd_micros=60),
    measure=lambda _result: Usage(input_tokens=30, output_tokens=10, usd_micros=40),
)


def task(budget: TaskBudget, *journal: Step) -> Task:
    lease = Lease(
        token="t",
        run="r",
        task="t1",
        agent="a",
        attempt=1,
        seconds=15,
        input="",
        depth=0,
        ancestry=(),
        deadline=None,
        budget=Budget(),
        used=Usage(),
        journal=journal,
    )
    profile = AgentProfile(name="a", model=ModelProfile(ref="anthropic:x"), budget=budget)
    return Task(lease=lease, profile=profile, keeper=None)  # type: ignore[arg-type]


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
    assert await spend(task(budget), 5) == [1, 1, -1]


@pytest.mark.anyio
async def test_what_an_earlier_replica_spent_counts() -> None:
    earlier = Step(key="model#0", kind="model", payload="1", usage=Usage(input_tokens=30))
    assert await spend(task(TaskBudget(tokens=100), earlier), 5) == [1, -1]


@pytest.mark.anyio
async def test_without_a_budget_nothing_stops_and_free_steps_always_happen() -> None:
    assert await spend(task(TaskBudget()), 9) == [1] * 9
    free = StepCall(key="tool#1", kind="tool", name="f")
    assert await spend(task(TaskBudget(tokens=1)), 3, free) == [1, 1, 1]
