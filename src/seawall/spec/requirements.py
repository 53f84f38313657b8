"""Reads a requirements file: exact versions with hashes, and nothing that changes where pip looks.

The form is pip's (https://pip.pypa.io/en/stable/reference/requirements-file-format/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[A-Za-z0-9._, -]*\])?\s*==\s*"
    r"(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*(;(?P<marker>[^#]*?))?\s*$"
)
_HASH = re.compile(r"\s--hash[= ]sha(256|384|512):[0-9a-f]{64,128}(?=\s|$)")
REMEDY = "Write it with `uv pip compile --generate-hashes` or `uv export`"


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one version."""

    name: str
    """As PEP 503 normalises it."""
    version: str


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong in a line."""

    line: int
    fault: str
    remedy: str = REMEDY


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(text: str, *, unhashed: bool) -> tuple[list[Pin], list[LineFault]]:
    """The packages that every machine gets, and every fault; `unhashed` allows lines without hash.

    A package with a marker (`; python_version < "3.12"`) may or may not be installed: not listed.
    """
    pins, faults = [], []
    for number, line in _lines(text):
        bare = _HASH.sub(" ", line).strip()
        if bare.startswith("-"):
            fault = f"the option {bare.split('=')[0].split()[0]} is not allowed in requirements"
            faults.append(LineFault(number, fault, "Remove it; `build:` says how images are built"))
            continue
        found = _PIN.fullmatch(bare)
        if found is None:
            faults.append(LineFault(number, "is not pinned as name==version"))
        elif not unhashed and not _HASH.search(line):
            faults.append(LineFault(number, f"{found['name']} has no hash", _or_allow()))
        elif not found["marker"]:
            pins.append(Pin(normal(found["name"]), found["version"]))
    return pins, faults


def _or_allow() -> str:
    return f"{REMEDY}, or set allow_unhashed_requirements: true"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines without comments, each with the number of its first line."""
    start, parts = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        plain = re.sub(r"(^|\s)#.*$", "", line)
        parts.append(plain.removesuffix("\\"))
        if plain.endswith("\\"):
            continue
        whole = " ".join(parts).strip()
        if whole:
            yield start, whole
        start, parts = 0, []
    whole = " ".join(parts).strip()
    if whole:
        yield start, whole
