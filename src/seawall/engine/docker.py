"""Runs the docker command line, and says in words what went wrong. Knows nothing of meshes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seawall.errors import OperatorError

TAIL_LINES = 15
QUERY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
"""How long a command that is interrupted may take to tidy up after itself."""


@dataclass(frozen=True)
class Docker:
    """One engine, as the docker client reaches it; `context` is one of its named contexts."""

    context: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, *args: str) -> list[str]:
        """The whole command line of one call."""
        chosen = ["--context", self.context] if self.context else []
        return ["docker", *chosen, *args]

    def ask(self, *args: str, check: bool = True, given: str = "") -> str:
        """Run a command that answers soon; its output. `given` is what it reads.

        Raises:
            OperatorError: it failed (unless not `check`), or did not answer.
        """
        self._found()
        try:
            done = subprocess.run(
                self.command(*args),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=QUERY_SECONDS_MAX,
                check=False,
                env={**os.environ, **self.env},
                input=given,
            )
        except subprocess.TimeoutExpired:
            remedy = "See whether the engine is well: `docker info`"
            raise OperatorError("docker", f"`docker {args[0]}` did not answer", remedy) from None
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

    def lines(self, *args: str) -> Iterator[str]:
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
            env={**os.environ, **self.env},
            process_group=0,  # Ctrl-C reaches it through us, and once
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            try:
                for line in process.stdout:
                    said = [*said[-TAIL_LINES:], line.rstrip()]
                    yield line.rstrip()
                code = process.wait()
            except BaseException:
                _interrupt(process)
                raise
        if code:
            raise failure(args, said)

    def info(self) -> dict[str, Any]:
        """What the engine says of itself. Raises OperatorError when none answers."""
        told: dict[str, Any] = json.loads(self.ask("info", "--format", "json"))
        if errors := told.get("ServerErrors"):
            raise failure(("info",), [str(error) for error in errors])
        return told

    def is_here(self) -> bool:
        """Whether the engine sees this machine's files: it is reached by a socket, and its own
        name is this machine's (a virtual machine's or another container's engine is not).
        """
        host = self.env.get("DOCKER_HOST") or (not self.context and os.environ.get("DOCKER_HOST"))
        if not host:
            host = self.ask("context", "inspect", *([self.context] if self.context else []),
                            "--format", "{{.Endpoints.docker.Host}}").strip()  # fmt: skip
        if not host.startswith("unix://"):
            return False
        return self.ask("info", "--format", "{{.Name}}").strip() == socket.gethostname()

    def _found(self) -> None:
        if shutil.which("docker") is None:
            fault = "the docker command is not installed"
            raise OperatorError("docker", fault, "Install Docker, or use `seawall dev`")


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Ask a command to end, as Ctrl-C does, and see that it has."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=STOP_SECONDS_MAX)
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()


_PORT = "Stop what listens there, or choose another: `door: {port: …}` in seawall.yaml"
REMEDIES = {
    "cannot connect to the docker daemon": "Start Docker, or choose another --context",
    "failed to connect to the docker api": "Start Docker, or choose another --context",
    "context not found": "`docker context ls` lists those that there are",
    "error during connect": "See whether the context's machine is up: `docker context ls`",
    "permission denied while trying to connect": "Run as a user who may use Docker",
    "port is already allocated": _PORT,
    "address already in use": _PORT,
    "is already in use": "Stop what uses it, or choose another --name",
    "pool overlaps": "`seawall down`, then `seawall up`: it takes addresses that are free",
    "no space left on device": "Free disk space: `docker system df` shows what uses it",
    "certificate verify failed": "Name your site's CAs: `build: {ca_bundle: FILE}` in seawall.yaml",
    "certificate_verify_failed": "Name your site's CAs: `build: {ca_bundle: FILE}` in seawall.yaml",
    "manifest unknown": "Push the images first: `seawall build --push REGISTRY`",
    "unauthorized": "`docker login` to the registry",
}
"""A sign in what Docker says (in lower case), and what mends it."""


def failure(args: Sequence[str], said: Sequence[str]) -> OperatorError:
    """What a failed command's last words mean, with a remedy where one is known."""
    words = "\n".join(line for line in said if line.strip()).strip()[-1500:] or "it said nothing"
    verb = " ".join(a for a in args[:6] if a[:1] != "-" and not {"/", "="} & set(a))
    return OperatorError(f"docker {verb}", words.rstrip(".?"), mended_by(words))


def mended_by(words: str) -> str:
    """What mends the fault that these words tell of; empty when nobody knows."""
    return next((r for sign, r in REMEDIES.items() if sign in words.lower()), "")
