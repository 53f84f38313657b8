"""Hooks wrap a step in the order of the list; keys stay apart where a provider repeats an id."""

import pytest
from task_builder import task

from seawall.errors import LimitReached, Refused
from seawall.runtime.steps import Hook, Proceed, StepCall, Task, as_limit, wrap


def noting(name: str, seen: list[str]) -> Hook:
    async def hook(_task: Task, _call: StepCall, proceed: Proceed) -> object:
        seen.append(f"{name} before")
        result = await proceed()
        seen.append(f"{name} after")
        return result

    return hook


@pytest.mark.anyio
async def test_the_first_hook_is_outermost() -> None:
    seen: list[str] = []

    async def body() -> object:
        seen.append("body")
        return 7

    call = StepCall(key="k", kind="tool", name="f")
    hooks = [noting("outer", seen), noting("inner", seen)]
    assert await wrap(hooks, task(), call, body)() == 7
    assert seen == ["outer before", "inner before", "body", "inner after", "outer after"]


def test_a_call_id_used_twice_gets_two_keys() -> None:
    here = task()
    assert [here.call_key("call_0") for _ in range(3)] == [
        "tool#call_0",
        "tool#call_0~2",
        "tool#call_0~3",
    ]


def test_model_steps_are_counted() -> None:
    here = task()
    assert [here.next_key("model"), here.next_key("model")] == ["model#1", "model#2"]


def test_a_budget_refusal_is_a_limit_and_others_stay_refusals() -> None:
    assert isinstance(as_limit(Refused("budget", "usd spent")), LimitReached)
    assert isinstance(as_limit(Refused("edge", "no such edge")), Refused)
