"""Finds secrets on the host, where the spec says they are. No message holds a value."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from seawall.errors import OperatorError
from seawall.plan.model import Plan, Secret
from seawall.wire.profiles import AgentProfile, ModelProfile

COMMAND_SECONDS_MAX = 30
SECRET_BYTES_MAX = 64 * 1024


def model_keys(plan: Plan, folder: Path) -> dict[str, str]:
    """The key of every model in use, by the secret's name.

    Raises:
        OperatorError: a key is missing; says both ways out.
    """
    wanted: dict[str, str] = {}
    for workload in plan.agents():
        if isinstance(workload.profile, AgentProfile):
            wanted |= _secrets_of(workload.profile.model)
    by_name = {secret.name: secret for secret in plan.secrets}
    return {
        name: _model_key(by_name.get(name) or Secret.from_env(name), ref, folder)
        for name, ref in wanted.items()
    }


def _secrets_of(model: ModelProfile) -> dict[str, str]:
    found = {model.secret: model.ref} if model.secret else {}
    for fallback in model.fallbacks:
        found |= _secrets_of(fallback)
    return found


def _model_key(secret: Secret, ref: str, folder: Path) -> str:
    try:
        return resolve(secret, folder)
    except OperatorError as error:
        raise OperatorError(
            f"secrets/{secret.name}",
            f"the key for {ref} is missing: {error.fault}",
            f"{error.remedy}; or use --offline, which needs no key",
        ) from None


def resolve(secret: Secret, folder: Path) -> str:
    """The secret's value, without a final newline.

    Raises:
        OperatorError: it is not there, or empty.
    """
    place = f"secrets/{secret.name}"
    if secret.env is not None:
        value = os.environ.get(secret.env, "")
        fault, remedy = f"{secret.env} is not set", f"Set {secret.env}"
    elif secret.file is not None:
        value = _read(place, folder / secret.file)
        fault, remedy = f"{secret.file} is empty", f"Put the value into {secret.file}"
    else:
        value = _run(place, secret.command, folder)
        fault, remedy = "its command printed nothing", "Run the command by hand to see why"
    if not value.strip():
        raise OperatorError(place, fault, remedy)
    return value.strip("\r\n")


def _read(place: str, path: Path) -> str:
    try:
        if path.stat().st_size > SECRET_BYTES_MAX:
            raise OperatorError(place, f"{path} is too large for a secret", "Name another file")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        fault = f"{path} cannot be read: {reason}"
        raise OperatorError(place, fault, "Name a readable file") from None


def _run(place: str, command: tuple[str, ...], folder: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        fault = f"its command failed: {type(error).__name__}"
        raise OperatorError(place, fault, "Run the command by hand to see why") from None
    if done.returncode:
        # Not what it printed: that may hold the secret.
        fault = f"its command ended with exit code {done.returncode}"
        raise OperatorError(place, fault, "Run the command by hand to see why")
    return done.stdout
