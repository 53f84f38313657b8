"""Serves ASGI apps until the container is told to stop, then lets what is under way end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from .life import on_signals

GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    """One of several in a process: the process handles the signals.

    It sleeps until it is told to stop. uvicorn's own looks ten times a second whether it must and
    what time it is, which was most of what an idle keeper cost.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """What uvicorn does between its start and its end."""
        await self.on_tick(0)
        await self._stopping.wait()

    def stop(self) -> None:
        """Take no more connections, let what is under way end."""
        self.should_exit = True
        self._stopping.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(apps: Mapping[int, ASGIApp], ready: asyncio.Event) -> None:
    """Serve each app on its port until SIGTERM or SIGINT; `ready` is set when they are open."""
    servers = [
        _Server(
            uvicorn.Config(
                app,
                host="0.0.0.0",  # noqa: S104 - the container's networks hold only who may ask
                port=port,
                log_level="warning",
                access_log=False,
                lifespan="off",
                interface="asgi3",
                proxy_headers=False,  # who asks is not for a header of the asker's to say
                server_header=False,
                date_header=False,  # the gateway's to say; here it would be that of the start
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        for port, app in apps.items()
    ]

    def stop() -> None:
        for server in servers:
            server.stop()

    on_signals(stop)
    opening = asyncio.create_task(_opened(servers, ready), name="opening")
    try:
        await asyncio.gather(*(server.serve() for server in servers))
    finally:
        opening.cancel()


async def _opened(servers: list[_Server], ready: asyncio.Event) -> None:
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.01)
    ready.set()
