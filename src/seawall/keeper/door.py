"""The people's side of the keeper: runs, what happens in them, and how to stop them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from seawall.errors import Refused
from seawall.wire.messages import DeadLetter, Event, RunView, StartRun, TaskResult

from . import events, runs
from .http import answer, application, body, guarded, seconds, while_connected
from .store import Store

HEARTBEAT_SECONDS = 15.0
"""Longest silence of an event stream."""


def door_app(store: Store) -> Starlette:
    """The ASGI app that people reach through the door."""
    side = DoorSide(store)
    return application(
        [
            Route("/v1/runs", guarded(side.start), methods=["POST"]),
            Route("/v1/runs", guarded(side.runs)),
            Route("/v1/runs/{run}", guarded(side.run)),
            Route("/v1/runs/{run}/tasks", guarded(side.tasks)),
            Route("/v1/runs/{run}/events", guarded(side.events)),
            Route("/v1/runs/{run}/cancel", guarded(side.cancel), methods=["POST"]),
            Route("/v1/dead-letters", guarded(side.dead_letters)),
            Route("/v1/health", guarded(side.health)),
        ]
    )


class DoorSide:
    """The handlers."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def start(self, request: Request) -> Response:
        """Start a run."""
        message = await body(request, StartRun, self.store.policy.limits.payload_bytes_max)
        return answer(await runs.start(self.store, message), 201)

    async def runs(self, request: Request) -> Response:  # noqa: ARG002
        """The newest runs."""
        return _many(list[RunView], await runs.runs(self.store))

    async def run(self, request: Request) -> Response:
        """One run."""
        return answer(await runs.view(self.store, request.path_params["run"]))

    async def tasks(self, request: Request) -> Response:
        """A run's tasks."""
        found = await runs.tasks(self.store, request.path_params["run"])
        return _many(list[TaskResult], found)

    async def events(self, request: Request) -> Response:
        """A run's events: a page of them, or (Accept: text/event-stream) all to its end."""
        run = request.path_params["run"]
        after = request.query_params.get("after", request.headers.get("last-event-id", ""))
        if "text/event-stream" in request.headers.get("accept", ""):
            first = await events.read(self.store, run, after, 0)
            stream = self._stream(run, after, first)
            return StreamingResponse(stream, media_type="text/event-stream")
        work = events.read(self.store, run, after, seconds(request))
        return _many(list[Event], await while_connected(request, work))

    async def cancel(self, request: Request) -> Response:
        """Cancel a run."""
        return answer(await runs.cancel(self.store, request.path_params["run"]))

    async def dead_letters(self, request: Request) -> Response:  # noqa: ARG002
        """Tasks that will not be tried again."""
        return _many(list[DeadLetter], await runs.dead_letters(self.store))

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        """Whether the broker answers."""
        await self.store.redis.ping()
        return JSONResponse({"ok": True, "mesh": self.store.policy.mesh})

    async def _stream(self, run: str, after: str, page: list[Event]) -> AsyncIterator[str]:
        while True:
            for event in page:
                after = event.id
                yield f"id: {after}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"
                if event.kind in events.LAST:
                    return
            if self.store.closing:
                return
            try:
                page = await events.read(self.store, run, after, HEARTBEAT_SECONDS)
            except Refused:
                return
            if not page:
                yield ": still here\n\n"
                await asyncio.sleep(0)


def _many(kind: Any, found: list[Any]) -> Response:
    return Response(TypeAdapter(kind).dump_json(found), media_type="application/json")
