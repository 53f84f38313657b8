"""Serves ASGI apps until the container is told to stop, then lets what is under way end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from .life import beat, on_signals

GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    """One of several in a process: the process handles the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(apps: Mapping[int, ASGIApp]) -> None:
    """Serve each app on its port until SIGTERM or SIGINT."""
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
    beating = asyncio.create_task(beat(), name="health")
    try:
        await asyncio.gather(*(server.serve() for server in servers))
    finally:
        beating.cancel()
