"""The keeper as people see it, through the door: start a run, follow it, stop it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from pydantic import TypeAdapter

from seawall.runtime.caller import Caller
from seawall.wire.messages import DeadLetter, Event, RunView, StartRun, TaskResult

_RUNS = TypeAdapter(list[RunView])
_TASKS = TypeAdapter(list[TaskResult])
_EVENTS = TypeAdapter(list[Event])
_LETTERS = TypeAdapter(list[DeadLetter])


@asynccontextmanager
async def reach(url: str, token: str) -> AsyncIterator[DoorClient]:
    """A client of the door at `url`."""
    async with httpx.AsyncHTTPTransport() as transport:
        yield DoorClient(Caller(transport, url, {"authorization": f"Bearer {token}"}))


class DoorClient:
    """Every call the command line and the Python API make. Raises Refused."""

    def __init__(self, caller: Caller) -> None:
        self._call = caller.call

    async def start(self, message: StartRun) -> RunView:
        """Start a run; sent again it is one run only when it has a key."""
        retried = message.key is not None
        path = "/v1/runs"
        response = await self._call("POST", path, message=message, retried=retried)
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
