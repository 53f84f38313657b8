"""Raw Redis doing the same moves: push, blocking pop, push the answer, blocking pop. No lease."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import Any

from measures import TASKS, Asking, main
from redis.asyncio import Redis


class Raw:
    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def put(self, task: str) -> Any:
        name = uuid.uuid4().hex
        await self._redis.rpush("queue", f"{name} {task}")
        return name

    async def answer(self, handle: Any) -> Any:
        return (await self._redis.blpop([f"answer:{handle}"], timeout=30))[1]


async def serve(url: str) -> None:
    redis: Any = Redis.from_url(url, socket_timeout=None, decode_responses=True)
    while True:
        name, task = (await redis.blpop(["queue"]))[1].split()
        await redis.rpush(f"answer:{name}", str(await TASKS[task]()))


def work(url: str) -> None:
    asyncio.run(serve(url))


@asynccontextmanager
async def ask(url: str) -> Asking:
    redis: Any = Redis.from_url(url, socket_timeout=None, decode_responses=True)
    yield Raw(redis)
    await redis.aclose()


if __name__ == "__main__":
    main(work, ask)
