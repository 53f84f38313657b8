"""What a fake provider does: what it answers, how it misbehaves, and what it was asked.

Knows no protocol; `fake_anthropic.py` and `fake_openai.py` speak them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .scripted import Call, Conversation, Reply, Script

_ENDLESS_PAUSE_SECONDS = 0.02
Kind = Literal["status", "slow", "hang", "cut", "end", "garbage", "error", "endless"]


@dataclass(frozen=True)
class Behaviour:
    """How one request goes wrong."""

    kind: Kind
    """status: answers `status`. slow: waits `seconds` before each event. hang: never answers. cut:
    breaks the connection after `events`. end: ends the body properly after `events`, unfinished.
    garbage: what is no JSON, in a stream after `events`. error: an error event after `events`.
    endless: the event at `events` again and again, for ever."""
    status: int = 500
    headers: tuple[tuple[str, str], ...] = ()
    message: str = ""
    """Overrides the usual words of the error."""
    seconds: float = 0.05
    events: int = 2

    @classmethod
    def parse(cls, text: str) -> Behaviour:
        """From `529`, `429:2` (retry-after), `slow:0.1`, `cut:3`, `end`, `error`, `hang`, …

        Raises ValueError for anything else.
        """
        word, _, value = text.partition(":")
        if word.isdigit():
            headers = (("retry-after", value),) if value else ()
            return cls("status", status=int(word), headers=headers)
        if word == "slow":
            return cls("slow", seconds=float(value or 0.05))
        for kind in get_args(Kind):
            if word == kind != "status":
                return cls(kind, events=int(value or 2))
        raise ValueError(f"no such behaviour: {text}")


@dataclass(frozen=True)
class Seen:
    """One request as it came. Of the key only a hash is kept."""

    protocol: str
    model: str
    body: dict[str, Any]
    key_sha256: str | None
    headers: dict[str, str]
    """Without those that may hold a key."""


Answer = Callable[[str, Conversation], Reply]
"""From the asked agent (or model) and the conversation to the reply."""


@dataclass
class FakePlan:
    """A fake provider's behaviour; `seen` fills while it runs."""

    answer: Answer = lambda _name, conversation: say(f"You said: {conversation.input}")
    behaviours: list[Behaviour] = field(default_factory=list)
    """Taken one by one, by the requests in order; afterwards all goes well."""
    key: str | None = field(default=None, repr=False)
    """Any other is refused with 401; None takes all."""
    models: frozenset[str] | None = None
    """Others are unknown (404); None knows all."""
    input_tokens_max: int | None = None
    """A longer conversation is refused (400)."""
    pause_seconds: float = 0.0
    """Before each event of a stream."""
    seen: list[Seen] = field(default_factory=list)


def from_script(script: Script) -> Answer:
    """Answers as the agent that `x-seawall-agent` or the model's name names, else as the first."""

    def answer(name: str, conversation: Conversation) -> Reply:
        return script.reply(name if name in script.agents else script.agents[0], conversation)

    return answer


def say(text: str) -> Reply:
    """A reply of text alone."""
    return Reply(text, (), 0.0)


def calls(tool: str, **args: Any) -> Answer:
    """Calls `tool` in every response, for ever: a loop, or a tool that nobody has."""

    def answer(_name: str, conversation: Conversation) -> Reply:
        number = len(conversation.exchanges) + 1
        return Reply("", (Call(f"call_{number}", tool, args),), 0.0)

    return answer


def digest(key: str) -> str:
    """The hash under which a request's key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


class BrokenConnectionError(Exception):
    """Raised inside a response to break its connection in the middle."""


async def shaped(
    events: list[str], plan: FakePlan, behaviour: Behaviour | None, error_event: str
) -> AsyncIterator[str]:
    """A stream's events, misbehaving as told."""
    kind = behaviour.kind if behaviour else None
    pause = behaviour.seconds if behaviour and kind == "slow" else plan.pause_seconds
    for number, event in enumerate(events):
        if behaviour and kind in ("cut", "end", "error") and number >= behaviour.events:
            if kind == "cut":
                raise BrokenConnectionError
            if kind == "error":
                yield error_event
            return
        if pause:
            await asyncio.sleep(pause)
        while behaviour and kind == "endless" and number == behaviour.events:
            yield event
            await asyncio.sleep(_ENDLESS_PAUSE_SECONDS)
        spoilt = behaviour is not None and kind == "garbage" and number >= behaviour.events
        yield f"{event.partition('data:')[0]}data: {{not json\n\n" if spoilt else event
