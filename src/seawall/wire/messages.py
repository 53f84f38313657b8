"""The keeper's messages, to agents (through gateways) and to people (through the door).

Times are unix seconds; money is whole micro-dollars, so that sums are exact.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .base import Message
from .profiles import Budget

TaskState = Literal["queued", "running", "done", "failed", "cancelled", "dead"]
StepKind = Literal["model", "tool", "delegate", "note"]
FailureKind = Literal["error", "limit", "cancelled", "deadline", "dead", "refused"]

UNTIL_MAX = 4_102_444_800.0
"""The year 2100: a later time is a mistake."""


class Usage(Message):
    """What a step, task or run has used."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd_micros: int = 0
    turns: int = 0
    tool_calls: int = 0


class Failure(Message):
    """Why a task did not answer, in words that a model and a person can act on."""

    kind: FailureKind
    reason: str


class Step(Message):
    """One finished step in a task's journal."""

    key: str
    """Unique in the task, the same on every attempt: `model#3`, `tool#<call id>`."""
    kind: StepKind
    payload: str
    """JSON text, opaque to the keeper."""
    usage: Usage = Usage()
    at: float = 0.0


class Take(Message):
    """A replica asks for work; the agent's name comes from the identity header."""

    replica: str
    wait_seconds: float = 20.0


class Lease(Message):
    """The right of one replica to work on one task for a while."""

    token: str
    run: str
    task: str
    agent: str
    attempt: int
    """1 on first delivery."""
    seconds: float
    """How long the lease lasts unless renewed."""
    input: str
    depth: int
    ancestry: tuple[str, ...]
    """Agents from the main one down to the parent."""
    deadline: float | None
    budget: Budget
    used: Usage
    """What the whole run has used so far."""
    journal: tuple[Step, ...]


class Renewal(Message):
    """The answer to a renewal."""

    seconds: float
    cancelled: bool
    deadline: float | None


class Begin(Message):
    """A step is about to happen: an effect may follow, and its outcome stay unknown."""

    key: str
    kind: StepKind
    name: str
    """The model's or the tool/function's name."""
    reserve: Usage = Usage()
    """The most it may use: room held in the run's and the day's budget until it is recorded."""
    until: Annotated[float, Field(ge=0, le=UNTIL_MAX)] | None = None
    """When it must have ended, or its holder is stuck and loses the lease; None: no such time."""
    detail: str = ""
    """At most 500 characters for people: the call's arguments, shortened."""
    after: Step | None = None
    """A step that has finished, to be recorded first: one request for both."""


class Release(Message):
    """A step that began will not be recorded: give back the room that was held for it."""

    key: str


class Delegation(Message):
    """Hand a piece of work to another agent; `key` makes it happen once."""

    key: str
    agent: str
    input: str


class Delegated(Message):
    """The child task."""

    task: str


class TaskResult(Message):
    """How a task stands; `output` when done, `failure` when it ended otherwise."""

    task: str
    agent: str
    state: TaskState
    output: str | None = None
    failure: Failure | None = None
    usage: Usage = Usage()


class Progress(Message):
    """What the agent is doing now, for people; tokens as they stream."""

    text: str = ""
    kind: Literal["text", "thought", "note"] = "note"
    restart: bool = False
    """The response began anew: what was shown of it before does not count."""


class Finish(Message):
    """The task's answer."""

    output: str


class GiveBack(Message):
    """The replica will not go on with the task: another may take it at once."""

    reason: str
    """For people; at most 200 characters."""


class Event(Message):
    """One thing that happened in a run, in order."""

    id: str
    """Position in the run's stream; pass the last one seen to resume."""
    at: float
    run: str
    task: str = ""
    agent: str = ""
    kind: str
    """See `EVENT_KINDS`."""
    data: dict[str, Any] = {}


EVENT_KINDS = (
    "run.started", "run.done", "run.failed", "run.cancelled",
    "task.queued", "task.taken", "task.done", "task.failed", "task.cancelled",
    "task.redelivered", "task.dead",
    "step.started", "step.done", "text", "note", "budget.reached",
)  # fmt: skip
"""Kinds of event; the text before the dot is what it happened to.

`data` by kind: run.started {input, agent, budget}; run.done {output, usage}; run.failed and
run.cancelled {failure, usage}; task.queued {parent, input, depth}; task.taken {replica, attempt};
task.done {output, usage}; task.failed/cancelled/dead {failure}; task.redelivered {attempt, reason};
step.started {key, kind, name, detail}; step.done {key, kind, name, usage, replayed};
text {text, restart}; note {text}; budget.reached {limit, used, max}.
"""


class StartRun(Message):
    """A question for the main agent (or another, by name)."""

    input: str
    agent: str | None = None
    budget: Budget | None = None
    """Overrides the mesh's; may only lower it."""
    key: str | None = None
    """The same key twice starts one run."""


class RunView(Message):
    """A run as people see it."""

    run: str
    agent: str
    state: TaskState
    input: str
    output: str | None = None
    failure: Failure | None = None
    usage: Usage = Usage()
    started: float
    ended: float | None = None


class DeadLetter(Message):
    """A task that will not be tried again, and why."""

    run: str
    task: str
    agent: str
    input: str
    attempts: int
    reason: str
    at: float


class Fault(Message):
    """The body of every refusal. `code` is stable: `lease_lost`, `budget`, `edge`, `depth`, …"""

    code: str
    reason: str
    remedy: str = ""
