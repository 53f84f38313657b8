"""A mesh's life on a real engine: up again, an edit, scale, plan, logs, render, down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest

SOLO = {
    "seawall.yaml": """\
seawall: 1
name: solo
main: only
defaults: {model: "anthropic:claude-sonnet-4-5"}
agents:
  only: {instructions: Answer.}
script: offline.yaml
""",
    "offline.yaml": 'agents: {only: {turns: [{say: "heard {{ input }}"}]}}\n',
}
"""The least mesh: one agent."""


@pytest.fixture
def solo(engine: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[harness.Mesh]:
    """A mesh of a test's own, not started, and gone afterwards."""
    number = abs(hash(request.node.nodeid)) % 10_000
    mesh = harness.write(tmp_path, SOLO, f"life-{os.getpid()}-{number}")
    try:
        yield mesh
    finally:
        mesh.remove()


def there(mesh: harness.Mesh) -> dict[str, list[str]]:
    """What Docker still has of a mesh, by kind."""
    label = f"label=com.docker.compose.project={mesh.project}"
    lists = {
        "containers": ("ps", "--all"),
        "networks": ("network", "ls"),
        "volumes": ("volume", "ls"),
    }
    return {
        kind: harness.docker(*words, "--quiet", "--filter", label).stdout.split()
        for kind, words in lists.items()
    }


def by_service(mesh: harness.Mesh) -> dict[str, list[str]]:
    rows = json.loads(mesh.seawall("ps", "--json").stdout)
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["service"], []).append(row["id"])
    return found


def plan(mesh: harness.Mesh, *args: str) -> list[dict[str, str]]:
    told = json.loads(mesh.seawall("plan", "--running", "--json", *args).stdout)
    changes: list[dict[str, str]] = told["changes"]
    return changes


def test_up_again_changes_nothing_and_an_edit_replaces_only_what_it_touches(
    team: harness.Mesh,
) -> None:
    before = by_service(team)
    done = team.seawall("up", "--offline")
    assert "nothing had changed" in done.stdout
    assert done.stderr == ""
    assert by_service(team) == before

    spec = team.folder / "seawall.yaml"
    text = spec.read_text()
    try:
        # Never said before: an image of an earlier run would be used again, and nothing be built.
        spec.write_text(text.replace("Count.", f"Count as of {time.time()}."))
        change = {"service": "agent-worker", "action": "recreate",
                  "why": "profile changed: instructions"}  # fmt: skip
        assert plan(team) == [change]
        told = team.seawall("up", "--offline").stderr
        assert "building 1 of 9 images" in told
        assert "replaced agent-worker: profile changed: instructions" in told
        assert len(told.splitlines()) <= 4
        after = by_service(team)
        assert {s for s in before if before[s] != after[s]} == {"agent-worker"}
    finally:
        spec.write_text(text)
        team.seawall("up", "--offline")


def test_a_changed_seccomp_profile_is_seen_though_compose_does_not_look(team: harness.Mesh) -> None:
    labels = team.inspect("keeper")["Config"]["Labels"]
    assert len(labels["seawall.definition"]) == 16


def test_a_container_started_by_hand_from_an_image_of_the_mesh_is_no_part_of_it(
    team: harness.Mesh,
) -> None:
    """Compose puts its labels of project and service on images; such a container inherits them."""
    before = by_service(team)
    name, image = f"{team.project}-by-hand", team.inspect("models")["Config"]["Image"]
    harness.docker("run", "--detach", "--name", name, "--entrypoint", "sleep", image, "600")
    try:
        assert by_service(team) == before
        assert plan(team, "--offline") == []
        assert "nothing had changed" in team.seawall("up", "--offline").stdout
    finally:
        harness.docker("rm", "--force", name)


def test_scale_adds_replicas_that_take_work_and_up_returns_to_the_file(team: harness.Mesh) -> None:
    kept = by_service(team)
    done = team.seawall("scale", "worker=3")
    assert "3 replicas ready" in done.stdout
    assert "seawall.yaml's 2" in done.stdout
    assert len(by_service(team)["agent-worker"]) == 3
    assert set(kept["agent-worker"]) < set(by_service(team)["agent-worker"])
    assert plan(team) == [
        {"service": "agent-worker", "action": "scale",
         "why": "3 replicas run, seawall.yaml says 2"}
    ]  # fmt: skip
    assert "scaled agent-worker" in team.seawall("up", "--offline").stderr
    assert len(by_service(team)["agent-worker"]) == 2


def test_ps_fits_80_columns_and_counts_replicas(team: harness.Mesh) -> None:
    shown = team.seawall("ps", columns=80).stdout
    assert max(map(len, shown.splitlines())) <= 80
    row = next(line for line in shown.splitlines() if line.startswith("agent-worker"))
    assert row.split()[1:5] == ["2", "of", "2", "ready"]


def test_logs_take_an_agents_or_a_tools_name(team: harness.Mesh) -> None:
    for name, service in (("worker", "agent-worker"), ("tool/text", "tool-text")):
        lines = team.seawall("logs", name).stdout.splitlines()
        assert all(line.startswith(service) for line in lines)
    assert "broker-1" in team.seawall("logs", "broker", "--tail", "5").stdout
    done = team.seawall("logs", "nobody", check=False)
    assert done.returncode == 3
    assert "agent-lead" in done.stderr


def test_doctor_finds_this_machine_fit(engine: None, tmp_path: Path) -> None:
    mesh = harness.Mesh(tmp_path, "none")
    done = mesh.plain("doctor", "--json")
    assert done.returncode == 0, done.stdout
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)}
    assert states["reverse path filter"] == "ok"


def test_what_is_rendered_runs_without_seawall_and_beside_the_first(
    team: harness.Mesh, tmp_path: Path
) -> None:
    name = f"life-{os.getpid()}-copy"
    copy = harness.Mesh(team.folder, name)
    out = tmp_path / "out"
    copy.seawall("render", "compose", "--offline", "-o", str(out))
    try:
        shell(out, "sh make-secrets && docker compose --progress quiet up --detach --build --wait")
        token = (out / "secrets" / "door-token").read_text()
        assert (out / "secrets").stat().st_mode & 0o777 == 0o700
        ask = """\
        door=$(docker compose port door 8443)
        curl -sf --oauth2-bearer "$(cat secrets/door-token)" "http://$door/v1/runs" \
            -H 'content-type: application/json' -d '{"input": "one two"}'
        """
        assert json.loads(shell(out, ask))["input"] == "one two"
        assert token not in shell(out, "docker compose config")
        refused = shell(out, 'curl -s "http://$(docker compose port door 8443)/v1/runs"')
        assert "token" in refused
        assert "The worker says: 2 words" in team.ask("one two").stdout
    finally:
        shell(out, "docker compose --progress quiet down --volumes")


def shell(folder: Path, script: str) -> str:
    done = subprocess.run(["sh", "-euc", script], cwd=folder, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_down_leaves_no_container_network_or_secret_and_asks_before_it_forgets(
    solo: harness.Mesh,
) -> None:
    told = solo.seawall("up", "--offline")
    assert "5 containers ready" in told.stdout or "6 containers ready" in told.stdout
    assert len(told.stderr.splitlines()) <= 10
    assert "heard me" in solo.ask("me").stdout

    # A spec that has faults by now is no reason to leave a mesh running.
    (solo.folder / "seawall.yaml").write_text("seawall: 2\n")
    assert solo.seawall("down", "--volumes", check=False).returncode == 3
    solo.seawall("down")
    left = there(solo)
    assert (left["containers"], left["networks"]) == ([], [])
    assert left["volumes"]
    secrets = solo.folder / ".seawall" / "compose" / solo.project / "secrets"
    assert not secrets.exists()
    shutil.rmtree(solo.folder / ".seawall")
    solo.seawall("down", "--volumes", "--yes")
    assert there(solo)["volumes"] == []
