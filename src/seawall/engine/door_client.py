"""The keeper as people see it, through the door: start a run, follow it, stop it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from pydantic import TypeAdapter

from seawall.runtime.caller import Caller
from seawall.wire.messages import DeadLetter, Event, RunView, StartRun, TaskResult

PAUSES_SECONDS = (0.05, 0.2, 0.8, 1.0, 2.0, 3.0, 4.0)
"""Between tries: as long as a keeper takes to be started again, and its name to be found."""

_RUNS = TypeAdapter(list[RunView])
_TASKS = TypeAdapter(list[TaskResult])
_EVENTS = TypeAdapter(list[Event])
_LETTERS = TypeAdapter(list[DeadLetter])


@asynccontextmanager
async def reach(url: str, token: str) -> AsyncIterator[DoorClient]:
    """A client of the door at `url`."""
    sent = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
        yield DoorClient(Caller(transport, url, sent, pauses=PAUSES_SECONDS))


class DoorClient:
    """Every call the command line and the Python API make. Raises Refused."""

    def __init__(self, caller: Caller) -> None:
        self._call = caller.call

    async def start(self, message: StartRun) -> RunView:
        """Start a run: one, however often it is sent, for it always has a key."""
        keyed = message.model_copy(update={"key": message.key or secrets.token_urlsafe(12)})
        response = await self._call("POST", "/v1/runs", message=keyed)
        return RunView.model_validate_json(response.content)

    async def run(self, run: str) -> RunView:
        """One run."""
        response = await self._call("GET", f"/v1/runs/{run}")
        return RunView.model_validate_json(response.content)

    async def runs(self) -> list[RunView]:
        """The newest runs, newest first."""
        return _RUNS.validate_json((await self._call("GET", "/v1/runs")).content)

    async def tasks(self, run: str) -> list[TaskResult]:
        """A run's tasks, oldest first."""
        path = f"/v1/runs/{run}/tasks"
        return _TASKS.validate_json((await self._call("GET", path)).content)

    async def events(self, run: str, after: str = "", wait_seconds: float = 20.0) -> list[Event]:
        """Events after the id `after`, waiting for the first; at most a page of them."""
        path = f"/v1/runs/{run}/events?after={after}&wait={wait_seconds:.3f}"
        response = await self._call("GET", path, wait_seconds=wait_seconds)
        return _EVENTS.validate_json(response.content)

    async def cancel(self, run: str) -> RunView:
        """End a run and its whole tree."""
        response = await self._call("POST", f"/v1/runs/{run}/cancel")
        return RunView.model_validate_json(response.content)

    async def dead_letters(self) -> list[DeadLetter]:
        """Tasks that will not be tried again, the newest first."""
        response = await self._call("GET", "/v1/dead-letters")
        return _LETTERS.validate_json(response.content)
