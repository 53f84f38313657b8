"""Runs the attacks of `inside.py` in containers of a mesh, and knows where everything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import harness

INSIDE = (Path(__file__).parent / "inside.py").read_text()


def attack(container: str, name: str, *arguments: Any, timeout: float = 120) -> Any:
    """The outcome of one attack, in a container by its id or name."""
    line = ("exec", "-i", container, "python3", "-", name, json.dumps(arguments))
    return json.loads(harness.docker(*line, stdin=INSIDE, timeout=timeout).stdout)


def services(mesh: harness.Mesh, *options: str) -> dict[str, str]:
    """Every service of a mesh and its first container; with `--all` those that do not run, too."""
    shape = '{{.Label "com.docker.compose.service"}} {{.ID}}'
    chosen = harness.of_project(mesh.project)
    rows = harness.docker("ps", *options, *chosen, "--format", shape).stdout.splitlines()
    return dict(row.split() for row in sorted(rows, reverse=True))


def addresses(mesh: harness.Mesh) -> dict[str, dict[str, str]]:
    """Service to its addresses by network, without the project's name."""
    found = {}
    for service, container in services(mesh).items():
        seen = json.loads(harness.docker("inspect", container).stdout)[0]
        networks = seen["NetworkSettings"]["Networks"]
        found[service] = {n.partition("_")[2]: a["IPAddress"] for n, a in networks.items()}
    return found
