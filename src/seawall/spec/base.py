"""What every model of a spec has in common: frozen, closed to unknown keys, strict about types."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from .units import Bytes, HostPattern, Name, Port, SecretName, Text, fault

HTTP_PORT = 80
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PathPrefix = Annotated[str, Field(pattern="^/[A-Za-z0-9._~/-]*$", max_length=256)]
PORT_DIGITS = 5


class SpecModel(BaseModel):
    """A frozen part of a spec."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        defer_build=True,  # built once, inside `Spec`: half the time of `check`
        hide_input_in_errors=True,  # an input may be a secret in the wrong place
        str_strip_whitespace=False,
    )


class Limits(SpecModel):
    """What a workload's container may use."""

    memory: Bytes = Field(512 * 1024**2, description="Memory; 512MiB by default.")
    cpu: float = Field(1.0, gt=0, le=256, description="CPU cores; 1 by default.")
    pids: int = Field(128, ge=16, le=32768, description="Processes and threads; 128 by default.")
    tmpfs: Bytes = Field(64 * 1024**2, description="Space for temporary files; 64MiB by default.")


class HeaderAuth(SpecModel):
    """A secret that the gateway adds as a header."""

    header: Text = Field(description="The header's name, for example Authorization.")
    secret: SecretName = Field(description="Name of the secret.")
    prefix: str = Field("", description='Text before the value, for example "Bearer ".')


class BearerAuth(SpecModel):
    """A secret that the gateway adds as `Authorization: Bearer …`."""

    bearer: SecretName = Field(description="Name of the secret.")


class QueryAuth(SpecModel):
    """A secret that the gateway adds to the query."""

    query: Text = Field(description="The query parameter's name.")
    secret: SecretName = Field(description="Name of the secret.")


def _auth_kind(given: Any) -> str | None:
    kinds = {"bearer": "BearerAuth", "header": "HeaderAuth", "query": "QueryAuth"}
    return kinds.get(only_key(given, kinds) or "")


Auth = Annotated[
    Annotated[BearerAuth, Tag("BearerAuth")]
    | Annotated[HeaderAuth, Tag("HeaderAuth")]
    | Annotated[QueryAuth, Tag("QueryAuth")],
    Discriminator(_auth_kind),
]


class Egress(SpecModel):
    """One host outside that a workload may reach, through its gateway."""

    host: HostPattern = Field(
        description="The host's name, or *.domain for every name below one; may end in :port."
    )
    port: Port = Field(443, description="The port; 443, or 80 without TLS, by default.")
    auth: Auth | None = Field(
        None, description="A secret that the gateway adds; the workload never sees it."
    )
    allow_plain_http: bool = Field(
        False, description="Speak HTTP without TLS to this host: what is sent can be read."
    )
    allow_private_addresses: bool = Field(
        False, description="Let the name stand for a private address, your own network's say."
    )

    via: Literal["gateway"] | None = Field(
        None,
        description="gateway: it speaks TLS to the host itself, and the workload http:// to it; "
        "what follows here, and auth, imply it.",
    )
    methods: tuple[Method, ...] = Field((), description="Methods that pass; all by default.")
    paths: tuple[PathPrefix, ...] = Field(
        (), description="What paths must begin with; any by default."
    )
    requests_per_minute: int | None = Field(
        None, ge=1, le=1_000_000, description="More are answered with 429; no limit by default."
    )
    body: Bytes | None = Field(
        None, description="The longest body of a request; a longer one is answered with 413."
    )

    @property
    def by_gateway(self) -> bool:
        """Whether the gateway speaks to the host itself."""
        limits = (self.methods, self.paths, self.requests_per_minute, self.body)
        return self.via is not None or self.auth is not None or any(limits)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "port" in given:
            return given
        host, colon, port = str(given.get("host", "")).rpartition(":")
        if colon and port.isascii() and port.isdigit() and len(port) <= PORT_DIGITS:
            return {**given, "host": host, "port": int(port)}
        return {**given, "port": HTTP_PORT} if given.get("allow_plain_http") is True else given

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.host.startswith("*") and (self.by_gateway or self.allow_plain_http):
            raise fault("is for TLS that the client speaks itself", "Name the one host")
        return self


class WorkloadKeys(SpecModel):
    """Keys that agents and tools share."""

    description: str = Field(
        "", max_length=2000, description="What it does, for people and models."
    )
    egress: tuple[Egress, ...] = Field((), description="Hosts outside that it may reach.")
    connects: tuple[Name, ...] = Field((), description="Services (from `services`) it may reach.")
    limits: Limits = Field(Limits.model_construct(), description="What its container may use.")
    replicas: int = Field(1, ge=1, le=100, description="How many run side by side; 1 by default.")
    allow_writable_root: bool = Field(
        False, description="Let it write to its own root file system, which then is not read-only."
    )


class RequirementKeys(SpecModel):
    """Keys of what is Python code of the author's."""

    requirements: Text | None = Field(
        None, description="Packages it needs: a requirements file with hashes, or a pylock.toml."
    )
    allow_unhashed_requirements: bool = Field(
        False, description="Take packages without hashes: whoever serves them chooses what runs."
    )


def only_key(given: object, keys: Iterable[str]) -> str | None:
    """The one of `keys` that a mapping has; None when it has none or several."""
    if not isinstance(given, dict):
        return next((k for k in keys if hasattr(given, k)), None)
    found = [key for key in keys if key in given]
    return found[0] if len(found) == 1 else None
