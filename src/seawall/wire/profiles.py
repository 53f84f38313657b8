"""What each process is told about itself: agents' and tools' profiles, the keeper's policy.

`plan` writes these; the runtime, the bridges and the keeper read them. They hold no secret.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Message
from .base import RetryRule as RetryRule


class ModelProfile(Message):
    """One model: which, where, and what it costs. Keys are added elsewhere."""

    ref: str
    """`provider:name`, for example `anthropic:claude-sonnet-4-5`."""
    base_url: str | None = None
    """The server to speak to; None for the provider's own."""
    gateway_url: str | None = None
    """Where the agent's gateway serves this model, in a container; the key is added there."""
    secret: str | None = None
    """Name of the secret that holds the key; None when the server wants none."""
    output_tokens_max: int = 4096
    temperature: float | None = None
    timeout_seconds: float = 120.0
    """The longest silence between two bytes of a response."""
    retries_max: int = 5
    allow_private_addresses: bool = False
    """Whether the server's name may stand for a private address."""
    usd_micros_per_mtok_input: int | None = None
    """Micro-dollars per million input tokens; None for the price library's."""
    usd_micros_per_mtok_output: int | None = None
    allow_missing_usage: bool = False
    """Its answers need not say what they used: the most that was asked for counts instead."""
    fallbacks: tuple[ModelProfile, ...] = ()


class ToolGrant(Message):
    """Functions of one tool that an agent may call."""

    tool: str
    functions: tuple[str, ...] = ("*",)
    """Names or `shell*` patterns."""
    timeout_seconds: float = 60.0
    retry: RetryRule = "never"
    """What to do when a call's outcome is unknown."""


class Delegate(Message):
    """An agent that this one may delegate to."""

    agent: str
    description: str


class TaskBudget(Message):
    """What one task of an agent may spend itself, its delegates not counted. None: no limit."""

    usd_micros: int | None = None
    tokens: int | None = None


class Watch(Message):
    """When a process counts as stuck, and ends itself with all stacks in its log."""

    silence_seconds: float = 30.0
    """Longest time in which its event loop does not turn: blocked, or the interpreter lock held."""
    grace_seconds: float = 3.0
    """How much later than its time what it does may end. Less than the keeper's own grace, so that
    the stuck process tells its stacks before its lease is taken away."""
    pause_seconds: float = 120.0
    """Longest time between two steps of a task."""


class AgentProfile(Message):
    """Everything the runtime of one agent must know."""

    kind: Literal["agent"] = "agent"
    name: str
    description: str = ""
    instructions: str = ""
    model: ModelProfile
    tools: tuple[ToolGrant, ...] = ()
    delegates: tuple[Delegate, ...] = ()
    turns_max: int = 50
    """Model responses a task may take."""
    budget: TaskBudget = TaskBudget()
    watch: Watch = Watch()


class FunctionsTool(Message):
    """Python functions marked `@tool` in a file of the user's."""

    kind: Literal["functions"] = "functions"
    path: str
    """Absolute, or relative to the spec's folder."""


class CommandTool(Message):
    """An MCP server that speaks stdio."""

    kind: Literal["command"] = "command"
    command: tuple[str, ...]
    env: dict[str, str] = {}
    """Plain values only; secrets are files."""


class UrlTool(Message):
    """An MCP server that speaks streamable HTTP."""

    kind: Literal["url"] = "url"
    url: str


class SandboxTool(Message):
    """Untrusted code in a place of its own."""

    kind: Literal["sandbox"] = "sandbox"
    language: Literal["python", "shell"] = "python"
    memory_bytes_max: int = 512 * 1024**2
    run_seconds_max: float = 30.0


class MemoryTool(Message):
    """The vector store behind the service that knows who asks."""

    kind: Literal["memory"] = "memory"
    readers: tuple[str, ...] = ("*",)
    writers: tuple[str, ...] = ("*",)
    documents: str | None = None
    """Folder whose files are indexed at start, for `recall` to find and cite."""
    only: tuple[str, ...] = ()
    """Files and folders in `documents` to take; empty for all."""


ToolSource = Annotated[
    FunctionsTool | CommandTool | UrlTool | SandboxTool | MemoryTool, Field(discriminator="kind")
]


class BridgeProfile(Message):
    """Everything the bridge beside one tool must know."""

    kind: Literal["bridge"] = "bridge"
    tool: str
    source: ToolSource
    grants: dict[str, tuple[str, ...]] = {}
    """Agent name to the functions (names or `shell*` patterns) it may see and call."""
    timeout_seconds: float = 60.0
    output_bytes_max: int = 64 * 1024
    """A longer result is cut, and the model is told so."""
    watch: Watch = Watch()


class Budget(Message):
    """What a run may spend over its whole tree of tasks. None means no limit."""

    usd_micros: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    depth: int = 3
    """Longest chain of delegations; the main agent is at depth 0."""
    fan_out: int = 16
    """Children one task may have in all."""
    turns: int = 200
    tool_calls: int = 500


class DayBudget(Message):
    """What all runs of one UTC day may spend together. None means no limit."""

    usd_micros: int | None = None
    tokens: int | None = None


class Rate(Message):
    """Micro-dollars per million tokens, once a request's input reaches `start` tokens."""

    start: int = 0
    input: int
    output: int


MODEL_REQUEST_BYTES_MAX = 8 * 1024**2
"""The keeper sees each model request whole; its gateway refuses a larger one."""


class MeteredModel(Message):
    """One model as the keeper meters it, at its number in an agent's gateway."""

    provider: str
    name: str
    """As the provider calls it; a request for another is refused."""
    output_tokens_max: int
    rates: tuple[Rate, ...] = ()
    """Ascending by start; none: it costs nothing."""
    allow_missing_usage: bool = False


class AgentMeter(Message):
    """What one agent may ask of its models through its gateway."""

    models: tuple[MeteredModel, ...]
    """The model and its fallbacks, in the gateway's order."""
    budget: TaskBudget = TaskBudget()


class KeeperLimits(Message):
    """The named limits of the keeper's queues, loops, payloads and waits."""

    lease_seconds: float = 15.0
    stall_grace_seconds: float = 5.0
    """How much later than it said a step may end, before its holder counts as stuck."""
    attempts_max: int = 3
    """Deliveries of a task before it becomes a dead letter."""
    queue_max: int = 1000
    """Tasks waiting for one agent."""
    runs_max: int = 200
    """Runs not yet finished."""
    payload_bytes_max: int = 1024**2
    journal_bytes_max: int = 64 * 1024**2
    """Journal of one task."""
    events_max: int = 20_000
    """Events kept for one run."""
    wait_seconds_max: float = 25.0
    finished_runs_max: int = 1000
    """Finished runs kept in the broker. The oldest go first; where they are archived none does, and
    new runs are refused instead."""
    live_bytes_max: int = 128 * 1024**2
    """What all runs in the broker may hold before new ones are refused; at twice that, all writes.
    A third of the broker's own limit: what the runs hold takes more room there than its text."""
    archive_after_seconds: float = 60.0
    """How long an ended run stays in the broker, for those who have just asked."""
    archive_runs_max: int = 10_000
    archive_bytes_max: int = 2 * 1024**3
    """All files of the archive together; the oldest go first."""
    archive_seconds_max: float = 90 * 86_400.0
    """How long a run is kept in the archive."""


class KeeperPolicy(Message):
    """Everything the keeper must know about the mesh."""

    kind: Literal["keeper"] = "keeper"
    mesh: str
    main: str
    delegates: dict[str, tuple[str, ...]]
    """Agent to the agents it may delegate to; every agent has an entry."""
    run: Budget = Budget()
    day: DayBudget = DayBudget()
    meters: dict[str, AgentMeter] = {}
    metered: bool = False
    """Gateways meter every model call: what agents report of tokens and money does not count."""
    limits: KeeperLimits = KeeperLimits()
    watch: Watch = Watch()
