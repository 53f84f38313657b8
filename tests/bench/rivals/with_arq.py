"""arq at its best.

Settings: `poll_delay` 5 ms (default 500) and results asked for every 1 ms (default 500), 100 jobs
at a time (default 10), results not logged. It has no lease: a job in progress is locked for
`job_timeout` + 10 s, so `job_timeout` is the lease, and it also ends tasks that live longer.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker
from measures import LEASE_SECONDS, TASKS, Asking, main


class Arq:
    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def put(self, task: str) -> Any:
        return await self._pool.enqueue_job(task)

    async def answer(self, handle: Any) -> Any:
        return await handle.result(timeout=30, poll_delay=0.001)


def job(name: str) -> Any:
    async def run(ctx: Any) -> Any:
        return await TASKS[name]()

    run.__qualname__ = name
    return run


def work(url: str) -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())
    Worker(
        [job(name) for name in TASKS],
        redis_settings=RedisSettings.from_dsn(url),
        poll_delay=0.005,
        max_jobs=100,
        log_results=False,
        job_timeout=LEASE_SECONDS,
    ).run()


@asynccontextmanager
async def ask(url: str) -> Asking:
    pool = await create_pool(RedisSettings.from_dsn(url))
    yield Arq(pool)
    await pool.aclose()


if __name__ == "__main__":
    main(work, ask)
