"""Picks a /16 for a mesh's networks that nothing on this machine uses."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Network, ip_network

from seawall.errors import OperatorError

from .docker import Docker

FIRST, COUNT = 64, 64
"""10.64.0.0 to 10.127.0.0: Docker's own pools and most people's networks are elsewhere."""


def candidates(project: str) -> Iterable[IPv4Network]:
    """Every /16 that may be taken, the project's own first."""
    start = int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big")
    for step in range(COUNT):
        yield IPv4Network(f"10.{FIRST + (start + step) % COUNT}.0.0/16")


def free(project: str, docker: Docker, last: IPv4Network | None = None) -> IPv4Network:
    """The first candidate that neither a Docker network nor a route of this machine overlaps;
    `last`, the one that the project had before, comes first.

    Raises:
        OperatorError: all are taken.
    """
    taken = _of_routes()
    for _, owner, at in _networks(docker):
        if owner != project:
            taken.append(at)
        elif last and last.overlaps(at):
            return last
    for candidate in [*([last] if last else []), *candidates(project)]:
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    fault = f"10.{FIRST}.0.0 to 10.{FIRST + COUNT - 1}.0.0 are all in use"
    raise OperatorError(
        "networks", fault, "Remove networks that nobody needs: docker network prune"
    )


def clashing(project: str, docker: Docker, within: IPv4Network) -> list[str]:
    """The names of other people's Docker networks that have addresses of `within`."""
    found = _networks(docker)
    return sorted({n for n, owner, at in found if owner != project and at.overlaps(within)})


def _networks(docker: Docker) -> Iterator[tuple[str, str, IPv4Network]]:
    """Every Docker network's name, its project, and each of its subnets."""
    ids = docker.ask("network", "ls", "--quiet").split()
    if not ids:
        return
    shape = (
        '{{.Name}} {{index .Labels "com.docker.compose.project"}} '
        "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    )
    # A network that goes away in between is no fault.
    for line in docker.ask("network", "inspect", "--format", shape, *ids, check=False).splitlines():
        name, owner, *subnets = line.split(" ")
        for subnet in subnets:
            if (at := _network(subnet)) is not None:
                yield name, owner, at


def _of_routes() -> list[IPv4Network]:
    """What this machine reaches by other ways; nothing where `ip` is not there to ask."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["ip", "-4", "route", "show"], capture_output=True, text=True, timeout=5, check=False
        )
        words = (line.split()[0] for line in done.stdout.splitlines() if line.split())
        found = (_network(word) for word in words if word != "default")
        return [network for network in found if network is not None]
    return []


def _network(text: str) -> IPv4Network | None:
    with suppress(ValueError):
        network = ip_network(text, strict=False)
        return network if isinstance(network, IPv4Network) else None
    return None
