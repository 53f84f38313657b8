"""A mesh that lives on: keys are rotated without a restart, and it comes back after a reboot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import harness
import pytest
from guarded import CANARY, Guarded, started
from test_health import until


@pytest.fixture(scope="module")
def living(team: harness.Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A mesh with a provider behind TLS, its own agents at work."""
    with started(team, tmp_path_factory.mktemp("living")) as made:
        yield made


def every(mesh: harness.Mesh) -> list[str]:
    """The ids of all of a mesh's containers, stopped ones too."""
    chosen = harness.of_project(mesh.project)
    return harness.docker("ps", "--all", "--quiet", *chosen).stdout.split()


def lives(mesh: harness.Mesh) -> dict[str, str]:
    """Each container and since when it runs."""
    seen: list[dict[str, Any]] = json.loads(harness.docker("inspect", *every(mesh)).stdout)
    return {found["Id"]: found["State"]["StartedAt"] for found in seen}


def is_healthy(container: str) -> bool:
    said = harness.docker("inspect", "--format", "{{.State.Health.Status}}", container)
    return said.stdout.strip() == "healthy"


def key_of_next_call(living: Guarded) -> str:
    before = len(living.asked())
    assert "You said: hello" in living.mesh.ask("hello").stdout
    return str(living.asked()[before]["key"])


@pytest.mark.parametrize("command", [("secrets", "--refresh"), ("up",)], ids=" ".join)
def test_a_key_changed_at_its_source_is_in_the_next_call_and_nothing_is_restarted(
    living: Guarded, command: tuple[str, ...]
) -> None:
    before = lives(living.mesh)
    new = f"{CANARY}-by-{command[0]}"
    assert key_of_next_call(living) != hashlib.sha256(new.encode()).hexdigest()
    (living.mesh.folder / "house.key").write_text(new)
    said = living.mesh.seawall(*command)
    assert CANARY not in said.stdout + said.stderr
    assert key_of_next_call(living) == hashlib.sha256(new.encode()).hexdigest()
    assert lives(living.mesh) == before


def test_after_a_reboot_the_mesh_answers_with_its_keys_and_without_up(living: Guarded) -> None:
    """As a reboot does it: all end at once, and all start at once, in no order."""
    (living.mesh.folder / "house.key").unlink()  # nobody is asked for a key at boot
    key = key_of_next_call(living)
    before, containers = lives(living.mesh), every(living.mesh)
    harness.docker("stop", *containers)
    assert living.mesh.containers("keeper") == []
    harness.docker("start", *containers)
    until(lambda: all(is_healthy(c) for c in containers), "all are ready, and nobody ran `up`", 90)
    assert key_of_next_call(living) == key
    after = lives(living.mesh)
    assert after.keys() == before.keys()
    assert not set(after.items()) & set(before.items())
    policies = harness.docker(
        "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", *containers
    )
    assert set(policies.stdout.split()) == {"unless-stopped"}, "Docker starts them by itself"
