"""A mesh as Docker knows it: its containers, and the folder it was laid in. Needs no spec."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seawall.errors import OperatorError
from seawall.render.compose import DEFINITION, SECRETS_VOLUME
from seawall.wire import places

from . import mounted, remote
from .docker import Docker

STATE = "state.json"
PROJECT_LABEL = "com.docker.compose.project"
MADE_BY_COMPOSE = "com.docker.compose.config-hash"
"""A label that containers have alone. Compose puts those of project and service on the images that
it builds too, so that whatever is started from one by hand has them and is no part of the mesh."""


@dataclass(frozen=True)
class Container:
    """One container of a mesh."""

    id: str
    service: str
    replica: int
    image: str
    state: str
    """`ready` when healthy, else Docker's word: starting, unhealthy, restarting, exited, …"""
    since: str
    """As Docker words it: `Up 3 minutes`."""
    definition: str = ""
    """The digest of what its service was when it was made."""


@dataclass(frozen=True)
class Project:
    """One mesh on one Docker engine. `name` is its name there."""

    name: str
    spec_folder: Path
    docker: Docker = field(default_factory=Docker)

    @property
    def home(self) -> Path:
        """Where it is laid."""
        return self.spec_folder / ".seawall" / "compose" / self.name

    def containers(self) -> list[Container]:
        """What there is of it, stopped containers too, by service and replica."""
        rows = self.docker.rows("ps", "--all", "--no-trunc", *self._mine(MADE_BY_COMPOSE))
        found = [container(row) for row in rows]
        return sorted(found, key=lambda c: (c.service, c.replica))

    def required(self) -> list[Container]:
        """Its containers. Raises OperatorError when there are none."""
        if found := self.containers():
            return found
        fault = f"the mesh {self.name} does not run here"
        raise OperatorError("docker", fault, "Start it with `seawall up`")

    def down(self, *, volumes: bool = False) -> None:
        """Remove containers, networks and secret files; with `volumes` all that the mesh knows."""
        if (self.home / "compose.yaml").is_file():
            args = ["down", "--remove-orphans", *(["--volumes"] if volumes else [])]
            for _ in self.compose(*args):
                pass
        self._sweep(volumes=volumes)
        mounted.remove(self.home / "secrets")

    def _sweep(self, *, volumes: bool) -> None:
        """What Compose leaves: all of it, when the folder is lost or the file cannot be read."""
        kept = () if volumes else (SECRETS_VOLUME,)
        for list_, remove in (
            (("ps", "--all", *self._mine(MADE_BY_COMPOSE)), ("rm", "--force", "--volumes")),
            (("network", "ls", *self._mine()), ("network", "rm")),
            (("volume", "ls", *self._mine(*kept)), ("volume", "rm")),
        ):
            if ids := self.docker.ask(*list_, "--quiet").split():
                self.docker.ask(*remove, *ids)

    def _mine(self, *labels: str) -> list[str]:
        """The filters that find what is this mesh's, and has some labels besides."""
        chosen = (f"{PROJECT_LABEL}={self.name}", *labels)
        return [word for label in chosen for word in ("--filter", f"label={label}")]

    def logs(
        self, services: list[str], *, tail: str, follow: bool, prefix: bool = True
    ) -> Iterator[str]:
        """What containers say, of some services or of all; with `prefix`, which of them says it."""
        self.required()
        more = [*(["--follow"] if follow else []), *([] if prefix else ["--no-log-prefix"])]
        return self.compose("logs", "--tail", tail, *more, *services)

    def published(self) -> str | None:
        """Where the door is published on the engine's machine, as host:port; None when it is not.

        Raises:
            OperatorError: the mesh does not run.
        """
        door = self.door_container()
        said = self.docker.ask("port", door.id, f"{places.DOOR_PORT}/tcp", check=False).split()
        return said[0] if said else None

    def door_container(self) -> Container:
        """The door. Raises OperatorError when the mesh does not run."""
        found = [c for c in self.required() if c.service == "door"]
        if found and found[0].state in ("ready", "starting", "running"):
            return found[0]
        fault = f"the door of {self.name} is {found[0].state if found else 'not there'}"
        raise OperatorError("door", fault, "`seawall up` starts it again")

    def door_token(self) -> str:
        """The token that the door asks for. Raises OperatorError when there is none here."""
        return mounted.door_token(self.home / "secrets")

    @asynccontextmanager
    async def reach_door(self) -> AsyncIterator[tuple[str, str]]:
        """The door's URL from here, and the token. Raises OperatorError when nothing runs."""
        door = self.door_container()
        token, address = self.door_token(), self.published()
        if address and self.docker.is_here():
            host, _, port = address.rpartition(":")
            yield f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}", token  # noqa: S104 - not bound here
            return
        async with remote.tunnel(self.docker, door.id) as url:
            yield url, token

    def state(self) -> dict[str, Any]:
        """What the last `up` chose; empty before the first."""
        file = self.home / STATE
        try:
            found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        except ValueError:
            return {}
        return found

    def compose(self, *args: str) -> Iterator[str]:
        """Run `docker compose` on the laid project, line by line. Raises OperatorError."""
        file = str(self.home / "compose.yaml")
        return self.docker.lines("compose", "--progress", "plain", "--project-name", self.name,
                                 "--file", file, *args)  # fmt: skip


_HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)")
_HEALTH_WORDS = {"healthy": "ready", "health: starting": "starting"}


def container(row: dict[str, Any]) -> Container:
    """A row of `docker ps --format json`."""
    labels = dict(label.partition("=")[::2] for label in str(row.get("Labels", "")).split(","))
    status = str(row.get("Status", ""))
    health = _HEALTH.search(status)
    word = health[1] if health and row.get("State") == "running" else str(row.get("State", ""))
    return Container(
        id=str(row.get("ID", "")),
        service=labels.get("com.docker.compose.service", ""),
        replica=int(labels.get("com.docker.compose.container-number") or 1),
        image=str(row.get("Image", "")),
        state=_HEALTH_WORDS.get(word, word),
        since=_HEALTH.sub("", status).strip(),
        definition=labels.get(DEFINITION, ""),
    )
