"""Tasks: taking, delegating and ending them. What waits, waits at a bell, not in the broker."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time

from seawall.errors import Refused
from seawall.wire.messages import (
    Delegation,
    Failure,
    Finish,
    GiveBack,
    Lease,
    Step,
    Take,
    TaskResult,
    Usage,
)
from seawall.wire.profiles import Budget

from .journal import check_key, check_size
from .leases import Holder, holder, new_secret
from .store import Store

REASON_CHARS_MAX = 200
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letters to mistake for digits


def base32(number: int, length: int) -> str:
    """The number's last `length` digits, sortable as text."""
    return "".join(_DIGITS[(number >> 5 * i) & 31] for i in reversed(range(length)))


async def take(store: Store, agent: str, message: Take) -> Lease | None:
    """The agent's oldest queued task, waiting for one; None when there was none in time."""
    until = time.monotonic() + store.wait_seconds(message.wait_seconds)
    with store.bells.listen(f"q:{agent}") as ear:
        while not (lease := await _grab(store, agent, message.replica)):
            left = until - time.monotonic()
            if left <= 0 or store.closing:
                return None
            await ear.wait(left)
    return lease


async def put_back(store: Store, lease: Lease) -> None:
    """Undo a take whose asker went away before it heard of it."""
    gone = GiveBack(reason="the replica that asked for it went away")
    with contextlib.suppress(Refused):
        await give_back(store, holder(f"Bearer {lease.token}", lease.agent), gone)


async def give_back(store: Store, held: Holder, message: GiveBack) -> None:
    """Let another replica take the task, at once. Raises Refused."""
    check_size(store, "the reason", message.reason)
    await store.run("give_back", *held, message.reason[:REASON_CHARS_MAX])


async def delegate(store: Store, held: Holder, message: Delegation) -> str:
    """Queue a child task, once for each key; its id. Raises Refused."""
    check_key(message.key)
    check_size(store, "the input", message.input)
    delegates = store.policy.delegates
    if message.agent not in delegates:
        raise Refused("edge", f"there is no agent {message.agent[:64]}")
    granted = message.agent in delegates.get(held.agent, ())
    digest = hashlib.sha256(f"{held.task}\0{message.key}".encode()).digest()
    run = held.task.partition("-")[0]
    child = f"{run}-{base32(int.from_bytes(digest[:8], 'big'), 10)}"
    reply = await store.run("delegate", *held, child, message.agent, message.input, int(granted))
    return str(reply[0])


async def result(store: Store, held: Holder, task: str, wait_seconds: float) -> TaskResult:
    """How a child stands, waiting for its end. Raises Refused."""
    until = time.monotonic() + store.wait_seconds(wait_seconds)
    # The parent's own end wakes it too: then the script refuses, and nobody waits for nothing.
    with store.bells.listen(f"t:{task}") as ear:
        while (found := await _result(store, held, task)).state in ("queued", "running"):
            left = until - time.monotonic()
            if left <= 0 or store.closing:
                break
            await ear.wait(left)
    return found


async def finish(store: Store, held: Holder, message: Finish) -> None:
    """The task's answer; the run's when it is the main task."""
    check_size(store, "the output", message.output)
    await store.run("close", *held, "done", message.output, "")


async def fail(store: Store, held: Holder, message: Failure) -> None:
    """The task's failure; the run's when it is the main task, else the parent's to read."""
    check_size(store, "the reason", message.reason)
    await store.run("close", *held, "failed", "", message.model_dump_json())


async def _result(store: Store, held: Holder, task: str) -> TaskResult:
    agent, state, output, failure, usage = await store.run("result", *held, task)
    return TaskResult(
        task=task,
        agent=agent,
        state=state,
        output=output if state == "done" else None,
        failure=Failure.model_validate_json(failure) if failure else None,
        usage=Usage.model_validate_json(usage),
    )


async def _grab(store: Store, agent: str, replica: str) -> Lease | None:
    """One try. Cancelled in the middle, it gives back what it got: nobody would hear of it."""
    grab = asyncio.ensure_future(_grab_now(store, agent, replica))
    try:
        return await asyncio.shield(grab)
    except asyncio.CancelledError:
        lease = await grab
        if lease:
            await put_back(store, lease)
        raise


async def _grab_now(store: Store, agent: str, replica: str) -> Lease | None:
    secret, digest = new_secret()
    reply = await store.run("take", agent, replica, digest)
    if not reply:
        return None
    task, run, attempt, text, depth, ancestry, deadline, budget, used, left, journal = reply
    if left:
        store.bells.ring(f"q:{agent}")
    return Lease(
        token=f"{task}.{secret}",
        run=run,
        task=task,
        agent=agent,
        attempt=attempt,
        seconds=store.policy.limits.lease_seconds,
        input=text,
        depth=int(depth),
        ancestry=tuple(json.loads(ancestry)) if ancestry != "{}" else (),
        deadline=float(deadline) if deadline else None,
        budget=Budget.model_validate_json(budget),
        used=Usage.model_validate_json(used),
        journal=tuple(Step.model_validate_json(line) for line in journal),
    )
