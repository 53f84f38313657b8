"""Runs as people see them: starting, looking, cancelling, and the letters that died."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from seawall.errors import Refused
from seawall.wire.messages import DeadLetter, Failure, RunView, StartRun, TaskResult, Usage

from .budgets import lowered
from .journal import check_key, check_size
from .store import Store
from .tasks import base32

PAGE_MAX = 200
"""Runs or dead letters in one answer, the newest first."""
TASKS_MAX = 5000
"""Tasks in one answer."""
_USAGE = ("in", "out", "usd", "turns", "calls")
_RUN = ("agent", "state", "input", "output", "failure", "started", "ended")


def new_run_id() -> str:
    """Short, sortable by time, random at the end; says nothing of the machine."""
    return base32(time.time_ns() // 1_000_000, 9) + base32(secrets.randbits(30), 6)


async def start(store: Store, message: StartRun) -> RunView:
    """Start a run, once for each key. Raises Refused."""
    check_size(store, "the input", message.input)
    if message.key is not None:
        check_key(message.key)
    agent = message.agent or store.policy.main
    if agent not in store.policy.delegates:
        known = ", ".join(sorted(store.policy.delegates))
        raise Refused("unknown", f"there is no agent {agent[:64]}", f"Agents are: {known}")
    budget = lowered(store.policy.run, message.budget).model_dump_json()
    run = new_run_id()
    reply = await store.run(
        "start", run, f"{run}-main", agent, message.input, message.key or "", budget
    )
    return await view(store, str(reply[0]))


async def view(store: Store, run: str) -> RunView:
    """One run; raises Refused `unknown`."""
    *row, archived = await store.redis.hmget(
        f"{store.prefix}run:{run}", [*_RUN, *_USAGE, "archived"]
    )
    if row[0] is None:
        raise Refused("unknown", f"there is no run {run[:64]}")
    if archived and store.archive:  # the row's texts are cut
        whole = await asyncio.to_thread(store.archive.view, run)
        if whole:
            return whole
    return _view(run, row)


async def runs(store: Store) -> list[RunView]:
    """The newest runs, newest first."""
    ids = await store.redis.zrevrange(f"{store.prefix}runs", 0, PAGE_MAX - 1)
    rows = await _rows(store, "run", ids, (*_RUN, *_USAGE))
    return [_view(run, row) for run, row in zip(ids, rows, strict=True) if row[0] is not None]


async def tasks(store: Store, run: str) -> list[TaskResult]:
    """A run's tasks, oldest first; raises Refused `unknown`."""
    await view(store, run)
    ids = await store.redis.lrange(f"{store.prefix}tasks:{run}", 0, TASKS_MAX - 1)
    rows = await _rows(store, "task", ids, ("agent", "state", "output", "failure", *_USAGE))
    if store.archive and (not ids or any(row[0] is None for row in rows)):
        return await asyncio.to_thread(store.archive.tasks, run, TASKS_MAX)
    return [
        TaskResult(
            task=task,
            agent=row[0],
            state=row[1],
            output=row[2] if row[1] == "done" else None,
            failure=_failure(row[3]),
            usage=_usage(row[4:]),
        )
        for task, row in zip(ids, rows, strict=True)
        if row[0] is not None
    ]


async def cancel(store: Store, run: str, reason: str = "cancelled by a person") -> RunView:
    """End a run and its whole tree; a run that has ended stays as it is."""
    await store.run("cancel", run, reason)
    return await view(store, run)


async def dead_letters(store: Store) -> list[DeadLetter]:
    """Tasks that will not be tried again, the newest first."""
    rows = await store.redis.lrange(f"{store.prefix}dead", 0, PAGE_MAX - 1)
    return [DeadLetter.model_validate_json(row) for row in rows]


async def _rows(store: Store, what: str, ids: list[str], fields: tuple[str, ...]) -> list[Any]:
    pipe = store.redis.pipeline(transaction=False)
    for name in ids:
        pipe.hmget(f"{store.prefix}{what}:{name}", list(fields))
    return list(await pipe.execute())


def _view(run: str, row: list[Any]) -> RunView:
    agent, state, text, output, failure, started, ended = row[:7]
    return RunView(
        run=run,
        agent=agent,
        state=state,
        input=text,
        output=output,
        failure=_failure(failure),
        usage=_usage(row[7:]),
        started=float(started),
        ended=float(ended) if ended else None,
    )


def _failure(text: str | None) -> Failure | None:
    return Failure.model_validate_json(text) if text else None


def _usage(row: list[Any]) -> Usage:
    numbers = [int(value or 0) for value in row]
    return Usage(
        input_tokens=numbers[0],
        output_tokens=numbers[1],
        usd_micros=numbers[2],
        turns=numbers[3],
        tool_calls=numbers[4],
    )
