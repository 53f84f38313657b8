"""A mesh on a real Docker Engine, as tests see it: started by the command line, seen by exec.

The mesh's models are scripted (`--offline`), or a fake provider in a container of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seawall.engine.compose import ComposeEngine
from seawall.plan.compile import compile_plan
from seawall.plan.model import Plan
from seawall.spec.load import load
from seawall.spec.sources import read

BASE_IMAGE = "seawall-test-base:trixie"
HERE = Path(__file__).parent
CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
UP_SECONDS_MAX = 900
Done = subprocess.CompletedProcess[str]


def docker(*args: str, check: bool = True, timeout: float = 120, stdin: str = "") -> Done:
    """Run the docker command line."""
    done = subprocess.run(
        ["docker", *args], capture_output=True, text=True, check=False, timeout=timeout, input=stdin
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(args)}: {done.stdout}{done.stderr}")
    return done


def of_project(project: str, *labels: str) -> list[str]:
    """Filters for a project's containers, and not for those started by hand from its images: these
    have all labels but the first.
    """
    chosen = ("com.docker.compose.config-hash", f"com.docker.compose.project={project}", *labels)
    return [word for label in chosen for word in ("--filter", f"label={label}")]


def missing() -> str | None:
    """Why tests with Docker cannot run on this machine; None when they can."""
    try:
        done = docker("info", "--format", "{{.ServerVersion}}", check=False, timeout=20)
        compose = docker("compose", "version", "--short", check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "needs a Docker Engine; none answers"
    if done.returncode or int(done.stdout.partition(".")[0] or 0) < 28:
        return f"needs Docker Engine 28 or newer; there is {done.stdout.strip() or 'none'}"
    return "needs Docker Compose v2" if compose.returncode else None


def overlay() -> str:
    """What the tests lay over every spec (`--env test`): the base made here, and the site's CAs."""
    ca = next((path for path in CA_FILES if Path(path).is_file()), None)
    build = f"build: {{ca_bundle: {json.dumps(ca)}}}\n" if ca else ""
    return f"images: {{base: {json.dumps(BASE_IMAGE)}}}\n{build}"


@dataclass(frozen=True)
class Mesh:
    """One spec's folder, and the mesh it makes on the engine."""

    folder: Path
    name: str

    @property
    def project(self) -> str:
        """Its name in Docker."""
        return f"seawall-{self.name}"

    @property
    def home(self) -> Path:
        """Where its project is laid."""
        return self.folder / ".seawall" / "compose" / self.project

    def seawall(
        self,
        command: str,
        *args: str,
        check: bool = True,
        timeout: float = UP_SECONDS_MAX,
        columns: int = 200,
    ) -> Done:
        """Run one command of Seawall's on this mesh."""
        done = subprocess.run(
            self.line(command, *args), cwd=self.folder, capture_output=True, text=True,
            check=False, timeout=timeout, env=os.environ | {"COLUMNS": str(columns)},
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(
                f"seawall {command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def line(self, command: str, *args: str) -> list[str]:
        """The whole line of one command of Seawall's on this mesh."""
        return [sys.executable, "-m", "seawall.cli.main", command, "--env", "test",
                "--name", self.name, *args]  # fmt: skip

    def plain(self, *args: str) -> Done:
        """Run a command that needs no spec."""
        line = [sys.executable, "-m", "seawall.cli.main", *args]
        return subprocess.run(line, cwd=self.folder, capture_output=True, text=True, check=False,
                              timeout=120, stdin=subprocess.DEVNULL)  # fmt: skip

    def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        chosen = of_project(self.project, f"com.docker.compose.service={service}")
        found = docker("ps", "--quiet", *chosen)
        return found.stdout.split()

    def container(self, service: str) -> str:
        """The id of a service's first container."""
        return self.containers(service)[0]

    def exec(
        self, service: str, *command: str, user: str | None = None, timeout: float = 60
    ) -> Done:
        """Run a command in a service's container, as its own user unless told otherwise."""
        as_user = ["--user", user] if user else []
        return docker("exec", *as_user, self.container(service), *command,
                      check=False, timeout=timeout)  # fmt: skip

    def python(self, service: str, code: str, *, timeout: float = 60) -> Done:
        """Run Python in a service's container."""
        return self.exec(service, "python3", "-c", code, timeout=timeout)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's first container."""
        found: list[dict[str, Any]] = json.loads(docker("inspect", self.container(service)).stdout)
        return found[0]

    def ask(self, question: str, *args: str, check: bool = True, timeout: float = 120) -> Done:
        """`seawall run`."""
        return self.seawall("run", *args, question, check=check, timeout=timeout)

    def door(self, path: str, message: Any = None) -> Any:
        """One request of a person's; what it answers. Raises OSError, HTTPError among it."""
        where = docker("port", self.container("door"), "8443").stdout.split()[0]
        token = (self.home / "secrets" / "door-token").read_text()
        body = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(f"http://{where}{path}", body)
        request.add_header("authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def reprogram(self, programs: Mapping[str, str]) -> None:
        """Start services anew with Python of a test's own; all else of them stays as it is."""
        over = self.folder / "over.yaml"
        # Compose reads `$` as the start of a variable.
        started = {service: {"entrypoint": ["python3", "-c", program.replace("$", "$$")]}
                   for service, program in programs.items()}  # fmt: skip
        over.write_text(json.dumps({"services": started}))
        docker(
            "compose", "--project-name", self.project, "--file", str(self.home / "compose.yaml"),
            "--file", str(over), "up", "--detach", "--no-build", "--no-deps", "--wait", *programs,
            timeout=120,
        )  # fmt: skip

    def remove(self) -> None:
        """Take everything away, whatever state it is in."""
        self.seawall("down", "--volumes", "--yes", check=False)


def heeding_interrupts() -> None:
    """A shell that runs something in the background has it ignore SIGINT, and children inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write(folder: Path, files: dict[str, str], name: str) -> Mesh:
    """A mesh from files by path; not started."""
    for path, text in {**files, "seawall.test.yaml": overlay()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Mesh(folder, name)


def make_base() -> None:
    """Make the base image unless it is there."""
    done: Sequence[str] = [str(HERE / "make_base"), BASE_IMAGE]
    subprocess.run(done, check=True, timeout=600)


def engine(mesh: Mesh, changed: Callable[[Plan], Plan] = lambda plan: plan) -> ComposeEngine:
    """The engine of a mesh, for what the command line does not let a test change."""
    spec = load(mesh.folder / "seawall.yaml", "test")
    return ComposeEngine(
        plan=changed(compile_plan(spec, read(spec))), spec_folder=mesh.folder, name=mesh.project,
        script=spec.script, ca_bundle=spec.build.ca_bundle,
    )  # fmt: skip
