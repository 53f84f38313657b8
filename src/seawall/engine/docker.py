"""Runs the docker command line, and says in words what went wrong. Knows nothing of meshes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seawall.errors import OperatorError

TAIL_LINES = 15
QUERY_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Docker:
    """One engine, as the docker client reaches it; `context` is one of its named contexts."""

    context: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, *args: str) -> list[str]:
        """The whole command line of one call."""
        chosen = ["--context", self.context] if self.context else []
        return ["docker", *chosen, *args]

    def ask(self, *args: str, check: bool = True) -> str:
        """Run a command that answers soon; its output. Raises OperatorError when it fails."""
        self._found()
        try:
            done = subprocess.run(
                self.command(*args),
                capture_output=True,
                text=True,
                timeout=QUERY_SECONDS_MAX,
                check=False,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise OperatorError("docker", f"`docker {args[0]}` did not answer") from None
        if check and done.returncode:
            raise failure(args, done.stderr.splitlines() or done.stdout.splitlines())
        return done.stdout

    def rows(self, *args: str) -> list[dict[str, Any]]:
        """Run a command with `--format json`; one object a line, or one list of them."""
        text = self.ask(*args, "--format", "json").strip()
        if text.startswith("["):
            rows: list[dict[str, Any]] = json.loads(text)
            return rows
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def lines(self, *args: str, folder: Path | None = None) -> Iterator[str]:
        """Run a long command and yield what it says, line by line. Raises OperatorError."""
        self._found()
        said: list[str] = []
        with subprocess.Popen(
            self.command(*args),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            cwd=folder,
            env={**os.environ, **self.env},
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                said = [*said[-TAIL_LINES:], line.rstrip()]
                yield line.rstrip()
            code = process.wait()
        if code:
            raise failure(args, said)

    def _found(self) -> None:
        if shutil.which("docker") is None:
            fault = "the docker command is not installed"
            raise OperatorError("docker", fault, "Install Docker, or use `seawall dev`")


def failure(args: Sequence[str], said: Sequence[str]) -> OperatorError:
    """What a failed command's last words mean, with a remedy where one is known."""
    text = "\n".join(line for line in said if line.strip()).strip()
    words = text[-1500:] or "it said nothing"
    known = {
        "Cannot connect to the Docker daemon": "Start Docker, or choose another --context",
        "permission denied while trying to connect": "Run as a user who may use Docker",
        "is already in use": "Stop what uses it, or choose another name",
        "port is already allocated": "Choose another port: `door: {port: …}` in seawall.yaml",
        "address already in use": "Choose another port: `door: {port: …}` in seawall.yaml",
        "Pool overlaps": "Another network has the same addresses; run `seawall up` again",
        "no space left on device": "Free disk space: `docker system df` shows what uses it",
    }
    remedy = next((r for sign, r in known.items() if sign.lower() in words.lower()), "")
    verb = " ".join(a for a in args[:6] if not a.startswith("-") and "/" not in a)
    return OperatorError(f"docker {verb}", words.rstrip("."), remedy)
