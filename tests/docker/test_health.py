"""Alive but stuck, on a real engine: who makes no progress is ended, its task is answered all the
same, and who only takes long is left alone.

The mesh is like any other, but its limits are lower: the plan's profiles are changed before `up`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import harness
import pytest

from seawall.engine.compose import ComposeEngine, UpOptions
from seawall.plan.compile import compile_plan
from seawall.plan.model import Plan
from seawall.spec.load import load
from seawall.spec.sources import read
from seawall.wire.profiles import AgentProfile, KeeperPolicy, Watch

LEASE_SECONDS = 3.0
WATCH = Watch(silence_seconds=9, pause_seconds=9)
LONG_SECONDS = 14
"""Longer than every limit of the watchdog's."""

FILES = {
    "seawall.yaml": """\
seawall: 1
name: health
main: worker
defaults: {model: "anthropic:claude-sonnet-4-5"}
budgets: {run: {usd: 1}}
agents:
  worker: {instructions: Wait., replicas: 2, tools: [clock/wait]}
tools:
  clock: {functions: tools/clock.py, timeout: 20m}
script: offline.yaml
""",
    "tools/clock.py": """\
import time

from seawall import tool


@tool
def wait(seconds: str) -> str:
    "Waits."
    time.sleep(float(seconds))
    return f"waited {seconds} s"
""",
    "offline.yaml": """\
agents:
  worker:
    turns:
      - call: [{tool: wait, args: {seconds: "{{ input }}"}}]
      - say: "Done: {{ last[0].text }}"
""",
}

HOLD = "/tmp/hold"
SITECUSTOMIZE = f"""\
import threading, time, pathlib

def hold():
    while not pathlib.Path({HOLD!r}).exists():
        time.sleep(0.1)
    import re
    re.match("(a+)+$", "a" * 64 + "b")  # one call in C that never ends and never lets the lock go

threading.Thread(target=hold, daemon=True, name="holder").start()
"""


@dataclass
class Run:
    """A question that is being answered, and all that happens meanwhile."""

    mesh: harness.Mesh
    question: str
    done: harness.Done | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        self.done = self.mesh.ask(self.question, "--json", check=False)
        self.seconds = time.monotonic() - self.started

    def events(self) -> list[dict[str, Any]]:
        """Wait for the end; everything that happened."""
        self._thread.join(120)
        assert self.done, "no answer in two minutes"
        assert self.done.returncode == 0, self.done.stdout + self.done.stderr
        return [json.loads(line) for line in self.done.stdout.splitlines() if line.startswith("{")]

    def answer(self) -> str:
        return str(next(e["data"]["output"] for e in self.events() if e["kind"] == "run.done"))

    def reasons(self) -> list[str]:
        return [e["data"]["reason"] for e in self.events() if e["kind"] == "task.redelivered"]


@pytest.fixture(scope="module")
def mesh(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Mesh]:
    mesh = harness.write(tmp_path_factory.mktemp("health"), FILES, f"health-{os.getpid()}")
    spec = load(mesh.folder / "seawall.yaml", "test")
    plan = quick(compile_plan(spec, read(spec)))
    made = ComposeEngine(
        plan=plan, spec_folder=mesh.folder, name=mesh.project, script=spec.script,
        ca_bundle=spec.build.ca_bundle,
    )  # fmt: skip
    hooked = f"{mesh.project}-hooked"
    try:
        made.up(UpOptions(offline=True))
        hook(mesh, made.images()["agent-worker"], hooked)
        yield mesh
    finally:
        mesh.remove()
        harness.docker("image", "rm", "--force", hooked, check=False)


def quick(plan: Plan) -> Plan:
    """The plan with short leases and a watchdog that soon loses its patience."""
    workloads = []
    for workload in plan.workloads:
        profile = workload.profile
        if isinstance(profile, AgentProfile):
            profile = profile.model_copy(update={"watch": WATCH})
        if isinstance(profile, KeeperPolicy):
            limits = profile.limits.model_copy(update={"lease_seconds": LEASE_SECONDS})
            profile = profile.model_copy(update={"limits": limits, "watch": WATCH})
        workloads.append(workload.model_copy(update={"profile": profile}))
    return plan.model_copy(update={"workloads": tuple(workloads)})


def hook(mesh: harness.Mesh, image: str, hooked: str) -> None:
    """Give the agents a way to be hung: their own image and one module that Python starts with."""
    folder = mesh.folder / "hooked"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nCOPY --chmod=0444 sitecustomize.py /seawall/lib/\n"
    )
    harness.docker("build", "--quiet", "--tag", hooked, str(folder), timeout=300)
    project = mesh.folder / ".seawall" / "compose" / mesh.project
    over = folder / "over.yaml"
    over.write_text(f"services: {{agent-worker: {{image: {hooked}}}}}\n")
    harness.docker(
        "compose", "--project-name", mesh.project, "--file", str(project / "compose.yaml"),
        "--file", str(over), "up", "--detach", "--no-build", "--no-deps", "--wait",
        "agent-worker", timeout=120,
    )  # fmt: skip


def until(true: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not in {seconds} s: {what}")


def doing(container: str) -> str:
    """What the agent in a container says that it does."""
    return harness.docker("exec", container, "cat", "/tmp/seawall-health", check=False).stdout


def busy(mesh: harness.Mesh) -> str:
    """The container that is calling the tool."""

    def found() -> str | None:
        return next((c for c in mesh.containers("agent-worker") if "wait" in doing(c)), None)

    return str(until(found, "a replica that calls the tool"))


def healthy(container: str) -> bool:
    """What HEALTHCHECK says, asked now: Docker asks it once in half a minute."""
    said = harness.docker("inspect", "--format", "{{json .Config.Healthcheck.Test}}", container)
    return (
        harness.docker("exec", container, *json.loads(said.stdout)[1:], check=False).returncode == 0
    )


def restarts(container: str) -> int:
    return int(harness.docker("inspect", "--format", "{{.RestartCount}}", container).stdout)


def log(container: str) -> str:
    done = harness.docker("logs", container)
    return done.stdout + done.stderr


def test_a_call_longer_than_every_limit_is_no_false_alarm(mesh: harness.Mesh) -> None:
    run = Run(mesh, str(LONG_SECONDS))
    container = busy(mesh)
    assert "tool call wait" in doing(container)
    while run.done is None:
        assert healthy(container)
        time.sleep(1)
    assert run.answer() == f"Done: waited {LONG_SECONDS} s"
    assert run.reasons() == []
    assert [restarts(c) for c in mesh.containers("agent-worker")] == [0, 0]


def test_a_held_interpreter_lock_is_ended_with_all_stacks_and_the_task_is_answered(
    mesh: harness.Mesh,
) -> None:
    run = Run(mesh, "5")
    container = busy(mesh)
    held = time.monotonic()
    harness.docker("exec", container, "touch", HOLD)
    assert run.answer() == "Done: waited 5 s"
    print(f"\nfrom stall to answer: {time.monotonic() - held:.1f} s")
    assert len(run.reasons()) == 1
    assert "stopped renewing its lease while doing tool wait" in run.reasons()[0]
    until(lambda: restarts(container) == 1, "Docker starts it again")
    print(f"from stall to restart: {time.monotonic() - held:.1f} s")
    told = log(container)
    assert f"Timeout (0:00:{WATCH.silence_seconds:02.0f})!" in told
    assert 'sitecustomize.py", line 7 in hold' in told, "the thread that holds the lock"
    assert told.count("Thread 0x") >= 3, "and all others"
    until(lambda: healthy(container), "it is healthy again")
    assert run_count(mesh, "1", 2) == 2, "both replicas take work again"


def run_count(mesh: harness.Mesh, question: str, runs: int) -> int:
    """Ask so many times at once; how many replicas worked on it."""
    asked = [Run(mesh, question) for _ in range(runs)]
    taken = [e for run in asked for e in run.events() if e["kind"] == "task.taken"]
    return len({e["data"]["replica"] for e in taken})


def test_a_frozen_replica_is_fenced_when_it_wakes_up(mesh: harness.Mesh) -> None:
    run = Run(mesh, "2")
    container = busy(mesh)
    harness.docker("kill", "--signal", "STOP", container)
    try:
        assert run.answer() == "Done: waited 2 s"
        assert "stopped renewing its lease" in run.reasons()[0]
    finally:
        harness.docker("kill", "--signal", "CONT", container)
    until(lambda: "ended here: lease_lost" in log(container) or restarts(container) > 1,
          "the fenced replica lets go")  # fmt: skip
    done = [e for e in run.events() if e["kind"] == "task.done"]
    assert len(done) == 1


def test_a_frozen_replica_is_not_healthy(mesh: harness.Mesh) -> None:
    container = mesh.containers("agent-worker")[0]
    assert healthy(container)
    harness.docker("kill", "--signal", "STOP", container)
    try:
        until(lambda: not healthy(container), "its sign of life ends")
    finally:
        harness.docker("kill", "--signal", "CONT", container)
    until(lambda: healthy(container), "it is healthy again")


def test_a_stopped_replica_gives_its_task_to_another_at_once(mesh: harness.Mesh) -> None:
    run = Run(mesh, "4")
    container = busy(mesh)
    before = time.monotonic()
    stopping = threading.Thread(target=harness.docker, args=("stop", container))
    stopping.start()
    other = busy(mesh)
    while other == container:
        other = busy(mesh)
    print(f"\nfrom stop to work elsewhere: {time.monotonic() - before:.1f} s")
    stopping.join()
    assert time.monotonic() - before < 10, "it was not killed"
    assert harness.docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout == "0\n"
    assert run.answer() == "Done: waited 4 s"
    assert [r.endswith(" stopped") for r in run.reasons()] == [True]
    harness.docker("start", container)


def test_a_hung_keeper_is_started_again_and_work_goes_on(mesh: harness.Mesh) -> None:
    container = mesh.container("keeper")
    harness.docker("kill", "--signal", "STOP", container)
    until(lambda: not healthy(container), "its sign of life ends")
    time.sleep(0.5)
    harness.docker("kill", "--signal", "CONT", container)
    until(lambda: restarts(container) == 1, "the watchdog ends it, Docker starts it again")
    until(lambda: healthy(container), "it is healthy again")
    assert Run(mesh, "0").answer() == "Done: waited 0 s"
