"""The engine for Docker Compose: applies exactly what was rendered, and lets Compose reconcile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from seawall.errors import OperatorError
from seawall.plan.model import Plan
from seawall.render.compose import ComposeOptions, render
from seawall.render.files import Rendered
from seawall.render.topology import topology
from seawall.wire import places

from . import addresses, folder, mounted, package
from .docker import Docker

STATE = "state.json"
READY_SECONDS_MAX = 180
TAIL_LINES = 12


@dataclass(frozen=True)
class UpOptions:
    """What a person chose on the command line."""

    offline: bool = False
    build: bool = True
    registry: str = ""
    tell: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True)
class ComposeEngine:
    """One mesh on one Docker engine. `project` is its name there."""

    plan: Plan
    spec_folder: Path
    project: str
    docker: Docker = field(default_factory=Docker)
    ca_bundle: str | None = None
    script: str | None = None
    door_port: int | None = None
    door_address: str = "127.0.0.1"

    @property
    def home(self) -> Path:
        """Where the project is laid."""
        return self.spec_folder / ".seawall" / "compose" / self.project

    def rendered(self, options: UpOptions) -> Rendered:
        """The project's files, with the addresses it has or may have here."""
        chosen = ComposeOptions(
            project=self.project,
            within=self._within(),
            registry=options.registry,
            offline=options.offline,
            ca_bundle=self.ca_bundle,
            door_port=self.door_port,
            door_address=self.door_address,
        )
        return render(self.plan, chosen, package.code())

    def lay(self, home: Path, options: UpOptions) -> None:
        """Write the project into a folder, for an engine that knows nothing of Seawall."""
        folder.lay(self.rendered(options), home, self.spec_folder)

    def services(self) -> set[str]:
        """The names of the mesh's services."""
        shape = topology(self.plan, next(iter(addresses.candidates(self.project))))
        return {service.name for service in shape.services}

    def up(self, options: UpOptions) -> None:
        """Build what is missing, start, and return when every agent can take work.

        Raises:
            OperatorError: something this machine lacks, a build that failed, a service that did
                not come up. What was started stays, for `logs`; `down` removes it.
        """
        if options.offline and self.script is None:
            raise OperatorError(
                "seawall.yaml: script",
                "--offline needs a script, and the spec names none",
                "Add `script: FILE`, or drop --offline to use real models",
            )
        keys = {} if options.offline else mounted.resolve(self.plan, self.spec_folder)
        options.tell("files")
        made = self.rendered(options)
        folder.lay(made, self.home, self.spec_folder)
        mounted.write(self.home / "secrets", keys)
        self._remember(made)
        if options.build:
            self.build(options.tell)
        self._start(options.tell)

    def build(self, tell: Callable[[str], None]) -> None:
        """Build the images that this engine does not have; their names say what is in them."""
        wanted = self.images()
        have = self.docker.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        missing = [service for service, image in wanted.items() if image not in have]
        if not missing:
            return
        tell(f"building {len(missing)} of {len(wanted)} images")
        for line in self._compose("build", *missing, progress="plain"):
            step = line.partition("[")[2].partition("]")[0]
            if step and line.startswith("#"):
                tell(f"building {step}")

    def images(self) -> dict[str, str]:
        """Service to image, as Compose reads the project."""
        text = self.docker.ask(*self._base(), "config", "--format", "json")
        services = json.loads(text)["services"]
        return {name: str(service["image"]) for name, service in services.items()}

    def down(self, *, volumes: bool = False) -> None:
        """Remove containers, networks and secret files; with `volumes` all that the mesh knows."""
        args = ["down", "--remove-orphans", *(["--volumes"] if volumes else [])]
        if (self.home / "compose.yaml").is_file():
            for _ in self._compose(*args):
                pass
        else:
            for _ in self.docker.lines("compose", "--project-name", self.project, *args):
                pass
        mounted.remove(self.home / "secrets")

    def ps(self) -> list[dict[str, Any]]:
        """The project's containers, stopped ones too."""
        return self.docker.rows("compose", "--project-name", self.project, "ps", "--all")

    def scale(self, service: str, replicas: int) -> None:
        """Have so many replicas of one service; returns when they are ready."""
        wait = ("--wait", "--wait-timeout", str(READY_SECONDS_MAX))
        only = ("--no-recreate", "--no-build", "--no-deps", "--scale", f"{service}={replicas}")
        for _ in self._compose("up", "--detach", *wait, *only, service):
            pass

    def door(self) -> tuple[str, str]:
        """The door's URL and the token that opens it. Raises OperatorError when nothing runs."""
        remedy = "Start the mesh with `seawall up`"
        try:
            said = self.docker.ask(*self._base(), "port", "door", str(places.DOOR_PORT))
        except OperatorError:
            said = ""
        address = said.strip().splitlines()
        if not address or address[0].endswith(":0"):
            raise OperatorError("door", f"the mesh {self.project} does not run here", remedy)
        return f"http://{address[0]}", mounted.door_token(self.home / "secrets")

    def _within(self) -> IPv4Network:
        state = self.home / STATE
        if state.is_file():
            return IPv4Network(json.loads(state.read_text("utf-8"))["within"])
        return addresses.free(self.project, self.docker)

    def _remember(self, made: Rendered) -> None:
        text = made.files["compose.yaml"]
        within = next(line for line in text.splitlines() if "subnet" in line)
        network = IPv4Network(within.partition('"')[2].partition('"')[0]).supernet(new_prefix=16)
        (self.home / STATE).write_text(json.dumps({"within": str(network)}) + "\n", "utf-8")

    def _start(self, tell: Callable[[str], None]) -> None:
        tell("starting")
        args = ("up", "--detach", "--remove-orphans", "--no-build", "--wait",
                "--wait-timeout", str(READY_SECONDS_MAX))  # fmt: skip
        ready, seen = 0, 0
        try:
            for line in self._compose(*args):
                seen += line.rstrip().endswith("Waiting")
                ready += line.rstrip().endswith("Healthy")
                if seen:
                    tell(f"starting: {ready} of {seen} ready")
        except OperatorError as error:
            remedy = "`seawall logs SERVICE` tells more, `seawall down` removes what was started"
            raise OperatorError("seawall up", self._why(error), remedy) from None

    def _why(self, error: OperatorError) -> str:
        """What is not up, with its last words."""
        told = [line for line in error.fault.splitlines() if "rror" in line][-1:]
        for row in self.ps():
            state = row.get("Health") or row.get("State")
            if state in ("healthy", "starting", "created"):
                continue
            log = self.docker.ask("logs", "--tail", str(TAIL_LINES), str(row["ID"]), check=False)
            last = log.strip().splitlines()[-1:] or ["(no log)"]
            told.append(f"{row['Service']} is {state}: {last[0][:300]}")
        return "\n".join(told) if told else error.fault

    def _base(self) -> list[str]:
        file = str(self.home / "compose.yaml")
        return ["compose", "--project-name", self.project, "--file", file]

    def _compose(self, *args: str, progress: str = "plain") -> Iterator[str]:
        base = self._base()
        return self.docker.lines(base[0], "--progress", progress, *base[1:], *args)
