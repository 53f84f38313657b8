"""What outlives its time is seen, told with its stacks, and ended; what is in time is not."""

from __future__ import annotations

import asyncio
import faulthandler
import subprocess
import sys
import time
from pathlib import Path

import pytest
from task_builder import task

from seawall.containers.life import alive
from seawall.runtime.hooks.watched import watched
from seawall.runtime.progress import Progress
from seawall.runtime.steps import StepCall
from seawall.runtime.watchdog import Watchdog
from seawall.wire.profiles import Watch

TWENTY_MINUTES = 1200.0


async def never_ends() -> None:
    await asyncio.Event().wait()


@pytest.mark.anyio
async def test_a_step_past_its_time_ends_the_process_with_the_stacks_of_its_tasks(
    capfd: pytest.CaptureFixture[str],
) -> None:
    progress, ended = Progress(), []
    watchdog = Watchdog(progress, 0.05, lambda: ended.append(1))
    stuck = asyncio.create_task(never_ends(), name="task 42")
    with progress.doing("model call gpt", 0.05):
        due = watchdog.look()
        assert due
        assert due - time.monotonic() == pytest.approx(0.1, abs=0.05)
        await asyncio.sleep(0.15)
        watchdog.look()
    stuck.cancel()
    told = capfd.readouterr().err
    assert ended == [1]
    assert "Task task 42:" in told
    assert "in never_ends" in told
    assert "locks.py" in told, "to where it waits, not only where it began"
    assert "Current thread" in told


def test_a_tool_call_of_twenty_minutes_is_in_time() -> None:
    progress = Progress()
    with progress.doing("tool call slow", TWENTY_MINUTES):
        found = progress.ends()
    assert found
    assert found[0] > time.monotonic() + TWENTY_MINUTES - 5


def test_a_task_has_a_time_only_between_its_steps() -> None:
    progress = Progress()
    assert progress.ends() is None
    with progress.doing("task 1", None, pause_seconds=7):
        before = progress.ends()
        with progress.doing("waiting for worker", None):
            assert progress.ends() is None, "a child has its own time"
        after = progress.ends()
    assert before
    assert after
    assert time.monotonic() < before[0] < after[0] <= time.monotonic() + 7
    assert after[1] == "task 1: nothing between two steps"


def test_the_first_of_several_counts() -> None:
    progress = Progress()
    with progress.doing("a", 9), progress.doing("b", 3), progress.doing("c", None):
        found = progress.ends()
        assert found
        assert found[1] == "b"
        assert [line.partition(",")[0] for line in progress.words()] == ["a", "b", "c"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "seconds", "words"),
    [
        ("model", 9.0, "model call x"),
        ("tool", 9.0, "tool call x"),
        ("delegate", None, "waiting for x"),
    ],
)
async def test_a_step_is_what_the_process_does_and_no_longer(
    kind: str, seconds: float | None, words: str
) -> None:
    here = task()

    async def body() -> object:
        return here.progress.words()

    call = StepCall(key="k", kind=kind, name="x", seconds_max=seconds)  # type: ignore[arg-type]
    said = await watched(here, call, body)
    assert str(said).startswith(f"['{words}, since ")
    assert (", until " in str(said)) == (seconds is not None)
    assert here.progress.words() == []


HANGS = """\
import asyncio, re, threading, time
from seawall.containers.life import alive, healthy_until
from seawall.wire import places
from seawall.wire.profiles import Watch

places.HEALTH = {health!r}

async def main():
    async with alive("a test", Watch(silence_seconds=0.6)) as ready:
        ready.set()
        await asyncio.sleep(2)
        print("turned for a while", flush=True)
        {hang}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "hang",
    ["time.sleep(60)", 're.match("(a+)+$", "a" * 64 + "b")'],
    ids=["blocked loop", "held interpreter lock"],
)
def test_a_loop_that_does_not_turn_is_ended_from_outside_python(hang: str, tmp_path: Path) -> None:
    health = tmp_path / "health"
    before = time.monotonic()
    code = HANGS.format(hang=hang, health=str(health))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert time.monotonic() - before < 30
    assert "turned for a while" in done.stdout
    assert "Timeout (0:00:00.600000)!" in done.stderr
    assert "in main" in done.stderr
    assert float(health.read_text().splitlines()[0]) < time.time()


@pytest.mark.anyio
async def test_a_process_logs_that_it_starts_and_that_it_is_ready_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "seawall")
    async with alive("tool text", Watch()) as ready:
        await asyncio.sleep(0)
        assert [r.message for r in caplog.records] == ["tool text, starting"]
        for _ in range(3):
            ready.set()
            await asyncio.sleep(0.01)
    assert [r.message for r in caplog.records] == ["tool text, starting", "tool text, ready"]
    faulthandler.cancel_dump_traceback_later()
