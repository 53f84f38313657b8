"""What every model of a spec has in common: frozen, closed to unknown keys, strict about types."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from .units import Bytes, Host, Name, Port, SecretName, Text


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


class QueryAuth(SpecModel):
    """A secret that the gateway adds to the query."""

    query: Text = Field(description="The query parameter's name.")
    secret: SecretName = Field(description="Name of the secret.")


def _auth_kind(given: Any) -> str | None:
    key = only_key(given, ("header", "query"))
    return {"header": "HeaderAuth", "query": "QueryAuth"}.get(key or "")


Auth = Annotated[
    Annotated[HeaderAuth, Tag("HeaderAuth")] | Annotated[QueryAuth, Tag("QueryAuth")],
    Discriminator(_auth_kind),
]


class Egress(SpecModel):
    """One host outside that a workload may reach, through its gateway."""

    host: Host = Field(description="The host's name: no wildcard, no address.")
    port: Port = Field(443, description="The port; 443 by default.")
    auth: Auth | None = Field(
        None, description="A secret that the gateway adds; the workload never sees it."
    )
    allow_plain_http: bool = Field(
        False, description="Speak HTTP without TLS to this host: what is sent can be read."
    )
    allow_private_addresses: bool = Field(
        False, description="Let the name stand for a private address, your own network's say."
    )


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
        None, description="Packages it needs: a requirements file, pinned and with hashes."
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
