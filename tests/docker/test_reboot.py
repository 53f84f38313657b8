"""What only an engine of a test's own can show: a reboot, in order or by a power cut; and a machine
that is unfit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
from guarded import CANARY, SPEC, Guarded, certificates
from second_engine import SecondEngine, missing
from test_health import until
from test_life_cycle import SOLO
from test_living import every, is_healthy, key_of_next_call, lives

KEY = hashlib.sha256(CANARY.encode()).hexdigest()


@pytest.fixture(scope="module")
def second(
    engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SecondEngine, Guarded]]:
    """A mesh with a provider behind TLS, on an engine that holds nothing else."""
    if reason := missing():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("reboot")
    made = Guarded(harness.write(place / "mesh", SPEC, "reboot"), place / "certs")
    folder = Path("/var/tmp/seawall-reboot")  # a socket's path has 107 letters at most
    folder.mkdir(exist_ok=True)
    second = SecondEngine(folder)
    try:
        second.start()
        certificates(made.certs)
        (made.mesh.folder / "ca.pem").write_bytes((made.certs / "ca.pem").read_bytes())
        scripted = harness.write(place / "scripted", SOLO, "reboot-scripted")
        models = built(scripted, "--offline")["models"]
        second.take(models, *built(made.mesh).values())
        with second.chosen():
            made.start(models)
            # The provider is somebody else's machine: here it has to come back with this one.
            harness.docker("update", "--restart", "unless-stopped", made.provider)
        yield second, made
    finally:
        second.remove()
        shutil.rmtree(folder, ignore_errors=True)


def built(mesh: harness.Mesh, *args: str) -> dict[str, str]:
    """Service to image, on the first engine: the second could fetch nothing."""
    found: dict[str, str] = json.loads(mesh.seawall("build", "--json", *args).stdout)
    return found


@pytest.mark.parametrize("way", ["shut_down", "cut_power"])
def test_a_mesh_survives_a_reboot_with_its_keys_and_runs_and_nobody_runs_up(
    second: tuple[SecondEngine, Guarded], way: str
) -> None:
    engine, made = second
    with engine.chosen():
        assert key_of_next_call(made) == KEY
        key_file = made.mesh.folder / "house.key"
        key_file.unlink()  # nobody is asked for it at boot
        known = {run["run"]: run["output"] for run in made.door("/v1/runs")}
        before, containers = lives(made.mesh), every(made.mesh)
        asked = made.run()
    getattr(engine, way)()
    engine.start()
    with engine.chosen():
        until(lambda: all(map(is_healthy, containers)), "all are ready again", 120)
        assert lives(made.mesh).keys() == before.keys()
        assert not set(lives(made.mesh).items()) & set(before.items())
        # What was under way goes on when its lease has run out; what had ended is as it was.
        until(lambda: made.door(f"/v1/runs/{asked}")["ended"], "the run goes on", 120)
        view = made.door(f"/v1/runs/{asked}")
        told = [(event["kind"], event["data"]) for event in made.door(f"/v1/runs/{asked}/events")]
        assert view["state"] == "done", "\n".join(map(str, [view["failure"], *told]))
        assert {run["run"]: run["output"] for run in made.door("/v1/runs")}.items() >= known.items()
        assert key_of_next_call(made) == KEY
    key_file.write_text(CANARY)


def test_a_machine_that_lets_isolated_containers_reach_it_is_refused(
    second: tuple[SecondEngine, Guarded],
) -> None:
    engine, made = second
    engine.filter_packets(0)
    try:
        with engine.chosen():
            doctor = made.mesh.plain("doctor")
            up = made.mesh.seawall("up", check=False)
    finally:
        engine.filter_packets(2)
    assert (doctor.returncode, up.returncode) == (3, 3)
    for told in (doctor.stdout, up.stderr):
        assert "rp_filter is 0" in told
        assert "sysctl -w net.ipv4.conf.all.rp_filter=2" in told
    with engine.chosen():
        assert made.mesh.plain("doctor").returncode == 0
