"""Scripted models: a file of turns per agent, filled from real tool results, instead of a model.

Stateless: the turn is counted from the conversation, so a task resumes where it was. Knows nothing
of pydantic-ai or of a wire; `scripted_model.py` and `fake_providers.py` put it on either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seawall.errors import SpecError

from .script_file import CallLine, Reader, Turn
from .templates import Render, TemplateFault

if TYPE_CHECKING:
    from pydantic_ai.models import Model

CALLS_MAX = 256
"""Calls in one turn, loops unrolled."""


@dataclass(frozen=True)
class ToolResult:
    """What a template sees of one tool call."""

    tool: str
    args: dict[str, Any]
    text: str
    data: Any = None
    """The text parsed, when it is JSON; otherwise None."""
    error: str | None = None

    @classmethod
    def of(cls, tool: str, args: dict[str, Any], text: str, failed: bool) -> ToolResult:
        """A result from its text."""
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        return cls(tool, args, text, data, text if failed else None)


@dataclass(frozen=True)
class Conversation:
    """A task so far: its input, and the results that followed each response already given."""

    input: str
    exchanges: tuple[tuple[ToolResult, ...], ...] = ()

    def before(self, turn: int) -> dict[str, Any]:
        """The variables that the response number `turn` (from 0) was or is made from."""
        past = self.exchanges[:turn]
        return {
            "input": self.input,
            "results": [result for exchange in past for result in exchange],
            "last": list(past[-1]) if past else [],
            "turn": turn + 1,
        }


@dataclass(frozen=True)
class Call:
    """One tool call; `id` is unique in the task and the same whenever the turn is replayed."""

    id: str
    tool: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the scripted model answers."""

    text: str
    calls: tuple[Call, ...]
    delay_seconds: float


def load(path: Path) -> Script:
    """Read a script. Raises SpecError naming the file and line of every fault."""
    return Script(path, Reader(path).read())


class Script:
    """A read script: what each agent says and calls, turn by turn."""

    def __init__(self, path: Path, turns: dict[str, tuple[Turn, ...]]) -> None:
        self.path = path
        self._turns = turns

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents that have turns."""
        return tuple(self._turns)

    def model(self, agent: str) -> Model:
        """A pydantic-ai model that speaks for `agent`, named `scripted:<agent>`."""
        from .scripted_model import ScriptedModel

        self._of(agent)
        return ScriptedModel(self, agent)

    def reply(self, agent: str, conversation: Conversation) -> Reply:
        """The next response. Raises SpecError when the script ran out or a template fails."""
        number = len(conversation.exchanges)
        variables = conversation.before(number)
        turn = self._turn(agent, conversation, number)
        calls = tuple(
            Call(_call_id(agent, conversation.input, number, index), tool, args)
            for index, (tool, args) in enumerate(_calls(turn, variables))
        )
        text = "" if turn.say is None else str(_filled(turn.place, turn.say, variables))
        return Reply(text, calls, turn.delay_ms / 1000)

    def _of(self, agent: str) -> tuple[Turn, ...]:
        if agent not in self._turns:
            known = ", ".join(self._turns)
            raise SpecError(
                [f"{self.path}: agents: no turns for {agent!r}. Add them; the script has {known}."]
            )
        return self._turns[agent]

    def _turn(self, agent: str, conversation: Conversation, number: int) -> Turn:
        # A turn whose `when` was false is skipped, so every earlier choice is made again; it comes
        # out the same, because it sees only what was known then.
        turns, at = self._of(agent), 0
        for past in range(number + 1):
            variables = conversation.before(past)
            while at < len(turns) and not _wanted(turns[at], variables):
                at += 1
            if past < number:
                at += 1
        if at < len(turns):
            return turns[at]
        if not turns[-1].calls:
            return turns[-1]
        fault = f"agent {agent!r} has no turn {number + 1}: its script ended with a call"
        raise SpecError([f"{turns[-1].place}: {fault}. Add a last turn with `say:`."])


def _wanted(turn: Turn, variables: dict[str, Any]) -> bool:
    return turn.when is None or bool(_filled(f"{turn.place}/when", turn.when, variables))


def _calls(turn: Turn, variables: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    made = []
    for line in turn.calls:
        for scope in _scopes(line, variables):
            args = _filled(f"{line.place}/args", line.args, scope)
            made.append((str(_filled(f"{line.place}/tool", line.tool, scope)), args))
            if len(made) > CALLS_MAX:
                raise SpecError([f"{line.place}: more than {CALLS_MAX} calls in one turn."])
    return made


def _scopes(line: CallLine, variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    items: list[Any] = [None]
    if line.items is not None:
        found = _filled(f"{line.place}/for", line.items, variables)
        if isinstance(found, str | bytes) or not hasattr(found, "__iter__"):
            kind = type(found).__name__
            raise SpecError([f"{line.place}/for: must give a list, got {kind}."])
        items = list(found)
    for item in items:
        scope = variables if line.variable is None else {**variables, line.variable: item}
        times = 1 if line.repeat is None else _times(line.place, line.repeat, scope)
        for index in range(times):
            yield {**scope, "index": index}


def _times(place: str, repeat: Render, scope: dict[str, Any]) -> int:
    times = _filled(f"{place}/repeat", repeat, scope)
    if isinstance(times, bool) or not isinstance(times, int) or not 0 <= times <= CALLS_MAX:
        raise SpecError([f"{place}/repeat: must be 0 to {CALLS_MAX}, got {times!r}."])
    return times


def _filled(place: str, render: Render, variables: dict[str, Any]) -> Any:
    try:
        return render(variables)
    except TemplateFault as fault:
        failed = [result for result in variables["last"] if result.error is not None]
        because = f" The call of {failed[0].tool} had failed: {failed[0].error}" if failed else ""
        raise SpecError([f"{place}: cannot fill the template: {fault}.{because}"]) from None


def _call_id(agent: str, text: str, turn: int, index: int) -> str:
    task = hashlib.sha256(f"{agent}\0{text}".encode()).hexdigest()[:8]
    return f"call_{task}_{turn + 1}_{index + 1}"
