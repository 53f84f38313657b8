"""Until when a step may take: late enough that no honest one is taken for a stall."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from task_builder import task

from seawall.runtime.durability import model_call, seconds_max, tool_call
from seawall.runtime.tool_client import GRACE_SECONDS
from seawall.runtime.toolsets import _tool
from seawall.wire.profiles import ModelProfile, ToolGrant
from seawall.wire.tools import FunctionInfo


def called(name: str, metadata: dict[str, Any] | None) -> tuple[Any, ...]:
    tool = SimpleNamespace(tool_def=SimpleNamespace(metadata=metadata))
    return (name, {}, SimpleNamespace(tool_call_id="c1"), tool)


@pytest.mark.parametrize(("own", "seconds"), [(None, 60), (900.0, 900)])
def test_a_tool_call_ends_when_its_client_gives_it_up(own: float | None, seconds: float) -> None:
    info = FunctionInfo(name="f", description="", input_schema={}, timeout_seconds=own)
    grant = ToolGrant(tool="t", timeout_seconds=60)
    tool = _tool("f", grant, None, info)  # type: ignore[arg-type]
    step = tool_call(task(), called("f", tool.metadata))
    assert step.seconds_max == seconds + GRACE_SECONDS


def test_a_delegated_task_has_no_time_of_its_own() -> None:
    step = tool_call(task(), called("delegate_b", None))
    assert (step.kind, step.seconds_max) == ("delegate", None)


def test_a_model_may_be_slow_be_retried_and_fall_back() -> None:
    one = ModelProfile(ref="a:b", timeout_seconds=100, retries_max=0, output_tokens_max=5000)
    assert seconds_max(one) > 100 + 500, "a response is longer than the longest silence in it"
    assert seconds_max(one.model_copy(update={"retries_max": 2})) == 3 * seconds_max(one)
    assert seconds_max(one.model_copy(update={"fallbacks": (one,)})) == 2 * seconds_max(one)
    seconds = model_call(task(), ("model", [], None)).seconds_max
    assert seconds is not None
    assert seconds > 100
