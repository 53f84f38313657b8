"""Meshes on a real Docker Engine. Without one these tests skip; in CI a skip is a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
from guarded import Guarded, started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs Docker, and may have to build images first."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker Engine that answers, with the base image on it."""
    reason = harness.missing()
    if reason:
        pytest.skip(reason)
    harness.make_base()


TEAM = {
    "seawall.yaml": """\
seawall: 1
name: team
main: lead
defaults: {model: "anthropic:claude-sonnet-4-5"}
budgets: {run: {usd: 1}}
agents:
  lead: {instructions: Delegate., delegates: [worker]}
  worker: {instructions: Count., replicas: 2, tools: [text/measure]}
tools:
  text: {functions: tools/text.py}
script: offline.yaml
""",
    "tools/text.py": """\
from seawall import tool


@tool
def measure(text: str) -> str:
    "How many words a text has."
    return f"{len(text.split())} words"
""",
    "offline.yaml": """\
agents:
  lead:
    turns:
      - call: [{tool: delegate_worker, args: {task: "{{ input }}"}}]
      - say: "The worker says: {{ last[0].text }}"
  worker:
    turns:
      - call: [{tool: measure, args: {text: "{{ input }}"}}]
      - say: "{{ last[0].text }}"
""",
}
"""Two agents and a tool: everything a mesh has, and nothing more."""


@pytest.fixture(scope="session")
def team(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Mesh]:
    """A small mesh that runs, offline, for tests that only look at it."""
    mesh = harness.write(tmp_path_factory.mktemp("team"), TEAM, f"team-{os.getpid()}")
    try:
        mesh.seawall("up", "--offline")
        yield mesh
    finally:
        mesh.remove()


@pytest.fixture(scope="session")
def guarded(team: harness.Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A mesh whose models are behind TLS, and intruders where its agents were."""
    with started(team, tmp_path_factory.mktemp("guarded")) as made:
        made.answer = made.mesh.ask("hello there").stdout
        made.replace_agents()
        yield made
