"""A step on its way: what every hook sees, and how hooks wrap one another.

Knows nothing of models, tools or HTTP; the loop gives it a body, hooks go round it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

from seawall.errors import LimitReached, OperatorError, Refused
from seawall.wire import headers, trace
from seawall.wire.messages import Begin, Lease, Step, StepKind, Usage
from seawall.wire.profiles import AgentProfile

from .keeper_client import KeeperClient
from .pricing import Meter
from .progress import Progress

NOTHING = Usage()
LAST_WORD_SECONDS_MAX = 3.0
"""How long a task that ends otherwise than by an answer may take to record its last step."""


@dataclass
class Task:
    """One leased task in this process: who it is, its journal, the way to the keeper."""

    lease: Lease
    profile: AgentProfile
    keeper: KeeperClient
    journal: dict[str, Step] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    """What this process is doing; the watchdog reads it."""
    meter: Meter = field(init=False)
    spent_usd_micros: int = 0
    """By this task itself, in every attempt so far."""
    spent_tokens: int = 0
    kept: Step | None = None
    """A finished step that goes to the keeper with the next one's `begin`."""
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.meter = Meter(self.profile.model)
        self.journal = {step.key: step for step in self.lease.journal}
        for step in self.lease.journal:
            self.spend(step.usage)

    def spend(self, usage: Usage) -> None:
        """Count what a step took."""
        self.spent_usd_micros += usage.usd_micros
        self.spent_tokens += usage.input_tokens + usage.output_tokens

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Inside the block a step is under way."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def begin(self, message: Begin) -> None:
        """Tell the keeper that a step begins, and before it what is kept."""
        kept = self.kept
        if kept is not None:
            message = message.model_copy(update={"after": kept})
        await self.keeper.begin(self.lease.token, message)
        # Until it is known to be recorded each step that begins takes it along, those of parallel
        # calls too: none happens before it is in the journal, and recorded it is only once.
        if self.kept is kept:
            self.kept = None

    async def record(self, step: Step) -> None:
        """Put a finished step into the journal: at once, or with the step that now follows."""
        if self._under_way:  # what ends next may take long
            await self.keeper.record(self.lease.token, step)
        else:
            self.kept = step

    async def settle(self) -> None:
        """Record what is kept; the task has an answer."""
        if self.kept is not None:
            await self.keeper.record(self.lease.token, self.kept)
            self.kept = None

    async def last_word(self) -> None:
        """As `settle`, for a task that ends without an answer, whose reason matters more."""
        with suppress(Refused, OperatorError, TimeoutError):
            async with asyncio.timeout(LAST_WORD_SECONDS_MAX):
                await self.settle()

    def next_key(self, kind: str) -> str:
        """The key of the next step of a kind without ids of its own: `model#1`, `model#2`, …"""
        self.counters[kind] = self.counters.get(kind, 0) + 1
        return f"{kind}#{self.counters[kind]}"

    def call_key(self, call_id: str) -> str:
        """The key of a tool call.

        Some providers use an id again in a later response, so the second use is `tool#<id>~2`:
        the journal must not take it for the first.
        """
        name = f"tool#{call_id}"
        uses = self.counters[name] = self.counters.get(name, 0) + 1
        return name if uses == 1 else f"{name}~{uses}"


CURRENT: ContextVar[Task | None] = ContextVar("seawall_task", default=None)
"""The task that the running loop works on; a context variable because pydantic-ai builds the
backend once for an agent while tasks come and go."""

STEP: ContextVar[str] = ContextVar("seawall_step")
"""The key of the step that is running: idempotency key of its call, id of its child task."""


def current() -> Task:
    """The task being worked on; raises RuntimeError when there is none."""
    task = CURRENT.get()
    if task is None:
        raise RuntimeError("no task is being worked on")
    return task


def said() -> dict[str, str]:
    """The headers of a request that the running step makes: by what right, for which step."""
    lease, step = current().lease, STEP.get()
    return {
        headers.LEASE: f"Bearer {lease.token}",
        headers.STEP: step,
        trace.TRACEPARENT: trace.traceparent(lease.run, lease.task, step),
    }


@dataclass(frozen=True)
class StepCall:
    """One step about to happen."""

    key: str
    kind: StepKind
    name: str
    """The model, or the tool's function."""
    detail: str = ""
    """The arguments, shortened, for people."""
    reserve: Usage = NOTHING
    """The most it may use; checked against the budgets before it happens."""
    seconds_max: float | None = None
    """How long it may take; None when what it waits for has a time of its own."""
    measure: Callable[[object], Usage] = lambda _result: NOTHING
    """What it really used, from its result."""


Proceed = Callable[[], Awaitable[object]]
Hook = Callable[[Task, StepCall, Proceed], Awaitable[object]]


def wrap(hooks: Sequence[Hook], task: Task, call: StepCall, body: Proceed) -> Proceed:
    """`body` inside `hooks`, the first outermost."""
    proceed = body
    for hook in reversed(hooks):
        proceed = _bind(hook, task, call, proceed)
    return proceed


def _bind(hook: Hook, task: Task, call: StepCall, inner: Proceed) -> Proceed:
    async def proceed() -> object:
        return await hook(task, call, inner)

    return proceed


def as_limit(refused: Refused) -> Exception:
    """A budget refusal is a limit reached, which ends the task; any other stays what it is."""
    if refused.code == "budget":
        return LimitReached("budget", refused.fault, refused.remedy)
    return refused
