"""Untrusted Python without a container: Monty, an interpreter with no files, network or packages.

Variables live as long as the caller's task uses them. Every limit is told in words.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from seawall.wire.profiles import SandboxTool
from seawall.wire.tools import Caller, CallOutcome, FunctionInfo

from .text import clip, size

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontyError, MontySession

SESSIONS_MAX = 16
IDLE_SECONDS_MAX = 600.0
CODE_BYTES_MAX = 256 * 1024
SLEEP_SECONDS_MAX = 5.0
WORDS_BYTES = 4096
"""Kept free of the output limit, so that what stopped the code is never cut off."""
LACKS = (
    "This sandbox is a small Python: no packages, files, network or processes. "
    "It can import parts of the standard library (such as math, re, json, datetime, collections, "
    "itertools, decimal, csv, random)"
)

# $1 is a worker that may be busy for its whole time limit and would not notice its parent's end. A
# line means that the worker has ended; the end of the file without one, that our process is gone.
_LIFELINE = 'read -r _ || kill -9 "$1"'

RUN_PYTHON = FunctionInfo(
    name="run_python",
    description=(
        f"Run Python code and get what it prints and the value of its last expression. {LACKS}. "
        "Variables and functions last from call to call within a task. Put data into the code."
    ),
    input_schema={
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The Python code to run."}},
        "required": ["code"],
        "additionalProperties": False,
    },
    retry="safe",
)


@dataclass(eq=False)
class _Session:
    monty: MontySession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    used: float = 0.0
    worker: int | None = None
    """Process id once started."""
    lifeline: subprocess.Popen[bytes] | None = None
    """Kills the worker when our own process is killed."""
    ended: bool = False


class SandboxBackend:
    """`run_python(code)`, a session for each task."""

    def __init__(self, source: SandboxTool, output_bytes_max: int) -> None:
        self._source = source
        self._printed_bytes_max = max(1024, output_bytes_max - WORDS_BYTES)
        self._sessions: dict[str, _Session] = {}
        self._pool: Monty | None = None
        self._slots = asyncio.Semaphore(SESSIONS_MAX)
        self._admission = asyncio.Lock()
        # Threads and the synchronous interface: pydantic-monty 1.4's asynchronous one aborted
        # the interpreter at exit in 5 of 15 trials.
        self._threads = ThreadPoolExecutor(SESSIONS_MAX * 2, thread_name_prefix="sandbox")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in tuple(self._sessions):
            await self._drop(key, self._sessions[key], kill=True)
        if self._pool is not None:
            await self._run(self._pool.__exit__, None, None, None)
        self._threads.shutdown(wait=True)

    async def list(self) -> list[FunctionInfo]:
        """The one function there is."""
        return [RUN_PYTHON]

    async def call(self, function: str, arguments: dict[str, Any], caller: Caller) -> CallOutcome:
        """Run code in the caller's session."""
        code = arguments.get("code")
        if function != RUN_PYTHON.name or not isinstance(code, str) or len(arguments) != 1:
            return _error(f"{RUN_PYTHON.name} takes one argument: code, a text")
        if len(code.encode("utf-8", "replace")) > CODE_BYTES_MAX:
            return _error(f"the code is above {size(CODE_BYTES_MAX)}; send less at a time")
        # without a task the session is the agent's, never shared between agents
        key = "\n".join((caller.agent, caller.run, caller.task))
        async with self._slots:
            while True:
                session = await self._session(key)
                try:
                    async with session.lock:
                        if not session.ended:  # a call before us in this task may have reset it
                            return await self._feed(key, session, code)
                finally:
                    session.users -= 1

    async def _session(self, key: str) -> _Session:
        """The task's session, counted as used by one more."""
        now = asyncio.get_running_loop().time()
        async with self._admission:
            for old, idle in tuple(self._sessions.items()):
                if now - idle.used > IDLE_SECONDS_MAX and old != key and not idle.users:
                    await self._drop(old, idle)
            if key not in self._sessions:
                await self._make_room()
                self._sessions[key] = _Session(self._new())
            session = self._sessions[key]
            session.used = now
            session.users += 1
            return session

    async def _make_room(self) -> None:
        free = [(s.used, k) for k, s in self._sessions.items() if not s.users]
        if len(self._sessions) >= SESSIONS_MAX and free:
            _, oldest = min(free)
            await self._drop(oldest, self._sessions[oldest])

    def _new(self) -> MontySession:
        from pydantic_monty import Monty

        if self._pool is None:
            self._pool = Monty(max_processes=SESSIONS_MAX * 2)
            self._pool.__enter__()
        return self._pool.checkout(
            limits={
                "max_feed_duration_secs": self._source.run_seconds_max,
                "max_memory": self._source.memory_bytes_max,
                "max_total_sleep_secs": SLEEP_SECONDS_MAX,
            },
            os_policy={"sleep_system_max": SLEEP_SECONDS_MAX},
        )

    async def _feed(self, key: str, session: _Session, code: str) -> CallOutcome:
        from pydantic_monty import CollectString, MontyError

        printed = CollectString(max_bytes=self._printed_bytes_max)
        try:
            if session.worker is None:
                await self._run(session.monty.__enter__)
                session.worker = session.monty.worker_pid  # not to be had while code runs
                if session.worker is not None:
                    session.lifeline = _lifeline(session.worker)
            value = await self._run(lambda: session.monty.feed_run(code, print_callback=printed))
        except MontyError as error:
            return await self._failed(key, session, error, printed.output)
        except asyncio.CancelledError:
            await self._drop(key, session, kill=True)
            raise
        shown = "" if value is None else f"=> {value!r}"
        text = "\n".join(part for part in (printed.output.rstrip("\n"), shown) if part)
        return CallOutcome(text=text or "(no output; the last line was not an expression)")

    async def _failed(
        self, key: str, session: _Session, error: MontyError, printed: str
    ) -> CallOutcome:
        words, stopped = self._words(error)
        if stopped:
            await self._drop(key, session, kill=True)
            words += ". The session was reset: its variables are gone"
        before = f"{printed.rstrip()}\n" if printed else ""
        return _error(before + words)

    def _words(self, error: MontyError) -> tuple[str, bool]:
        """What went wrong, and whether the session is of no more use."""
        from pydantic_monty import MontyCrashedError, MontyRuntimeError, MontySyntaxError

        if isinstance(error, MontyCrashedError):
            if error.timed_out:
                return f"stopped: time limit {self._source.run_seconds_max:g} s", True
            return f"stopped: the sandbox crashed ({clip(str(error), 200)})", True
        if not isinstance(error, MontyRuntimeError | MontySyntaxError):
            return clip(str(error), 500), False
        limit, spoiled = self._limit(str(error))
        if limit:
            return f"stopped: {limit}", spoiled
        hint = f"\n{LACKS}." if _lacking(error) else ""
        return error.display("traceback").strip() + hint, False

    def _limit(self, message: str) -> tuple[str, bool]:
        """The limit that ended the code, in words, and whether the session is of no more use.

        Monty tells by messages that user code could raise itself; then only its own session
        is reset.
        """
        if "time limit exceeded" in message:
            return f"time limit {self._source.run_seconds_max:g} s", True
        if "sleep" in message and "exceed" in message:
            return f"sleep limit {SLEEP_SECONDS_MAX:g} s", True
        if "memory limit exceeded" in message:
            if f"> {self._printed_bytes_max} bytes" in message:
                return f"output limit {size(self._printed_bytes_max)}, print less", False
            return f"memory limit {size(self._source.memory_bytes_max)}", True
        return "", False

    async def _drop(self, key: str, session: _Session, *, kill: bool = False) -> None:
        session.ended = True
        if self._sessions.get(key) is session:
            del self._sessions[key]
        if kill:
            self._kill(session)
        lifeline, session.lifeline = session.lifeline, None
        if lifeline is not None:
            await self._run(lifeline.communicate, b"ended\n")
        if session.worker is not None:
            session.worker = None
            with contextlib.suppress(Exception):  # a killed worker has nothing to say
                await self._run(session.monty.__exit__, None, None, None)

    def _kill(self, session: _Session) -> None:
        if session.worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(session.worker, signal.SIGKILL)

    async def _run(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _lifeline(worker: int) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C at the terminal is ours to handle.
    return subprocess.Popen(
        ["/bin/sh", "-c", _LIFELINE, "sh", str(worker)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _lacking(error: MontyError) -> bool:
    return isinstance(
        error.exception(), ModuleNotFoundError | ImportError | NotImplementedError | PermissionError
    )


def _error(text: str) -> CallOutcome:
    return CallOutcome(text=text, is_error=True)
