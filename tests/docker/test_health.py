"""Alive but stuck, on a real engine: who makes no progress is ended, its task is answered all the
same, and who only takes long is left alone.

The mesh is like any other, but its limits are lower: the plan's profiles are changed before `up`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import harness
import pytest

from seawall.engine.compose import UpOptions
from seawall.plan.model import Plan
from seawall.wire.profiles import AgentProfile, KeeperPolicy, Watch

LEASE_SECONDS = 3.0
WATCH = Watch(silence_seconds=12, pause_seconds=12)
LONG_SECONDS = 15
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


def hanging(program: str) -> str:
    """A container's own program, with a way to be hung beside it."""
    return f"""\
import pathlib, re, threading, time

def hold():
    while not pathlib.Path({HOLD!r}).exists():
        time.sleep(0.1)
    re.match("(a+)+$", "a" * 64 + "b")  # one call in C that never ends and never lets the lock go

threading.Thread(target=hold, daemon=True, name="holder").start()
from seawall.containers.{program} import main
main()
"""


class Run:
    """A question that is being answered, and all that has happened so far."""

    def __init__(self, mesh: harness.Mesh, question: str) -> None:
        self._seen: list[dict[str, Any]] = []
        line = mesh.line("run", "--json", question)
        self._asking = subprocess.Popen(line, cwd=mesh.folder, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._asking.stdout
        with self._asking.stdout as lines:
            self._seen.extend(json.loads(line) for line in lines if line.startswith("{"))

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def holder(self, not_: str = "") -> str:
        """The container that calls the tool, as soon as it does."""

        def found() -> str | None:
            kinds = [event["kind"] for event in self._seen]
            if "task.taken" not in kinds:
                return None
            last = len(kinds) - 1 - kinds[::-1].index("task.taken")
            calls = [e for e in self._seen[last:] if e["data"].get("kind") == "tool"]
            replica = str(self._seen[last]["data"]["replica"])
            return replica if calls and replica != not_ else None

        return str(until(found, "a replica that calls the tool"))

    def events(self) -> list[dict[str, Any]]:
        """Wait for the end; everything that happened."""
        self._thread.join(120)
        assert self._asking.wait(10) == 0
        return self._seen

    def answer(self) -> str:
        return str(next(e["data"]["output"] for e in self.events() if e["kind"] == "run.done"))

    def reasons(self) -> list[str]:
        return [e["data"]["reason"] for e in self.events() if e["kind"] == "task.redelivered"]


@pytest.fixture(scope="module")
def mesh(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Mesh]:
    mesh = harness.write(tmp_path_factory.mktemp("health"), FILES, f"health-{os.getpid()}")
    try:
        harness.engine(mesh, quick).up(UpOptions(offline=True))
        mesh.reprogram({"agent-worker": hanging("agent"), "keeper": hanging("keeper")})
        yield mesh
    finally:
        mesh.remove()


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


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not in {seconds} s: {what}")


def doing(container: str) -> str:
    """What the agent in a container says that it does."""
    return harness.docker("exec", container, "cat", "/tmp/seawall-health", check=False).stdout


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
    container = run.holder()
    until(lambda: "tool call wait, since" in doing(container), "it says what it does", 8)
    while not run.over:
        assert healthy(container)
        time.sleep(1)
    assert run.answer() == f"Done: waited {LONG_SECONDS} s"
    assert run.reasons() == []
    assert [restarts(c) for c in mesh.containers("agent-worker")] == [0, 0]


def test_a_held_interpreter_lock_is_ended_with_all_stacks_and_the_task_is_answered(
    mesh: harness.Mesh,
) -> None:
    run = Run(mesh, "3")
    container = run.holder()
    held = time.monotonic()
    harness.docker("exec", container, "touch", HOLD)
    assert run.answer() == "Done: waited 3 s"
    print(f"\nfrom stall to answer: {time.monotonic() - held:.1f} s")
    assert len(run.reasons()) == 1
    assert "stopped renewing its lease while doing tool wait" in run.reasons()[0]
    until(lambda: restarts(container) == 1, "Docker starts it again")
    print(f"from stall to restart: {time.monotonic() - held:.1f} s")
    told = log(container)
    assert f"Timeout (0:00:{WATCH.silence_seconds:02.0f})!" in told
    assert re.search(r'File "<string>", line \d+ in hold', told), "the thread with the lock"
    assert told.count("Thread 0x") >= 3, "and all others"
    until(lambda: healthy(container), "it is healthy again")


def test_a_frozen_replica_is_fenced_when_it_wakes_up(mesh: harness.Mesh) -> None:
    run = Run(mesh, "2")
    container = run.holder()
    before = restarts(container)
    # Not `docker kill --signal STOP`: a container that was sent a signal is not restarted.
    harness.docker("pause", container)
    try:
        assert run.answer() == "Done: waited 2 s"
        assert "stopped renewing its lease" in run.reasons()[0]
    finally:
        harness.docker("unpause", container)
    # Late for the watchdog too, on a slow machine: then it ends before it can be refused.
    fenced = re.compile("ended here: lease_lost|result was refused: .*no longer valid")
    until(lambda: fenced.search(log(container)) or restarts(container) > before, "it lets go")
    assert len([e for e in run.events() if e["kind"] == "run.done"]) == 1


def test_a_stopped_replica_gives_its_task_to_another_at_once(mesh: harness.Mesh) -> None:
    run = Run(mesh, "4")
    container = run.holder()
    before = time.time()
    harness.docker("stop", container)
    seconds = time.time() - before
    said = harness.docker("inspect", "--format", "{{.State.ExitCode}}", container)
    assert said.stdout == "0\n", f"it was killed after {seconds:.1f} s"
    assert run.answer() == "Done: waited 4 s"
    back, taken = (
        next(e["at"] for e in run.events() if e["kind"] == kind and e["at"] > before)
        for kind in ("task.redelivered", "task.taken")
    )
    print(f"\nstopped in {seconds:.1f} s, given back after {back - before:.1f} s, "
          f"taken after {taken - before:.1f} s")  # fmt: skip
    assert [reason.endswith(" stopped") for reason in run.reasons()] == [True]
    assert taken - back < 1, "the other did not wait for a lease to run out"
    harness.docker("start", container)


def test_a_keeper_that_was_hung_is_started_again_and_work_goes_on(mesh: harness.Mesh) -> None:
    container = mesh.container("keeper")
    harness.docker("exec", container, "touch", HOLD)
    until(lambda: restarts(container) == 1, "the watchdog ends it, Docker starts it again")
    assert "Timeout (" in log(container)
    until(lambda: healthy(container), "it is healthy again")
    assert Run(mesh, "0").answer() == "Done: waited 0 s"
