"""Events, amounts and names as words on one line.

Everything that an agent, a tool or a model wrote passes `clean` before it reaches a terminal.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from seawall.wire.messages import Event, Usage

LINE_MAX = 160


def clean(value: object, limit: int = LINE_MAX) -> str:
    """One line of printable text, shortened.

    Prevents an agent from moving the cursor, forging lines of our output or hiding text by
    escape sequences and bidirectional overrides (CVE-2021-42574): control and format characters
    are dropped, white space becomes a blank.
    """
    raw = str(value)[: limit * 4]
    spaced = " ".join(raw.split())
    text = "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def dollars(micros: int) -> str:
    """`$0.0123`: four places, because a step often costs less than a cent."""
    return f"${micros / 1_000_000:,.4f}"


def tokens(used: Usage) -> str:
    """Tokens in and out together."""
    return f"{used.input_tokens + used.output_tokens:,}"


def seconds(amount: float) -> str:
    """`0.4s`, `12.0s`, `3m05s`, `2h04m`."""
    amount = max(0.0, amount)
    if amount < 60:
        return f"{amount:.1f}s"
    minutes, rest = divmod(int(amount), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def step_words(data: dict[str, Any]) -> str:
    """What a step is, for people: `tool memory/recall: budget reservation`."""
    name, detail = clean(data.get("name", ""), 60), clean(data.get("detail", ""), 80)
    words = f"{clean(data.get('kind', 'step'), 20)} {name}".strip()
    return f"{words}: {detail}" if detail else words


def json_line(event: Event) -> str:
    """The event as one line of JSON, as `--json` prints it."""
    return json.dumps(event.model_dump(mode="json"), ensure_ascii=True, separators=(",", ":"))


def plain(event: Event) -> str | None:
    """The event as one line for logs and pipes; None for those only a live tree shows."""
    words = _WORDS.get(event.kind)
    if words is None:
        return None
    clock = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S")
    who = clean(event.agent, 40) or "run"
    # Only the end of a task's id: it is there to tell apart, not to be read.
    which = f"{who}[{clean(event.task)[-6:]}]" if event.task else who
    return f"{clock} {which} {words(event.data)}".rstrip()


def _spent(data: dict[str, Any]) -> str:
    used = Usage.model_validate(data.get("usage") or {})
    return f"({tokens(used)} tokens, {dollars(used.usd_micros)})"


def _failure(data: dict[str, Any]) -> str:
    failure = data.get("failure")
    failure = failure if isinstance(failure, dict) else {}
    return f"({clean(failure.get('kind', 'error'))}) {clean(failure.get('reason', ''))}"


def _step_done(data: dict[str, Any]) -> str:
    verb = "replayed" if data.get("replayed") else "finished"
    return f"{verb} {step_words(data)} {_spent(data)}"


def _limit(data: dict[str, Any]) -> str:
    limit, used, most = (clean(data.get(key, "?")) for key in ("limit", "used", "max"))
    return f"budget reached: {limit}, {used} of {most}"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "run.started": lambda d: f"started: {clean(d.get('input', ''))}",
    "run.done": lambda d: f"done {_spent(d)}",
    "run.failed": lambda d: f"failed {_failure(d)}",
    "run.cancelled": lambda d: f"cancelled {_failure(d)}",
    "task.queued": lambda d: f"queued: {clean(d.get('input', ''))}",
    "task.taken": lambda d: f"taken by {clean(d.get('replica', '?'))}",
    "task.done": lambda d: f"done {_spent(d)}",
    "task.failed": lambda d: f"failed {_failure(d)}",
    "task.cancelled": lambda d: f"cancelled {_failure(d)}",
    "task.redelivered": lambda d: f"taken over: {clean(d.get('reason', ''))}",
    "task.dead": lambda d: f"given up {_failure(d)}",
    "step.started": lambda d: f"began {step_words(d)}",
    "step.done": _step_done,
    "note": lambda d: clean(d.get("text", "")),
    "budget.reached": _limit,
}
