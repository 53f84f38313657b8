"""Durations, sizes, names and URLs as the author writes them, each a type for the models."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT_BYTES = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)([KMGT]iB|[kMGT]?B)", re.ASCII)
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,127}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]*[a-z]+[a-z0-9-]*"
)


def fault(text: str, remedy: str = "") -> PydanticCustomError:
    """A validation error in the house's words; never quote a value that may be a secret in it."""
    return PydanticCustomError("seawall", "{fault}", {"fault": text, "remedy": remedy})


def seconds(value: object) -> float:
    """`10m`, `1h30m`, `250ms` in seconds."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise fault("must be a duration", "Write 30s, 10m or 1h30m")
    total = sum(float(n) * _UNIT_SECONDS[unit] for n, unit in _DURATION_PART.findall(value))
    if total <= 0:
        raise fault("must be above zero", "Write 30s, 10m or 1h30m")
    return total


def size_bytes(value: object) -> int:
    """`512MiB` in bytes."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise fault("must be a size", "Write 64KiB, 512MiB or 2GiB")
    number = int(float(found[1]) * _UNIT_BYTES[found[2]])
    if number <= 0:
        raise fault("must be above zero", "Write 64KiB, 512MiB or 2GiB")
    return number


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        remedy = "Use small letters, digits, - and _, 48 at most, a letter first"
        raise fault("is not a name", remedy)
    return value


def _secret(value: str) -> str:
    if not _SECRET.fullmatch(value):
        raise fault("must be a secret's name", "Write a name such as SERP_API_KEY, never the value")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = bool(parts.hostname) and parts.scheme in ("http", "https")
        valid = valid and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or any(c.isspace() or not c.isprintable() for c in value):
        raise fault("must be a URL", "Write https://host/path")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise fault("must not hold a user, password or query", "Name a secret instead")
    return value


def _host(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError:
        if _HOST.fullmatch(value):
            return value
    raise fault("must be a host's name", "Write api.example.com: no scheme, port, path or *")


def _host_pattern(value: str) -> str:
    bare = value.removeprefix("*.")
    # `*.com` would be half the internet: a wildcard stands before two labels at least.
    if not _HOST.fullmatch(bare) or (bare != value and "." not in bare):
        raise fault("must be a host's name", "Write api.example.com or *.example.com")
    return value


def is_loopback(host: str) -> bool:
    """Whether the host's name can only mean this machine."""
    # The whole address: `127.evil.example` is a name that anybody may own.
    address = re.fullmatch(r"127(\.[0-9]{1,3}){3}", host)
    return host in ("localhost", "::1") or host.endswith(".localhost") or address is not None


Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["10m"]}),
]
Bytes = Annotated[
    int,
    BeforeValidator(size_bytes),
    WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$", "examples": ["512MiB"]}),
]
Name = Annotated[str, AfterValidator(_name)]
SecretName = Annotated[str, AfterValidator(_secret)]
Url = Annotated[str, AfterValidator(_url)]
Host = Annotated[str, AfterValidator(_host)]
HostPattern = Annotated[str, AfterValidator(_host_pattern)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
