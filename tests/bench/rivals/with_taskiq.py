"""taskiq with taskiq-redis at its best.

Settings: the stream broker (the one that acknowledges), hiredis, 100 tasks at a time, no parsing of
parameters, results asked for every 1 ms (default 200), `idle_timeout` as the lease (default 600 s;
nothing renews it). Abandoned tasks are looked for only after a new one has arrived.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from measures import LEASE_SECONDS, TASKS, Asking, main
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker


class Taskiq:
    def __init__(self, registered: dict[str, Any]) -> None:
        self._registered = registered

    async def put(self, task: str) -> Any:
        return await self._registered[task].kiq()

    async def answer(self, handle: Any) -> Any:
        return (await handle.wait_result(check_interval=0.001, timeout=30)).return_value


def made(url: str) -> tuple[Any, dict[str, Any]]:
    broker: Any = RedisStreamBroker(
        url,
        consumer_id="0",
        idle_timeout=int(LEASE_SECONDS * 1000),
        unacknowledged_lock_timeout=LEASE_SECONDS,
    )
    broker = broker.with_result_backend(RedisAsyncResultBackend(url, result_ex_time=600))
    return broker, {name: broker.register_task(do, name) for name, do in TASKS.items()}


def work(url: str) -> None:
    asyncio.run(
        run_receiver_task(
            made(url)[0], max_async_tasks=100, validate_params=False, run_startup=True
        )
    )


@asynccontextmanager
async def ask(url: str) -> Asking:
    broker, registered = made(url)
    await broker.startup()
    yield Taskiq(registered)
    await broker.shutdown()


if __name__ == "__main__":
    main(work, ask)
