"""A tool that is an MCP server on stdio, run as a child and restarted when it dies or hangs.

Each start is a generation: one that hung is retired at once, so that new calls go to a fresh
process, and killed when the calls it still serves have ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from seawall.errors import OperatorError
from seawall.wire.tools import Caller, CallOutcome, FunctionInfo

from .meta import from_tool

if TYPE_CHECKING:
    from .connection import Connection
    from .process import ServerProcess

START_SECONDS_MAX = 30.0
PING_SECONDS_MAX = 2.0
STARTS_MAX = 10
"""Starts within `STARTS_SECONDS` after which the server is left dead for a while."""
STARTS_SECONDS = 30.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launch:
    """How to start a server, and how far to believe it."""

    place: str
    """How messages call it: `tools/search.py`, or the tool's name."""
    command: tuple[str, ...]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    """Our own functions server: its `_meta` counts, and an abandoned call means a stuck thread."""


@dataclass(eq=False)
class _Generation:
    process: ServerProcess
    connection: Connection
    calls: int = 0
    retired: bool = False
    frozen: bool = False

    @property
    def usable(self) -> bool:
        return not self.retired and self.process.alive and self.connection.alive


class StdioBackend:
    """Runs the server of one tool."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._lock = asyncio.Lock()
        self._current: _Generation | None = None
        self._all: set[_Generation] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._starts: list[float] = []

    async def __aenter__(self) -> Self:
        self._later(self._warm())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        for generation in tuple(self._all):
            self._end(generation)
        while self._endings:
            await asyncio.wait(self._endings)

    async def list(self) -> list[FunctionInfo]:
        """Every function of the server. Raises OperatorError when it cannot start."""
        from mcp import MCPError

        generation = await self._generation()
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                tools = await generation.connection.tools()
        except (TimeoutError, MCPError) as error:
            why = await self._why(generation, error)
            raise OperatorError(self._launch.place, why) from None
        return [from_tool(listed, trusted=self._launch.ours) for listed in tools]

    async def call(
        self,
        function: str,
        arguments: dict[str, Any],
        caller: Caller,  # noqa: ARG002 - a stranger is not told who asks
    ) -> CallOutcome:
        """Call one function. Being cancelled means that the call is given up: it is ended."""
        from mcp import MCPError

        try:
            generation = await self._generation()
        except OperatorError as error:
            return CallOutcome(text=str(error), is_error=True)
        generation.calls += 1
        try:
            return await generation.connection.call(function, arguments)
        except MCPError as error:
            return CallOutcome(text=await self._why(generation, error), is_error=True)
        except asyncio.CancelledError:
            self._given_up(generation)
            raise
        finally:
            generation.calls -= 1
            self._end_if_done(generation)

    async def _warm(self) -> None:
        """Start early, so that the first call finds a server; a fault shows itself at that call."""
        try:
            await self._generation()
        except OperatorError as error:
            logger.debug("%s", error)

    async def _generation(self) -> _Generation:
        async with self._lock:
            if self._current is None or not self._current.usable:
                if self._current is not None:
                    self._retire(self._current)
                self._current = await self._start()
            return self._current

    async def _start(self) -> _Generation:
        from mcp import MCPError

        from .connection import Connection
        from .process import ServerProcess

        self._pace()
        launch = self._launch
        process = ServerProcess(launch.command, launch.env, launch.folder)
        try:
            connection = await Connection.open(process, START_SECONDS_MAX)
        except (TimeoutError, MCPError, OSError, ExceptionGroup):
            why = await process.last_words()
            raise OperatorError(launch.place, f"the tool's server cannot start: {why}") from None
        generation = _Generation(process, connection)
        self._all.add(generation)
        return generation

    def _pace(self) -> None:
        now = asyncio.get_running_loop().time()
        self._starts = [at for at in self._starts if at > now - STARTS_SECONDS] + [now]
        if len(self._starts) > STARTS_MAX:
            self._starts.pop()
            fault = f"the tool's server ended {STARTS_MAX} times in {STARTS_SECONDS:g} s"
            raise OperatorError(self._launch.place, fault, "It is started again in a while")

    async def _why(self, generation: _Generation, error: Exception) -> str:
        """What to say of a call without a result."""
        from mcp_types import CONNECTION_CLOSED

        lost = getattr(error, "code", CONNECTION_CLOSED) == CONNECTION_CLOSED
        if not lost and generation.process.alive:
            return f"the tool refused the call: {error}"
        self._retire(generation)
        if generation.frozen:
            return "the tool's server hung in another call and was ended with this one"
        return f"the tool's server failed during the call: {await generation.process.last_words()}"

    def _given_up(self, generation: _Generation) -> None:
        if self._launch.ours:
            self._retire(generation)  # a thread cannot be ended, its process can
        self._later(self._end_if_hung(generation))

    async def _end_if_hung(self, generation: _Generation) -> None:
        """End a server that answers nobody, with the calls of others that it holds up."""
        if await generation.connection.ping(PING_SECONDS_MAX):
            return
        generation.frozen = True
        self._retire(generation)
        if generation in self._all:
            self._end(generation)

    def _retire(self, generation: _Generation) -> None:
        generation.retired = True
        generation.process.at_once = True
        self._end_if_done(generation)

    def _end_if_done(self, generation: _Generation) -> None:
        if generation.retired and not generation.calls and generation in self._all:
            self._end(generation)

    def _end(self, generation: _Generation) -> None:
        self._all.discard(generation)
        self._track(generation.connection.close(), self._endings)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._track(work, self._chores)

    @staticmethod
    def _track(work: Coroutine[Any, Any, None], held: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        held.add(task)
        task.add_done_callback(held.discard)
