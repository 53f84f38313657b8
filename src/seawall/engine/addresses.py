"""Picks a /16 for a mesh's networks that nothing on this machine uses."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
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


def free(project: str, docker: Docker) -> IPv4Network:
    """The first candidate that neither a Docker network nor a route of this machine overlaps.

    Raises:
        OperatorError: all are taken.
    """
    taken = [*_of_docker(docker, project), *_of_routes()]
    for candidate in candidates(project):
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    fault = f"10.{FIRST}.0.0 to 10.{FIRST + COUNT - 1}.0.0 are all in use"
    raise OperatorError(
        "networks", fault, "Remove networks that nobody needs: docker network prune"
    )


def _of_docker(docker: Docker, project: str) -> list[IPv4Network]:
    ids = docker.ask("network", "ls", "--quiet").split()
    if not ids:
        return []
    shape = (
        '{{index .Labels "com.docker.compose.project"}} {{range .IPAM.Config}}{{.Subnet}} {{end}}'
    )
    found = []
    for line in docker.ask("network", "inspect", "--format", shape, *ids).splitlines():
        owner, *subnets = line.split(" ")
        found += [] if owner == project else [_network(s) for s in subnets if "." in s]
    return [network for network in found if network is not None]


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
