"""A spec: what the author writes in `seawall.yaml`, checked and typed. `load.py` makes one.

Holds names of secrets, never their values. What a key means for a mesh is for `plan` to say.
"""

from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from .agents import Agent
from .base import SpecModel, only_key
from .faults import Path, Place
from .tools import Tool
from .units import Host, Name, Port, Seconds, SecretName, Text, Url, fault

NetworkName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", max_length=128)]


class Prices(SpecModel):
    """US dollars per million tokens; zero is a price."""

    input: float = Field(ge=0, le=1e6, description="For what is sent.")
    output: float = Field(ge=0, le=1e6, description="For what is answered.")


class ModelSettings(SpecModel):
    """Settings of one model, for agents to name."""

    model: Text | None = Field(None, description="provider:name; the entry's own name by default.")
    base_url: Url | None = Field(None, description="The server; the provider's own by default.")
    secret: SecretName | None = Field(
        None, description="The key's secret; by the provider's name, none for a plain HTTP server."
    )
    prices: Prices | None = Field(None, description="Dollars per million tokens, if not known.")
    fallbacks: tuple[Text, ...] = Field((), max_length=8, description="Models to try next.")
    output_tokens: int = Field(4096, gt=0, le=1_000_000, description="Longest answer; 4096.")
    temperature: float | None = Field(None, ge=0, le=2, description="The provider's by default.")
    timeout: Seconds = Field(120.0, description="Longest silence in an answer; 2m by default.")
    retries: int = Field(5, ge=0, le=20, description="Attempts after the first; 5 by default.")
    allow_missing_usage: bool = Field(
        False, description="Its answers need not say what they used; the most then counts."
    )
    allow_plain_http: bool = Field(
        False, description="Send the key without TLS to a host that is not this machine."
    )
    allow_private_addresses: bool = Field(
        False, description="Let the server's name stand for a private address, your own network's."
    )


class EnvSecret(SpecModel):
    """A secret in an environment variable of the person who starts the mesh."""

    env: Text = Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="The variable's name.")


class FileSecret(SpecModel):
    """A secret in a file."""

    file: Text = Field(description="The file, relative to the spec.")


class CommandSecret(SpecModel):
    """A secret that a command prints, a password manager's say."""

    command: tuple[Text, ...] = Field(min_length=1, description="The program and its arguments.")


SECRET_KINDS: dict[str, type[SpecModel]] = {
    "env": EnvSecret, "file": FileSecret, "command": CommandSecret,
}  # fmt: skip
"""Source of a secret by the one key that chooses it."""


def _secret_kind(given: Any) -> str | None:
    return only_key(given, SECRET_KINDS)


Secret = Annotated[
    Annotated[EnvSecret, Tag("env")]
    | Annotated[FileSecret, Tag("file")]
    | Annotated[CommandSecret, Tag("command")],
    Discriminator(_secret_kind),
]


class RunBudget(SpecModel):
    """What one question may spend over its whole tree of tasks."""

    usd: float | None = Field(None, gt=0, le=1e6, description="US dollars; no limit by default.")
    tokens: int | None = Field(None, gt=0, description="Tokens; no limit by default.")
    time: Seconds | None = Field(None, description="From question to answer; no limit by default.")
    depth: int = Field(3, ge=0, le=32, description="Longest chain of delegations; 3 by default.")
    fan_out: int = Field(16, ge=0, le=1000, description="Children of one task; 16 by default.")
    turns: int = Field(200, gt=0, description="Model responses; 200 by default.")
    tool_calls: int = Field(500, ge=0, description="Tool calls; 500 by default.")


class DayBudget(SpecModel):
    """What all questions of one UTC day may spend together."""

    usd: float | None = Field(None, gt=0, le=1e6, description="US dollars; no limit by default.")
    tokens: int | None = Field(None, gt=0, description="Tokens; no limit by default.")


class Budgets(SpecModel):
    """What may be spent."""

    run: RunBudget = Field(RunBudget.model_construct(), description="By one question.")
    day: DayBudget = Field(
        DayBudget.model_construct(), description="In one day, all questions together."
    )


class Defaults(SpecModel):
    """What agents use that say nothing else."""

    model: Text | None = Field(None, description="A name from `models`, or provider:name.")


class Service(SpecModel):
    """Something of the author's that runs already, a Postgres say."""

    host: Host = Field(description="Its name, or its IPv4 address.")
    port: Port = Field(description="Its port.")
    network: NetworkName | None = Field(
        None, description="The Docker network that it is on, another Compose project's say."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        host, _, port = given.rpartition(":")
        if not (host and port.isascii() and port.isdigit() and len(port) <= 5):
            raise fault("must be host:port", "Write db.example.com:5432")
        return {"host": host, "port": int(port)}


class Build(SpecModel):
    """How images are built."""

    ca_bundle: Text | None = Field(
        None, description="CA certificates that builds trust besides the public ones (PEM)."
    )


class Images(SpecModel):
    """Images of the author's to build on. What each must hold: docs/explanation/images.md."""

    base: Text | None = Field(
        None, description="What all images stand on: Debian or the like, with python3 and venv."
    )
    runtime: Text | None = Field(None, description="Agents stand on it instead of the base.")
    keeper: Text | None = Field(None, description="The keeper stands on it instead of the base.")
    bridge: Text | None = Field(None, description="Tools stand on it instead of the base.")
    memory: Text | None = Field(None, description="Memory stands on it instead of the base.")
    broker: Text | None = Field(
        None, description="Holds redis-server or valkey-server, with its -cli; runs as it is."
    )
    gateway: Text | None = Field(
        None, description="Holds envoy, which is taken out of it: gateways stand on the base."
    )

    def given(self) -> dict[str, str]:
        """Role to image, those that are set."""
        return {role: str(image) for role, image in self if image is not None}


class DoorKeys(SpecModel):
    """The mesh's one published port."""

    port: Port | None = Field(None, description="The port; a free one at each `up` by default.")
    address: Text = Field("127.0.0.1", description="Where it listens; 127.0.0.1 by default.")


@dataclass(frozen=True)
class Home:
    """Where a spec came from; kept beside it, not in it."""

    folder: File = File()
    file: str = "seawall.yaml"
    env: str | None = None
    places: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """The line that sets the value at `path`, or the nearest above it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return Place(self.file)


class Spec(SpecModel):
    """Everything that one `seawall.yaml` says. Paths in it are relative to its folder."""

    seawall: Literal[1] = Field(description="The format's version: 1.")
    name: Name = Field(description="The mesh's name.")
    description: str = Field("", description="What the mesh is for.")
    main: Name = Field(description="The agent that answers.")
    defaults: Defaults = Field(
        Defaults.model_construct(), description="What agents use that say nothing else."
    )
    budgets: Budgets = Field(Budgets.model_construct(), description="What may be spent.")
    agents: dict[Name, Agent] = Field(min_length=1, description="The agents, by name.")
    tools: dict[Name, Tool] = Field({}, description="The tools, by name.")
    models: dict[Text, ModelSettings] = Field({}, description="Settings of models, by name.")
    secrets: dict[SecretName, Secret] = Field(
        {}, description="Where secrets are; the environment variable of the same name by default."
    )
    services: dict[Name, Service] = Field({}, description="What runs already: host:port, by name.")
    door: DoorKeys = Field(DoorKeys(), description="The one published port.")
    build: Build = Field(Build(), description="How images are built.")
    trusted_cas: tuple[Text, ...] = Field(
        (),
        description="Files with CA certificates (PEM) that gateways trust besides the public ones.",
    )
    images: Images = Field(Images(), description="Images to build on instead of the default.")
    script: Text | None = Field(None, description="The scripted models' turns, for --offline.")
    allow_missing_controls: tuple[Text, ...] = Field(
        (), description="Required controls without which the mesh may run all the same."
    )

    _home: Home = PrivateAttr(default_factory=Home)

    @property
    def home(self) -> Home:
        """Where it came from."""
        return self._home

    def at(self, home: Home) -> Self:
        """The same spec, knowing where it came from."""
        self._home = home
        return self


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec's file, for editors; `include` is resolved before the models."""
    schema = Spec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "seawall.yaml"
    schema["properties"]["include"] = {
        "description": "Files that are part of this spec, relative to its folder.",
        "type": "array",
        "items": {"type": "string"},
    }
    return schema
