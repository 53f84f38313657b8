"""The journal: what a task is about to do, and what it has done, in order, each step once.

Room in the budgets is held when a step begins and settled when it is recorded.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

from seawall.errors import Refused
from seawall.wire.messages import Begin, Release, Step

from .leases import Holder
from .store import Store

KEY_CHARS_MAX = 200
DETAIL_CHARS_MAX = 500


def check_key(key: str) -> None:
    """Refuse a key that is empty or too long."""
    if not key or len(key) > KEY_CHARS_MAX:
        raise Refused("bad_request", f"a key has 1 to {KEY_CHARS_MAX} characters")


def check_size(store: Store, what: str, text: str) -> int:
    """The text's size in bytes; raises Refused `payload` when it is over the limit."""
    size = len(text.encode())
    size_max = store.policy.limits.payload_bytes_max
    if size > size_max:
        raise Refused("payload", f"{what} has {size} bytes, at most {size_max} are allowed")
    return size


async def begin(store: Store, held: Holder, message: Begin) -> None:
    """Note that a step is about to happen, and hold room for it; raises Refused `budget`.

    One script checks and holds, so that parallel children cannot overshoot together. A step that
    it comes after is recorded first; if that is refused, this one does not begin.
    """
    begins = _begins(held, message)
    if message.after is None:
        await store.run("begin", *begins)
        return
    records = _records(store, held, message.after)
    await store.run("record_begin", len(records), *records, *begins)


async def release(store: Store, held: Holder, message: Release) -> None:
    """Note that a step that began will not be recorded; its room is free again."""
    check_key(message.key)
    await store.run("release", *held, message.key)


async def record(store: Store, held: Holder, step: Step) -> None:
    """Append a finished step and settle its reservation; the same step again changes nothing."""
    await store.run("record", *_records(store, held, step))


def _begins(held: Holder, message: Begin) -> tuple[str | float, ...]:
    """What the script `begin` is told."""
    check_key(message.key)
    most = message.reserve
    asked = (
        most.turns, most.tool_calls, most.input_tokens + most.output_tokens, most.usd_micros,
    )  # fmt: skip
    if min(*asked, most.input_tokens, most.output_tokens) < 0:
        raise Refused("bad_request", "a reservation may not be negative")
    return (
        *held, message.key, message.kind, message.name[:KEY_CHARS_MAX],
        message.detail[:DETAIL_CHARS_MAX], *asked,
        "" if message.until is None else message.until, _words(message.until),
    )  # fmt: skip


def _records(store: Store, held: Holder, step: Step) -> tuple[str | float, ...]:
    """What the script `record` is told."""
    check_key(step.key)
    size = check_size(store, "the step's payload", step.payload)
    used = step.usage
    spent = (used.input_tokens, used.output_tokens, used.usd_micros, used.turns, used.tool_calls)
    if min(spent) < 0:
        raise Refused("bad_request", "usage may not be negative")
    digest = hashlib.sha256(step.payload.encode()).hexdigest()
    line = step.model_copy(update={"at": time.time()}).model_dump_json()
    return (*held, step.key, step.kind, digest, size, line, *spent)


def _words(until: float | None) -> str:
    """A time for people, without a space in it."""
    if until is None:
        return "-"
    return datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
