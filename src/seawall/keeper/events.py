"""Events: what happens in a run, in order, kept in one capped stream for each run."""

from __future__ import annotations

import asyncio
import json
import re
import time

from seawall.errors import Refused
from seawall.wire.messages import Event, Progress

from .leases import Holder
from .scripts import TEXT_BYTES_MAX
from .store import Store

PAGE_MAX = 500
"""Events in one answer."""
LAST = frozenset({"run.done", "run.failed", "run.cancelled"})
"""Kinds after which nothing more happens in a run."""


async def progress(store: Store, held: Holder, message: Progress) -> None:
    """Show people what the agent is doing; longer texts are cut."""
    text = message.text
    if len(text.encode()) > TEXT_BYTES_MAX:
        text = text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore") + "…"
    data: dict[str, str | bool] = {"text": text}
    if message.kind == "thought":
        data["thought"] = True
    if message.restart:
        data["restart"] = True
    kind = "text" if message.kind == "text" else "note"
    await store.run("progress", *held, kind, json.dumps(data, ensure_ascii=False))


async def read(store: Store, run: str, after: str, wait_seconds: float) -> list[Event]:
    """Events after the id `after` (all when empty), waiting for the first. Raises Refused."""
    if after and not re.fullmatch(r"\d{1,20}(-\d{1,20})?", after):
        raise Refused("bad_request", "`after` must be an event's id")
    until = time.monotonic() + store.wait_seconds(wait_seconds)
    with store.bells.listen(f"e:{run}") as ear:
        while not (found := await page(store, run, after)):
            if store.archive and await store.redis.hget(f"{store.prefix}run:{run}", "archived"):
                found = await asyncio.to_thread(store.archive.events, run, after, PAGE_MAX)
                if found:
                    return found
            if not await store.redis.exists(f"{store.prefix}run:{run}"):
                raise Refused("unknown", f"there is no run {run[:64]}")
            left = until - time.monotonic()
            if left <= 0 or store.closing:
                break
            await ear.wait(left)
    return found


async def page(store: Store, run: str, after: str) -> list[Event]:
    """The next events that the broker holds."""
    least = f"({after}" if after else "-"
    rows = await store.redis.xrange(f"{store.prefix}events:{run}", min=least, count=PAGE_MAX)
    return [
        Event(
            id=key,
            at=float(row["at"]),
            run=run,
            task=row["task"],
            agent=row["agent"],
            kind=row["kind"],
            data=json.loads(row["data"]),
        )
        for key, row in rows
    ]
