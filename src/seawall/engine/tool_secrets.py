"""Secrets of tools on the embedded engine: headers for a server by URL, files for a program.

A model never sees either; a tool by command sees its own files alone, in a folder that only the
person may enter.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from seawall.errors import OperatorError
from seawall.plan.model import Credential, Plan, Secret
from seawall.wire.profiles import BridgeProfile, UrlTool

from . import secrets

REMOVE_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Given:
    """What a tool is given; no value shows when it is printed."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Sent with each request to a server by URL."""
    folder: Path | None = None
    """Where a program finds a file for each of its secrets."""


# $1 is the folder. The pipe at end of file means that our process is gone, however it went.
_REMOVER = 'read -r _; rm -rf -- "$1"'


@contextmanager
def given_to(plan: Plan, profile: BridgeProfile, spec_folder: Path) -> Iterator[Given]:
    """A tool's secrets while the context lasts; then its files are gone, after kill -9 as well.

    Raises:
        OperatorError: naming the secret that is missing or unfit, and all who want it.
    """
    identity = f"tool/{profile.tool}"
    if isinstance(profile.source, UrlTool):
        keys = [k.credential for k in plan.links if k.source == identity and k.credential]
        yield Given(headers={k.header: _header(plan, k, spec_folder) for k in keys if k.header})
        return
    wanted = [secret for secret in plan.secrets if identity in secret.readers]
    if not wanted:
        yield Given()
        return
    values = {secret.name: _resolved(secret, spec_folder) for secret in wanted}
    with _private_folder() as folder:
        for name, value in values.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(value, "utf-8")
        yield Given(folder=folder)


@contextmanager
def _private_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="seawall-secrets-") as name:  # made with mode 0700
        # A session of its own: Ctrl-C at the terminal must not end it before it has done its work.
        remover = subprocess.Popen(
            ["/bin/sh", "-c", _REMOVER, "sh", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield Path(name)
        finally:
            if remover.stdin:
                remover.stdin.close()
            remover.wait(timeout=REMOVE_SECONDS_MAX)


def _header(plan: Plan, key: Credential, folder: Path) -> str:
    secret = next(secret for secret in plan.secrets if secret.name == key.secret)
    value = key.prefix + _resolved(secret, folder)
    # Checked here: the HTTP library's own refusal would quote the value.
    if not (value.isascii() and value.isprintable()):
        fault = "it cannot be a header: it has a line break, or a character outside ASCII"
        raise OperatorError(f"secrets/{key.secret}", fault, "Give the value alone, on one line")
    return value


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


def _resolved(secret: Secret, folder: Path) -> str:
    try:
        return secrets.resolve(secret, folder)
    except OperatorError as error:
        fault = f"{' and '.join(secret.readers)} cannot have it: {error.fault}"
        raise OperatorError(error.place, fault, error.remedy) from None
