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
    """One of several in a process: the process handles the signals."""

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
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        for port, app in apps.items()
    ]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

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
