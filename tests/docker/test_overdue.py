"""A step that outlives its time although the event loop turns: the process itself ends, or else the
keeper takes the lease away; another replica answers, and the run's events say why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import harness
import pytest
from test_health import FILES, Run, healthy, log, quick, restarts, until

from seawall.engine.compose import UpOptions

STICK, BLIND = "/tmp/stick", "/tmp/blind"

# A call that heeds neither its time limit nor its cancellation, as a library may have one; and, for
# the keeper's turn, a watchdog that sees nothing.
PROGRAM = f"""\
import asyncio, contextlib, pathlib
from seawall.runtime.tool_client import ToolClient
from seawall.runtime.watchdog import Watchdog
call, look = ToolClient.call, Watchdog.look

async def sticky(self, *args, **more):
    stick = pathlib.Path({STICK!r})
    while stick.exists():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
    return await call(self, *args, **more)

ToolClient.call = sticky
Watchdog.look = lambda self: None if pathlib.Path({BLIND!r}).exists() else look(self)
from seawall.containers.agent import main
main()
"""


@pytest.fixture(scope="module")
def mesh(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Mesh]:
    files = {**FILES, "seawall.yaml": FILES["seawall.yaml"].replace("timeout: 20m", "timeout: 2s")}
    mesh = harness.write(tmp_path_factory.mktemp("overdue"), files, f"overdue-{os.getpid()}")
    try:
        harness.engine(mesh, quick).up(UpOptions(offline=True))
        mesh.reprogram({"agent-worker": PROGRAM})
        yield mesh
    finally:
        mesh.remove()


def stuck(mesh: harness.Mesh, *files: str) -> tuple[Run, str, float]:
    """A question whose first replica sticks in its tool call; since when."""
    replicas = mesh.containers("agent-worker")
    for replica in replicas:
        harness.docker("exec", replica, "touch", STICK, *files)
    run = Run(mesh, "0")
    holder, since = run.holder(), time.monotonic()
    for replica in replicas:
        if not replica.startswith(holder):
            harness.docker("exec", replica, "rm", STICK, *files)
    return run, holder, since


def test_a_process_whose_step_is_overdue_ends_and_another_replica_answers(
    mesh: harness.Mesh,
) -> None:
    run, holder, since = stuck(mesh)
    before = restarts(holder)
    assert run.answer() == "Done: waited 0 s"
    print(f"\nfrom the call to the answer: {time.monotonic() - since:.1f} s")
    assert ["tool wait" in reason for reason in run.reasons()] == [True]
    until(lambda: restarts(holder) == before + 1, "Docker starts it again")
    told = log(holder)
    assert "stuck: tool call wait should have ended" in told
    assert "in sticky" in told, "where it stuck"
    until(lambda: healthy(holder), "it is healthy again")


def test_a_process_that_does_not_see_it_loses_its_lease_and_another_replica_answers(
    mesh: harness.Mesh,
) -> None:
    run, holder, since = stuck(mesh, BLIND)
    assert run.answer() == "Done: waited 0 s"
    print(f"\nfrom the call to the answer: {time.monotonic() - since:.1f} s")
    (reason,) = run.reasons()
    assert "should have ended by" in reason, reason
    assert "wait" in reason
    assert len([e for e in run.events() if e["kind"] == "run.done"]) == 1
    # It renewed its lease until then: silence was not the reason.
    assert restarts(holder) <= 1
    harness.docker("exec", holder, "rm", "-f", STICK, BLIND)
    harness.docker("restart", holder)
    until(lambda: healthy(holder), "it is healthy again")
