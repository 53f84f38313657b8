"""Secrets of tools on the embedded engine: headers for a server by URL, files for a program.

A model never sees either; a tool by command sees its own files alone, in a folder that only the
person may enter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from seawall.errors import OperatorError
from seawall.plan.model import Plan
from seawall.wire.profiles import BridgeProfile, UrlTool

from . import secrets


@dataclass(frozen=True)
class Given:
    """What a tool is given; no value shows when it is printed."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Sent with each request to a server by URL."""
    folder: Path | None = None
    """Where a program finds a file for each of its secrets."""


@contextmanager
def given_to(plan: Plan, profile: BridgeProfile, spec_folder: Path) -> Iterator[Given]:
    """A tool's secrets while the context lasts; then its files are gone.

    Raises:
        OperatorError: naming the secret that is missing, and the tool that wants it.
    """
    identity = f"tool/{profile.tool}"
    by_name = {secret.name: secret for secret in plan.secrets}
    if isinstance(profile.source, UrlTool):
        found = {}
        for link in plan.links:
            key = link.credential
            if link.source == identity and key is not None and key.header is not None:
                value = _resolved(plan, key.secret, profile.tool, spec_folder)
                found[key.header] = key.prefix + value
        yield Given(headers=found)
        return
    wanted = [name for name, secret in by_name.items() if identity in secret.readers]
    if not wanted:
        yield Given()
        return
    values = {name: _resolved(plan, name, profile.tool, spec_folder) for name in wanted}
    with tempfile.TemporaryDirectory(prefix="seawall-secrets-") as folder:  # made with mode 0700
        for name, value in values.items():
            path = Path(folder) / name
            path.touch(mode=0o600)
            path.write_text(value, "utf-8")
        yield Given(folder=Path(folder))


def not_enforced(plan: Plan) -> str | None:
    """What of the plan this engine cannot hold a tool's own code to; None when nothing."""
    open_ones = sorted(
        {
            link.source
            for link in plan.links
            if link.source.startswith("tool/")
            and link.target.startswith(("outside/", "service/"))
            and not _by_url(plan, link.source)
        }
    )
    if not open_ones:
        return None
    return (
        f"egress of {', '.join(open_ones)} is not enforced by `seawall dev`, and its credentials "
        "are not added: a tool's own code reaches whatever you can reach"
    )


def _by_url(plan: Plan, identity: str) -> bool:
    """A tool by URL: our own side calls it, and adds its credential."""
    sources = {f"tool/{profile.tool}": profile.source for profile in plan.bridges()}
    return isinstance(sources.get(identity), UrlTool)


def _resolved(plan: Plan, name: str, tool: str, folder: Path) -> str:
    secret = next(secret for secret in plan.secrets if secret.name == name)
    try:
        return secrets.resolve(secret, folder)
    except OperatorError as error:
        fault = f"the tool {tool} needs it, and {error.fault}"
        raise OperatorError(error.place, fault, error.remedy) from None
