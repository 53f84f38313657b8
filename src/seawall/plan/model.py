"""A plan: what a spec means. Workloads, the links between them, the door, secrets, controls.

Ordered and complete; holds no network, address or secret's value. Renderers and engines read it.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from seawall.wire.base import Message
from seawall.wire.profiles import AgentProfile, BridgeProfile, KeeperPolicy

WorkloadKind = Literal["keeper", "broker", "agent", "tool"]
Protocol = Literal["http", "https", "mcp", "redis", "tcp"]
RecipeKind = Literal[
    "runtime", "bridge", "keeper", "broker", "entry", "build", "image", "npm", "pypi"
]


class Requirements(Message):
    """A requirements file of the author's."""

    path: str
    digest: str
    pins: tuple[str, ...]
    """`name==version` of each package that is installed on every machine, by name."""
    hashed: bool = True
    text: str = ""
    """The lines that pip takes, where the file is a lock of another form."""


class Recipe(Message):
    """How a workload's image comes about; `what` is the package, folder, code or reference."""

    kind: RecipeKind
    what: str = ""
    requirements: Requirements | None = None
    """Packages of the author's that go into it."""


class SourceFile(Message):
    """A file or folder of the author's that the workload is given, read-only."""

    path: str
    """Relative to the spec's folder."""
    digest: str
    """SHA-256; of a folder, over its files' names and digests."""


class Limits(Message):
    """What the workload's container may use."""

    memory_bytes: int = 512 * 1024**2
    cpus: float = 1.0
    pids: int = 128
    tmpfs_bytes: int = 64 * 1024**2


class Workload(Message):
    """One thing that runs, in one or more replicas."""

    identity: str
    """`agent/researcher`: kind and name; links and secrets refer to it."""
    kind: WorkloadKind
    uid: int
    """Its own user, the same whatever else the mesh holds."""
    replicas: int = 1
    image: Recipe
    files: tuple[SourceFile, ...] = ()
    writable: tuple[str, ...] = ()
    """Paths it may write to; all else is read-only."""
    limits: Limits = Limits()
    recycle: Literal["never", "each_session"] = "never"
    """When its container is replaced by a fresh one."""
    allows: tuple[str, ...] = ()
    """The spec's `allow_…` keys that loosen this workload."""
    profile: Annotated[AgentProfile | BridgeProfile | KeeperPolicy, Field(discriminator="kind")] | (
        None
    ) = None


class Credential(Message):
    """A secret that the gateway adds to what passes a link; the workload never has it."""

    secret: str
    header: str | None = None
    query: str | None = None
    prefix: str = ""


class Rules(Message):
    """What of HTTP passes a link, where the gateway itself speaks to the host."""

    methods: tuple[str, ...] = ()
    """All of them when there is none."""
    paths: tuple[str, ...] = ()
    """What a path may begin with; all when there is none."""
    requests_per_minute: int | None = None
    body_bytes_max: int | None = None


class Link(Message):
    """A connection that is allowed. What is not listed is not."""

    source: str
    """The identity of a workload, or `door`."""
    target: str
    """The identity of a workload, `outside/host` or `service/name`."""
    port: int
    protocol: Protocol
    functions: tuple[str, ...] = ()
    """Over MCP: the functions granted, as names and `*` patterns."""
    identity: str = ""
    """Who the target is told is asking; set by the gateway, never by the caller."""
    credential: Credential | None = None
    rules: Rules | None = None
    """The gateway speaks to the host itself, and holds requests to these."""
    model: bool = False
    """One of the source's models is there: one call of it passes, and nothing else."""
    allows: tuple[str, ...] = ()
    """The spec's `allow_…` keys that loosen this link."""


class ExistingService(Message):
    """Something of the author's that runs already; links name it as `service/name`."""

    name: str
    host: str
    port: int
    network: str | None = None
    """The engine's network that it is on; None for one that is reached from outside."""


class Door(Message):
    """The mesh's only published port."""

    target: str = "keeper"
    port: int = 8443
    protocol: Literal["http"] = "http"
    """Plain on this machine alone (docs/decisions/0011)."""


class Secret(Message):
    """Where a secret is found; exactly one of `env`, `file` and `command` says it."""

    name: str
    env: str | None = None
    file: str | None = None
    command: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    """Who is given it: `gateway of …`, or the identity of a tool that reads it itself."""
    on_change: Literal["reload", "restart"] = "reload"
    """What follows from a new value: a gateway reloads, a tool is started again."""

    @classmethod
    def from_env(cls, name: str) -> Secret:
        """A secret in the environment variable of its own name: the convention."""
        return cls(name=name, env=name)


class Control(Message):
    """A hardening measure, by name; engines publish which they enforce."""

    name: str
    level: Literal["required", "preferred"]
    meaning: str
    waived: bool = False
    """The spec lets the mesh run on an engine that lacks it."""
    exempt: tuple[str, ...] = ()
    """Workloads for which the spec loosens it."""


class Plan(Message):
    """What a mesh is."""

    name: str
    main: str
    workloads: tuple[Workload, ...]
    links: tuple[Link, ...]
    door: Door = Door()
    services: tuple[ExistingService, ...] = ()
    """Those that somebody connects to."""
    secrets: tuple[Secret, ...] = ()
    controls: tuple[Control, ...] = ()
    trusted_cas: tuple[SourceFile, ...] = ()
    """CA certificates that gateways trust besides the public ones."""
    images: dict[str, str] = {}
    """What to build on instead of the default, by role; `base` is for all that are not here."""
    script: SourceFile | None = None
    """What the models say offline."""

    def agents(self) -> tuple[Workload, ...]:
        """The workloads whose profile is an agent's, by name."""
        return tuple(w for w in self.workloads if isinstance(w.profile, AgentProfile))

    def bridges(self) -> tuple[BridgeProfile, ...]:
        """The profiles of the tools' bridges, by the tool's name."""
        return tuple(w.profile for w in self.workloads if isinstance(w.profile, BridgeProfile))

    @property
    def policy(self) -> KeeperPolicy:
        """What the keeper must know."""
        return next(w.profile for w in self.workloads if isinstance(w.profile, KeeperPolicy))

    @property
    def digest(self) -> str:
        """SHA-256 of the whole plan: changes when anything that counts does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
