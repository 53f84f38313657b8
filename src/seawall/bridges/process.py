"""A child process that speaks MCP on its stdin and stdout, as a transport for the SDK's client.

Unlike the SDK's own it inherits almost no environment, dies with us even after kill -9, bounds a
message's size, and remembers the last words of a server that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from seawall.wire import places

from .text import clip

LINE_BYTES_MAX = 32 * 1024**2
STDERR_TAIL_BYTES = 8192
GARBAGE_LINES_MAX = 50
"""Lines that are not MCP, before the first that is, after which we stop listening."""
EXIT_GRACE_SECONDS = 1.0
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
FAULT = "seawall-fault: "

Stream = TypeVar("Stream", asyncio.StreamReader, asyncio.StreamWriter)

logger = logging.getLogger("seawall.tool")


def scrubbed(extra: Mapping[str, str]) -> dict[str, str]:
    """An environment with nothing of ours in it that could be a secret."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    # Only as our containers have them: a person's own proxy may hold a password.
    proxy = places.proxy()
    ours = {name: value for name, value in proxy.items() if os.environ.get(name) == value}
    if "HTTP_PROXY" in ours:
        # Which names go past it is the mesh's to say, and differs from tool to tool.
        ours |= {name: os.environ[name] for name in proxy if name.upper() == "NO_PROXY"}
    return kept | ours | dict(extra)


class ServerProcess:
    """One run of a stdio server; an async context manager that yields the SDK's streams."""

    def __init__(self, command: tuple[str, ...], env: Mapping[str, str], folder: Path) -> None:
        self._command, self._env, self._folder = command, scrubbed(env), folder
        self._process: asyncio.subprocess.Process | None = None
        self._life: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stderr = bytearray()
        self._garbage = ""
        self._garbage_lines = 0
        self._spoke = False
        self.at_once = False
        """Leave without waiting for the server to end by itself."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def _child(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the process was not started")
        return self._process

    async def __aenter__(self) -> TransportStreams:
        life, self._life = os.pipe()
        leash = str(Path(__file__).with_name("leash.py"))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", leash, str(life), *self._command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._env,
                cwd=self._folder,
                pass_fds=(life,),
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle, not the tool's
                limit=LINE_BYTES_MAX,
            )
        except BaseException:
            self._let_go()
            raise
        finally:
            os.close(life)
        incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        self._streams = (incoming, read, write, outgoing)
        self._tasks = [
            asyncio.create_task(self._read(_pipe(self._process.stdout), incoming)),
            asyncio.create_task(self._write(outgoing, _pipe(self._process.stdin), incoming)),
            asyncio.create_task(self._listen(_pipe(self._process.stderr))),
        ]
        return read, write

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # a task of its own: anyio's shield does not hold off asyncio's own cancellation
        stopping = asyncio.create_task(self._stop())
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await asyncio.wait({stopping})
            raise

    async def _stop(self) -> None:
        process = self._child
        if process.stdin is not None:
            process.stdin.close()
        if not self.at_once:
            await self._exited(EXIT_GRACE_SECONDS)
        self._let_go()  # the leash kills the server's group
        await self._exited(EXIT_GRACE_SECONDS)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await self._exited(EXIT_GRACE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            stream.close()
        process._transport.close()  # type: ignore[attr-defined]  # a grandchild may hold the pipes

    async def _exited(self, seconds: float) -> None:
        # not process.wait(): on 3.11 it also waits for pipes that a grandchild may hold
        process, loop = self._child, asyncio.get_running_loop()
        until = loop.time() + seconds
        while process.returncode is None and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def _let_go(self) -> None:
        if self._life is not None:
            os.close(self._life)
            self._life = None

    async def _read(
        self,
        stdout: asyncio.StreamReader,
        incoming: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        async with incoming:
            while True:
                try:
                    line = await stdout.readline()
                except ValueError:
                    self._garbage = f"a message above {LINE_BYTES_MAX // 1024**2} MiB"
                    self._let_go()
                    return
                if not line:
                    return
                if not await self._deliver(line, incoming):
                    return

    async def _deliver(
        self, line: bytes, incoming: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> bool:
        """Pass on one line; False when there is no use in reading further."""
        try:
            message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self._garbage = clip(line.decode("utf-8", "replace"), 120)
            self._garbage_lines += 1
            if not self._spoke and self._garbage_lines > GARBAGE_LINES_MAX:
                self._let_go()
                return False
            return True
        self._spoke, self._garbage = True, ""
        try:
            await incoming.send(SessionMessage(message))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return False
        return True

    async def _write(
        self,
        outgoing: MemoryObjectReceiveStream[SessionMessage],
        stdin: asyncio.StreamWriter,
        incoming: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        try:
            async for item in outgoing:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                stdin.write(text.encode() + b"\n")
                await stdin.drain()
        except OSError:
            await incoming.aclose()  # the session must see the end, not wait for an answer

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(65536):
            self._stderr += chunk
            del self._stderr[:-STDERR_TAIL_BYTES]
            if logger.isEnabledFor(logging.INFO):
                logger.info("%s", chunk.decode("utf-8", "replace").rstrip())

    async def last_words(self) -> str:
        """Why the server is of no use, as far as it can be told from outside."""
        if self._process is not None:
            await self._exited(0.5)
            await asyncio.wait(self._tasks[2:], timeout=0.5)
        tail = self._stderr.decode("utf-8", "replace").strip().splitlines()
        fault = next((line for line in tail if line.startswith(FAULT)), "")
        if fault:
            return fault.removeprefix(FAULT)
        said = f"; its last words: {clip(tail[-1], 300)}" if tail else ""
        if self._garbage:
            return f"it wrote what is not MCP to its stdout: {self._garbage!r}"
        if self._process is None or self._process.returncode is None:
            return f"it does not answer{said}"
        return f"it ended with {_ending(self._process.returncode)}{said}"


def _pipe(stream: Stream | None) -> Stream:
    if stream is None:
        raise RuntimeError("the process has no pipe")
    return stream


def _ending(code: int) -> str:
    """An exit code in words; the leash reports a signal as 128 and its number."""
    number = -code if code < 0 else code - 128
    if number > 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(number).name
    return f"exit code {code}"
