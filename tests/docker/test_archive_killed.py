"""A keeper that dies while it archives: after its restart no run is lost, and none is there twice.

It dies at three named moments by `_exit`, which is all that a process notices of `kill -9`; then by
`kill -9` itself at whatever moment it is at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import harness
import pytest
from test_health import restarts, until
from test_life_cycle import SOLO

from seawall.engine.compose import UpOptions
from seawall.plan.model import Plan
from seawall.wire.profiles import KeeperPolicy

DIE = "/tmp/die"
RUNS = 8

PROGRAM = f"""\
import os, pathlib
from seawall.keeper.archive import Archive
from seawall.keeper.store import Store
write, run = Archive.write, Store.run

def at(moment):
    die = pathlib.Path({DIE!r})
    if die.exists() and die.read_text().strip() == moment:
        os._exit(137)

def halfway(lines):
    for line in lines:
        yield line
        at("half a file is written")

def writing(self, name, lines):
    write(self, name, halfway(lines))
    at("the file is whole, the broker not told")

async def running(self, script, *args, **more):
    done = await run(self, script, *args, **more)
    if script == "archive":
        at("the broker has forgotten it")
    return done

Archive.write, Store.run = writing, running
from seawall.containers.keeper import main
main()
"""


@pytest.fixture(scope="module")
def mesh(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Mesh]:
    mesh = harness.write(tmp_path_factory.mktemp("killed"), SOLO, f"killed-{os.getpid()}")
    try:
        harness.engine(mesh, soon_archived).up(UpOptions(offline=True))
        mesh.reprogram({"keeper": PROGRAM})
        yield mesh
    finally:
        mesh.remove()


def soon_archived(plan: Plan) -> Plan:
    """The plan with a keeper that archives ten seconds after a run's end."""
    workloads = []
    for workload in plan.workloads:
        profile = workload.profile
        if isinstance(profile, KeeperPolicy):
            limits = profile.limits.model_copy(update={"archive_after_seconds": 10.0})
            profile = profile.model_copy(update={"limits": limits})
        workloads.append(workload.model_copy(update={"profile": profile}))
    return plan.model_copy(update={"workloads": tuple(workloads)})


def asked(mesh: harness.Mesh) -> dict[str, str]:
    """Runs that have just ended, each with what it was asked."""
    asked = {mesh.door("/v1/runs", {"input": f"n{n}"})["run"]: f"n{n}" for n in range(RUNS)}
    for run in asked:
        until(lambda run=run: mesh.door(f"/v1/runs/{run}")["state"] == "done", "it ends")  # type: ignore[misc]
    return asked


def archived(mesh: harness.Mesh) -> list[str]:
    found = mesh.exec("keeper", "ls", "/data").stdout.split()
    return [name.removesuffix(".jsonl.gz") for name in found if name.endswith(".jsonl.gz")]


def answers(mesh: harness.Mesh) -> bool:
    try:
        return bool(mesh.door("/v1/health")["ok"])
    except OSError:
        return False


def all_there_once(mesh: harness.Mesh, asked: dict[str, str]) -> None:
    until(lambda: answers(mesh), "the keeper is back")
    for run in asked:
        assert mesh.door(f"/v1/runs/{run}")["state"] == "done", "found before it is archived, too"
    until(lambda: set(asked) <= set(archived(mesh)), "all are archived")
    listed = [view["run"] for view in mesh.door("/v1/runs")]
    assert {run: listed.count(run) for run in asked} == dict.fromkeys(asked, 1)
    for run, question in asked.items():
        (task,) = mesh.door(f"/v1/runs/{run}/tasks")
        assert task["output"] == f"heard {question}"
        events = mesh.door(f"/v1/runs/{run}/events")
        ids = [event["id"] for event in events]
        assert ids == sorted(set(ids), key=ids.index), "no event twice"
        assert [event["kind"] for event in events].count("run.done") == 1
    until(lambda: not remembered(mesh, asked), "the broker's memory is free of them")


def remembered(mesh: harness.Mesh, asked: dict[str, str]) -> list[str]:
    tasks = mesh.exec("broker", "redis-cli", "--scan", "--pattern", "*task:*").stdout
    return [run for run in asked if run in tasks]


@pytest.mark.parametrize(
    "moment",
    [
        "half a file is written",
        "the file is whole, the broker not told",
        "the broker has forgotten it",
    ],
)
def test_a_keeper_that_dies_while_archiving_loses_and_doubles_nothing(
    mesh: harness.Mesh, moment: str
) -> None:
    keeper = mesh.container("keeper")
    before = restarts(keeper)
    runs = asked(mesh)
    harness.docker("exec", keeper, "sh", "-c", f"echo '{moment}' > {DIE}")
    # The file is on a tmpfs, so that the keeper dies once.
    until(lambda: restarts(keeper) == before + 1, f"it dies when {moment}")
    all_there_once(mesh, runs)


def test_kill_9_at_any_moment_of_archiving_loses_and_doubles_nothing(mesh: harness.Mesh) -> None:
    keeper = mesh.container("keeper")
    runs = asked(mesh)
    until(lambda: set(runs) & set(archived(mesh)), "it archives", 30)
    before = restarts(keeper)
    pid = harness.docker("inspect", "--format", "{{.State.Pid}}", keeper).stdout.strip()
    # Not `docker kill`: a container that was sent a signal is not restarted.
    harness.docker("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "sh",
                   harness.BASE_IMAGE, "-c", f"kill -9 {pid}")  # fmt: skip
    until(lambda: restarts(keeper) == before + 1, "Docker starts it again")
    all_there_once(mesh, runs)
