"""Reads a project's lock, `pylock.toml`, as the lines of a requirements file.

The form is PEP 751's, which uv, pip and PDM write from pyproject.toml. Knows nothing of the spec.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from .requirements import LineFault

_NAME = re.compile(r"pylock(\.[^.]+)?\.toml")
_OTHERS = ("pyproject.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock")
_EXPORT = "`uv export --format pylock.toml --no-emit-project -o pylock.toml`"
_ALGORITHMS = ("sha256", "sha384", "sha512")
"""Those that pip takes in a requirements file."""


def is_lock(path: str) -> bool:
    """Whether a file's name says that it is such a lock."""
    return _NAME.fullmatch(path.rpartition("/")[2]) is not None


def as_requirements(path: str, text: str) -> tuple[str, list[LineFault]]:
    """The lock's packages as lines, and what cannot be; any other file's text as it is.

    Wheels alone: to build a package is to run its author's code.
    """
    name = path.rpartition("/")[2]
    if name in _OTHERS:
        remedy = f"Write {_EXPORT}, and name that file"
        return "", [LineFault(1, f"{name} is in its tool's own form", remedy)]
    if not is_lock(path):
        return text, []
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return "", [LineFault(1, f"is not TOML: {error}", f"Write it with {_EXPORT}")]
    version = str(document.get("lock-version", ""))
    if version.partition(".")[0] != "1":
        return "", [LineFault(1, f"has lock-version {version or 'none'}, not 1", "Lock it anew")]
    lines, faults = [], []
    for package in document.get("packages", ()):
        line, fault = _line(package)
        lines.append(line)
        faults += [LineFault(_where(text, package), fault, _remedy(package))] if fault else []
    return "".join(f"{line}\n" for line in lines if line), faults


def _line(package: dict[str, Any]) -> tuple[str, str]:
    """One package as a line, or why it cannot be one."""
    name, version = package.get("name"), package.get("version")
    if not name or not version or not package.get("wheels"):
        return "", f"{name or 'a package'} has no wheel of a published version"
    hashes = sorted({
        f"--hash={kind}:{digest}"
        for wheel in package["wheels"]
        for kind, digest in wheel.get("hashes", {}).items()
        if kind in _ALGORITHMS
    })  # fmt: skip
    marker = f" ; {package['marker']}" if package.get("marker") else ""
    return " ".join([f"{name}=={version}{marker}", *hashes]), ""


def _remedy(package: dict[str, Any]) -> str:
    if "directory" in package:
        return f"Write it with {_EXPORT}: modules beside `functions:` come along by themselves"
    return "Depend on a version that is published with wheels"


def _where(text: str, package: dict[str, Any]) -> int:
    """The line that names a package, as well as it can be told."""
    wanted = f'name = "{package.get("name")}"'
    return next((n for n, line in enumerate(text.splitlines(), 1) if line.strip() == wanted), 1)
