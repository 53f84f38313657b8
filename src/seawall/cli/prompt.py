"""The prompt of `seawall dev`: questions, one after the other, on a mesh that follows your edits.

A mesh is replaced only when its successor has started, so a fault in an edit costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from seawall.errors import SeawallError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from seawall.cli.watch import Seen
    from seawall.mesh import Session

PROMPT = "ask> "
LINE_BYTES_MAX = 1024**2
ENDING = ("exit", "quit")

Ask = Callable[["Session", str], Awaitable[None]]


class Made(NamedTuple):
    """A mesh as it is on disk: not started yet, and what it was made from."""

    mesh: AbstractAsyncContextManager[Session]
    seen: Seen


Open = Callable[[], Made]


async def prompt(opened: Open, ask: Ask) -> int:
    """Answer until the input ends, or somebody writes `exit`."""
    current = _Running(opened())
    lines = Lines()
    try:
        await current.start()
        while (line := await lines.next()) is not None:
            question = line.strip()
            if question in ENDING:
                break
            if question:
                current = await _successor(current, opened)
                if current.alive:
                    await _answer_or_tell(current.session, question, ask)
    finally:
        await current.stop()
    return 0


async def _answer_or_tell(session: Session, question: str, ask: Ask) -> None:
    """One failed question does not end the prompt."""
    try:
        await ask(session, question)
    except SeawallError as error:
        print(error, file=sys.stderr)


async def _successor(current: _Running, opened: Open) -> _Running:
    """The mesh as it is on disk now; the current one where nothing changed, or a fault did.

    The two share the memory's folder meanwhile, so that after a fault the old mesh recalls from
    documents as they are now: their index follows them, whatever else was edited.
    """
    try:
        found = opened()
        if found.seen == current.made.seen and current.alive:
            return current
        new = _Running(found)
        await new.start()
    except (SeawallError, BaseExceptionGroup) as error:
        known = _known(error)
        if known is None:
            raise
        state = "goes on as it was" if current.alive else "is down until this is mended"
        print(f"{known}\nthe mesh {state}", file=sys.stderr)
        return current
    await current.stop()
    print("the mesh changed: restarted", file=sys.stderr)
    return new


def _known(error: BaseException) -> SeawallError | None:
    """The first of our own errors in a group of them."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_known, error.exceptions)), None)
    return error if isinstance(error, SeawallError) else None


class _Running:
    """A mesh in a task of its own, so that the next one can start before this one stops."""

    session: Session

    def __init__(self, made: Made) -> None:
        self.made = made
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        ready: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._host(ready), name="mesh")
        self._task.add_done_callback(lambda _task: ready.cancel())
        try:
            self.session = await ready
        except asyncio.CancelledError:
            if self._task.done():
                self._task.result()  # raises what kept it from starting
            raise

    async def _host(self, ready: asyncio.Future[Session]) -> None:
        async with self.made.mesh as session:
            ready.set_result(session)
            await self._leave.wait()

    async def stop(self) -> None:
        """Stop it; one that never started is cancelled."""
        if self._task is None or self._task.done():
            return
        self._leave.set()
        if not hasattr(self, "session"):
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Lines:
    """The lines of standard input, read without a thread: Ctrl-C could not wake one."""

    def __init__(self) -> None:
        self._descriptor = sys.stdin.fileno() if sys.stdin else None
        self._rest = b""
        self._ended = self._descriptor is None

    async def next(self) -> str | None:
        """The next line; None when there is none left."""
        if sys.stdin and sys.stdin.isatty():
            print(PROMPT, end="", file=sys.stderr, flush=True)
        while b"\n" not in self._rest and not self._ended:
            await self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        if not line and not self._rest and self._ended:
            return None
        return line.decode("utf-8", errors="replace")

    async def _more(self) -> None:
        assert self._descriptor is not None  # noqa: S101 - else it has ended
        await _readable(self._descriptor)
        try:
            chunk = os.read(self._descriptor, 65536)
        except OSError:  # the terminal went away
            chunk = b""
        self._rest += chunk
        self._ended = not chunk or len(self._rest) > LINE_BYTES_MAX


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(descriptor, _once, ready)
    except PermissionError:
        return  # a plain file: epoll refuses it, and reading it never waits
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _once(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
