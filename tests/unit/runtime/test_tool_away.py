"""A tool that is away when a task begins is waited for a while; one that refuses is not."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.errors import OperatorError, Refused
from seawall.runtime import worker as module
from seawall.runtime.tool_client import ToolAwayError
from seawall.runtime.worker import patiently
from seawall.wire.tools import FunctionInfo

pytestmark = pytest.mark.anyio
FOUND = FunctionInfo(name="measure", description="", input_schema={})


class Tool:
    """Answers with one thing after another, the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self._answers, self.asked = list(answers), 0

    async def list(self, _headers: dict[str, str]) -> list[FunctionInfo]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return [answer]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AWAY_SECONDS_MAX", 0.1)
    monkeypatch.setattr(module, "AWAY_PAUSE_SECONDS", 0.01)


AWAY = ToolAwayError("text", "no answer")


async def test_one_that_is_started_again_is_waited_for() -> None:
    tool: Any = Tool(AWAY, AWAY, FOUND)
    assert await patiently(tool, {}) == [FOUND]
    assert tool.asked == 3


async def test_one_that_does_not_come_back_fails_the_task_with_its_words() -> None:
    tool: Any = Tool(AWAY)
    with pytest.raises(OperatorError, match="text: no answer"):
        await patiently(tool, {})
    assert tool.asked > 2


async def test_one_that_refuses_is_asked_once() -> None:
    tool: Any = Tool(Refused("grant", "nothing is granted"), FOUND)
    with pytest.raises(Refused):
        await patiently(tool, {})
    assert tool.asked == 1


async def test_what_a_tool_says_of_itself_is_told_at_once() -> None:
    tool: Any = Tool(OperatorError("text", "No module named 'nowhere'"), FOUND)
    with pytest.raises(OperatorError, match="nowhere"):
        await patiently(tool, {})
    assert tool.asked == 1
