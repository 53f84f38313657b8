"""streaq at its best.

Settings: 100 tasks at a time (default 16), `idle_timeout` as the lease (default 60 s, renewed while
a task runs). Answers come by publication, so there is no interval to tune.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

from measures import LEASE_SECONDS, TASKS, Asking, main
from streaq import Worker


class Streaq:
    def __init__(self, registered: dict[str, Any]) -> None:
        self._registered = registered

    async def put(self, task: str) -> Any:
        return await self._registered[task].enqueue()

    async def answer(self, handle: Any) -> Any:
        return (await handle.result(30)).result


def made(url: str) -> tuple[Any, dict[str, Any]]:
    worker: Any = Worker(url, concurrency=100, idle_timeout=LEASE_SECONDS)
    return worker, {name: worker.task(do) for name, do in TASKS.items()}


def work(url: str) -> None:
    made(url)[0].run_sync()


@asynccontextmanager
async def ask(url: str) -> Asking:
    worker, registered = made(url)
    async with worker:
        yield Streaq(registered)


if __name__ == "__main__":
    main(work, ask)
