"""Task round trips and steps through the keeper, against raw Redis doing the same moves.

`python tests/bench/keeper_round_trip.py`: all figures come from one run, so that ratios compare.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from seawall.engine.broker import open_broker
from seawall.engine.door_client import DoorClient
from seawall.keeper.app import agents_app
from seawall.keeper.door import door_app
from seawall.keeper.store import Store
from seawall.runtime.caller import Caller
from seawall.runtime.keeper_client import KeeperClient
from seawall.wire.messages import Begin, Delegation, Finish, StartRun, Step, Take, Usage
from seawall.wire.profiles import Budget, KeeperLimits, KeeperPolicy

TRIPS = 500
STEPS = 2000
POLICY = KeeperPolicy(
    mesh="bench",
    main="chief",
    delegates={"chief": ("clerk",), "clerk": ()},
    run=Budget(turns=10**6, fan_out=10**6),
    limits=KeeperLimits(queue_max=10**6, lease_seconds=600),
)


async def timed(trip: Callable[[int], Awaitable[None]]) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds."""
    for n in range(20):
        await trip(-n - 1)
    took = []
    for n in range(TRIPS):
        began = time.perf_counter()
        await trip(n)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=100)[98]


async def raw_trips(url: str) -> tuple[float, float]:
    """Push, blocking pop, push the answer, blocking pop."""
    redis: Any = Redis.from_url(url, socket_timeout=None)

    async def serve() -> None:
        other: Any = Redis.from_url(url, socket_timeout=None)
        try:
            while True:
                _, name = await other.blpop(["raw:queue"])
                await other.rpush(b"raw:answer:" + name, "x")
        finally:
            await other.aclose()

    async def trip(n: int) -> None:
        await redis.rpush("raw:queue", str(n))
        await redis.blpop([f"raw:answer:{n}"])

    server = asyncio.create_task(serve())
    try:
        return await timed(trip)
    finally:
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server
        await redis.aclose()


async def keeper_trips(chief: KeeperClient, clerk: KeeperClient, token: str) -> tuple[float, float]:
    """Delegate, take by long poll, finish, result by long poll."""

    async def serve() -> None:
        while True:
            lease = await clerk.take(Take(replica="one"))
            if lease:
                await clerk.finish(lease.token, Finish(output="x"))

    async def trip(n: int) -> None:
        ask = Delegation(key=str(n), agent="clerk", input="x")
        child = await chief.delegate(token, ask)
        await chief.result(token, child.task, 10)

    server = asyncio.create_task(serve())
    try:
        return await timed(trip)
    finally:
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server


async def raw_steps(url: str) -> float:
    """Check a lease, count, append, emit: one transaction a step, eight at a time."""
    redis: Any = Redis.from_url(url)

    async def worker(name: int) -> None:
        for n in range(STEPS // 8):
            pipe = redis.pipeline()
            pipe.hget("raw:task", "lease").hincrby("raw:run", "turns", 1)
            pipe.rpush(f"raw:journal:{name}", f"{n} {{}}").xadd("raw:events", {"kind": "step.done"})
            await pipe.execute()

    began = time.perf_counter()
    await asyncio.gather(*map(worker, range(8)))
    await redis.aclose()
    return STEPS / (time.perf_counter() - began)


async def keeper_steps(chief: KeeperClient, token: str, *, reserve: bool) -> float:
    """Record steps, eight at a time; if asked each is begun, with what it needs reserved.

    As the runtime does it: what begins a step also records the one before.
    """
    usage = Usage(input_tokens=10, output_tokens=5, usd_micros=3, turns=1)
    most = Usage(input_tokens=10, output_tokens=10, usd_micros=5, turns=1)

    async def worker(name: int) -> None:
        step: Step | None = None
        for n in range(STEPS // 8):
            key = f"{reserve}-{name}-{n}"
            if reserve:
                begin = Begin(key=key, kind="model", name="m", reserve=most)
                after = {"after": step} if step else {}
                await chief.begin(token, begin.model_copy(update=after))
            step = Step(key=key, kind="model", payload="{}", usage=usage)
            if not reserve or n == STEPS // 8 - 1:
                await chief.record(token, step)

    began = time.perf_counter()
    await asyncio.gather(*map(worker, range(8)))
    return STEPS / (time.perf_counter() - began)


def main() -> None:
    """Run the benchmark."""
    asyncio.run(report())


async def report() -> None:
    """Print one line for each measure, with its ratio to the raw moves."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with open_broker(None, Path(folder)) as url, Store(url, POLICY) as store:

            def reach(name: str) -> Caller:
                app = agents_app(store) if name else door_app(store)
                transport = httpx.ASGITransport(app)
                who = {"x-seawall-agent": name}
                return Caller(transport, "http://k", who)

            chief, clerk = KeeperClient(reach("chief")), KeeperClient(reach("clerk"))
            await DoorClient(reach("")).start(StartRun(input="x"))
            lease = await chief.take(Take(replica="one"))
            assert lease
            raw, keeper = await raw_trips(url), await keeper_trips(chief, clerk, lease.token)
            show("task round trip p50 ms", keeper[0], raw[0])
            show("task round trip p99 ms", keeper[1], raw[1])
            steps = await raw_steps(url)
            show("steps recorded /s", await keeper_steps(chief, lease.token, reserve=False), steps)
            show("steps reserved and recorded /s",
                 await keeper_steps(chief, lease.token, reserve=True), steps)  # fmt: skip


def show(what: str, keeper: float, raw: float) -> None:
    """One line of the report."""
    sys.stdout.write(f"{what:32} {keeper:9.2f}   raw {raw:9.2f}   ratio {keeper / raw:5.2f}\n")


if __name__ == "__main__":
    main()
