"""Secrets as files for containers: a folder for each that is given some, and the door's token.

The folder above them is the person's alone (0700); inside it, files are readable, for the
containers' users are not the person.
"""

from __future__ import annotations

import hashlib
import os
import secrets as random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from seawall.errors import OperatorError
from seawall.plan.model import Plan
from seawall.render.topology import service_name
from seawall.wire import places

from . import secrets

OWN_TOKEN = "door-token"  # noqa: S105 - a file's name
TOKEN_VARIABLE = "SEAWALL_DOOR_TOKEN"  # noqa: S105 - a variable's name
"""The door's token where several people or machines share a mesh; else `up` makes one."""

Keys = Mapping[str, Mapping[str, str]]
"""Service to its secrets, by name."""


def resolve(plan: Plan, folder: Path) -> dict[str, dict[str, str]]:
    """Every secret of the plan, for whoever is given it.

    Raises:
        OperatorError: naming every secret that is missing.
    """
    found: dict[str, dict[str, str]] = {}
    missing: list[OperatorError] = []
    for secret in plan.secrets:
        if not secret.readers:
            continue
        try:
            value = secrets.resolve(secret, folder)
        except OperatorError as error:
            missing.append(error)
            continue
        for reader in secret.readers:
            found.setdefault(_service(reader), {})[secret.name] = value
    if missing:
        raise _all_missing(missing)
    return found


def _all_missing(missing: list[OperatorError]) -> OperatorError:
    """One message that names each, so that one round of mending is enough."""
    if len(missing) == 1:
        only = missing[0]
        return OperatorError(only.place, only.fault, f"{only.remedy}; {_OFFLINE}")
    lines = "".join(f"\n  {e.place.removeprefix('secrets/')}: {e.fault}" for e in missing)
    remedy = f"{'; '.join(e.remedy for e in missing)}; {_OFFLINE}"
    return OperatorError("secrets", f"{len(missing)} are missing:{lines}", remedy)


_OFFLINE = "or use --offline, which needs no key"


def _service(reader: str) -> str:
    """`gateway of agent/x` is the service `gateway-agent-x`."""
    owner, of, rest = reader.partition(" of ")
    return f"{owner}-{service_name(rest)}" if of else service_name(reader)


def write(folder: Path, keys: Keys) -> None:
    """Make `folder` hold these secrets and the door's token; gateways see a new value at once."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    wanted = with_door(folder, keys)
    for service, values in wanted.items():
        home = folder / service
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        for name, value in values.items():
            _put(home / name, value, 0o444)
        for old in home.iterdir():
            if old.name not in values:
                old.unlink()
    for old in folder.iterdir():
        if old.is_dir() and old.name not in wanted:
            shutil.rmtree(old)


def with_door(folder: Path, keys: Keys) -> dict[str, dict[str, str]]:
    """The secrets, with what the keeper knows of the door's token; makes one unless there is."""
    token = folder / OWN_TOKEN
    given = os.environ.get(TOKEN_VARIABLE)
    if given or not token.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _put(token, given or random.token_urlsafe(32), 0o600)
    hashed = hashlib.sha256(token.read_text("utf-8").encode()).hexdigest()
    keeper = {**keys.get("keeper", {}), places.DOOR_TOKEN: hashed}
    return {**{service: dict(values) for service, values in keys.items()}, "keeper": keeper}


def door_token(folder: Path) -> str:
    """The token that the door asks for. Raises OperatorError when there is none here."""
    if given := os.environ.get(TOKEN_VARIABLE):
        return given
    try:
        return (folder / OWN_TOKEN).read_text("utf-8")
    except OSError:
        fault = "there is no token for it here"
        remedy = f"Run this where `seawall up` was run, or set {TOKEN_VARIABLE}"
        raise OperatorError("door", fault, remedy) from None


def remove(folder: Path) -> None:
    """Leave no secret behind."""
    shutil.rmtree(folder, ignore_errors=True)


def _put(path: Path, value: str, mode: int) -> None:
    """Whole or not at all, and only when it differs: a rename is what gateways look for."""
    if path.is_file() and path.read_text("utf-8") == value:
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(value)
    Path(name).chmod(mode)
    Path(name).replace(path)
