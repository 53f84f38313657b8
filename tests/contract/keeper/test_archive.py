"""Ended runs leave the broker's memory for files, and are answered from there, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import time
from pathlib import Path

import pytest
from keeper_harness import Keeper, Meshes

from seawall.errors import Refused
from seawall.keeper.archive import SUFFIX, Archive
from seawall.keeper.archiver import Archiver
from seawall.wire.messages import Begin, Delegation, Finish, Progress, StartRun, Step

pytestmark = pytest.mark.anyio


async def worked(mesh: Keeper, text: str = "why?", output: str = "because") -> str:
    """A run with two tasks and a journal, ended."""
    view, lease = await mesh.started(text)
    chief = await mesh.agent("chief")
    await chief.begin(lease.token, Begin(key="m", kind="model", name="x"))
    await chief.record(lease.token, Step(key="m", kind="model", payload='"thought"'))
    await chief.delegate(lease.token, Delegation(key="k", agent="clerk", input="count"))
    child = await mesh.lease("clerk")
    await (await mesh.agent("clerk")).finish(child.token, Finish(output="3"))
    await chief.finish(lease.token, Finish(output=output))
    return view.run


def archiver(mesh: Keeper, folder: Path) -> Archiver:
    return Archiver(mesh.store, Archive(folder, mesh.store.policy.limits))


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob(f"*{SUFFIX}"))


async def gone(mesh: Keeper, run: str) -> None:
    """Wait until the run is in a file alone."""
    for _ in range(200):
        if await mesh.store.redis.hget(f"{mesh.store.prefix}run:{run}", "archived"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not archived in time")


async def test_an_archived_run_reads_as_before_and_leaves_only_its_row(
    meshes: Meshes, tmp_path: Path
) -> None:
    mesh = await meshes.open(archive_after_seconds=0)
    run = await worked(mesh, "é" * 3000, "x" * 9000)
    before = await mesh.door.run(run), await mesh.door.tasks(run), await mesh.door.events(run)
    async with archiver(mesh, tmp_path):
        await gone(mesh, run)
        after = await mesh.door.run(run), await mesh.door.tasks(run), await mesh.door.events(run)
        assert after == before
        assert await mesh.door.events(run, before[2][3].id) == before[2][4:]
        assert await mesh.door.events(run, before[2][-1].id, wait_seconds=0) == []
        listed = (await mesh.door.runs())[0]
        assert (listed.run, listed.usage) == (run, before[0].usage)
        assert len((listed.input + (listed.output or "")).encode()) < 1100
        keys = await mesh.store.redis.keys(mesh.store.prefix + "*")
        assert [k for k in keys if run in k] == [f"{mesh.store.prefix}run:{run}"]
        assert await mesh.store.redis.get(f"{mesh.store.prefix}live_bytes") == "0"
        assert (await mesh.door.cancel(run)).state == "done"
    lines = gzip.decompress((tmp_path / f"{run}{SUFFIX}").read_bytes()).splitlines()
    steps = [json.loads(line)["is"] for line in lines if line.startswith(b'{"line": "step"')]
    assert [(s["key"], s["payload"]) for s in steps] == [("m", '"thought"')]


async def test_another_keeper_answers_from_the_same_folder(meshes: Meshes, tmp_path: Path) -> None:
    mesh = await meshes.open(archive_after_seconds=0)
    run = await worked(mesh)
    async with archiver(mesh, tmp_path):
        await gone(mesh, run)
    restarted = await meshes.another(mesh.policy)
    async with archiver(restarted, tmp_path):
        assert (await restarted.door.run(run)).output == "because"
        assert len(await restarted.door.tasks(run)) == 2
        assert [e.kind for e in await restarted.door.events(run)][-1] == "run.done"


@pytest.mark.parametrize("moment", ["before the file", "after the file", "after the broker"])
async def test_killed_at_any_moment_nothing_is_lost(
    meshes: Meshes, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = await meshes.open(archive_after_seconds=0)
    run = await worked(mesh)
    whole = await mesh.door.run(run), await mesh.door.tasks(run), await mesh.door.events(run)

    class Killed(Exception):  # noqa: N818
        pass

    class Dies(Archive):
        def write(self, run: str, lines: object) -> None:
            if moment == "before the file":
                (tmp_path / f"{run}.0.new").write_bytes(b"half")
                raise Killed
            super().write(run, lines)  # type: ignore[arg-type]
            if moment == "after the file":
                raise Killed

    with contextlib.suppress(Killed):
        await Archiver(mesh.store, Dies(tmp_path, mesh.store.policy.limits)).round()
    async with archiver(mesh, tmp_path):
        for _ in range(3):
            now = await mesh.door.run(run), await mesh.door.tasks(run), await mesh.door.events(run)
            assert now == whole
            await asyncio.sleep(0.05)
        await gone(mesh, run)
        now = await mesh.door.run(run), await mesh.door.tasks(run), await mesh.door.events(run)
        assert now == whole
    assert files(tmp_path) == [f"{run}{SUFFIX}"]


async def test_a_run_stays_in_the_broker_for_a_while_unless_it_is_crowded(
    meshes: Meshes, tmp_path: Path
) -> None:
    mesh = await meshes.open(archive_after_seconds=60, finished_runs_max=4)
    moving = archiver(mesh, tmp_path)
    first = [await worked(mesh) for _ in range(2)]
    assert await moving.round() == (0, 2)
    await worked(mesh)
    assert await moving.round() == (3, 0)
    await gone(mesh, first[0])


async def test_the_oldest_go_by_count_and_by_age(meshes: Meshes, tmp_path: Path) -> None:
    mesh = await meshes.open(archive_after_seconds=0, archive_runs_max=2)
    moving = archiver(mesh, tmp_path)
    runs = [await worked(mesh) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert await moving.round() == (3, 0)
    await moving.prune()
    assert [view.run for view in await mesh.door.runs()] == runs[:0:-1]
    with pytest.raises(Refused) as refused:
        await mesh.door.run(runs[0])
    assert refused.value.code == "unknown"
    old = time.time() - 91 * 86_400
    os.utime(tmp_path / f"{runs[1]}{SUFFIX}", (old, old))
    await moving.prune()
    assert files(tmp_path) == [f"{runs[2]}{SUFFIX}"]
    assert await mesh.store.redis.exists(f"{mesh.store.prefix}run:{runs[1]}") == 0


async def test_a_folder_that_takes_nothing_stops_nobody(meshes: Meshes, tmp_path: Path) -> None:
    mesh = await meshes.open(archive_after_seconds=0)
    async with archiver(mesh, tmp_path / "missing"):
        run = await worked(mesh)
        await asyncio.sleep(1.2)
        assert (await mesh.door.run(run)).output == "because"


async def test_what_has_ended_is_not_dropped_before_it_is_in_a_file(
    meshes: Meshes, tmp_path: Path
) -> None:
    """Runs end faster than they are archived, or cannot be at all: new ones wait, none is lost."""
    mesh = await meshes.open(archive_after_seconds=0, finished_runs_max=3)
    folder = tmp_path / "full"
    async with archiver(mesh, folder):
        runs = [await worked(mesh) for _ in range(3)]
        with pytest.raises(Refused, match="not in files yet") as refused:
            await mesh.door.start(StartRun(input="more"))
        assert refused.value.code == "memory_full"
        assert [(await mesh.door.run(run)).output for run in runs] == ["because"] * 3
        folder.mkdir()
        for run in runs:
            await gone(mesh, run)
        runs.append(await worked(mesh))
        assert [(await mesh.door.run(run)).output for run in runs] == ["because"] * 4
        assert [view.run for view in await mesh.door.runs()] == runs[::-1]


async def test_a_name_that_is_no_run_reads_no_file(tmp_path: Path) -> None:
    from seawall.wire.profiles import KeeperLimits

    (tmp_path / f"x{SUFFIX}").write_bytes(gzip.compress(b'{"line": "run", "is": {}}'))
    archive = Archive(tmp_path / "in", KeeperLimits())
    assert archive.view("../x") is None


async def test_new_runs_are_refused_before_the_broker_is_full(meshes: Meshes) -> None:
    mesh = await meshes.open(live_bytes_max=20_000)
    chief = await mesh.agent("chief")
    view, lease = await mesh.started("a" * 5000)
    step = Step(key="big", kind="tool", payload=json.dumps("b" * 12_000))
    await chief.record(lease.token, step)
    with pytest.raises(Refused) as refused:
        await mesh.door.start(StartRun(input="c" * 5000))
    assert refused.value.code == "memory_full"
    await chief.finish(lease.token, Finish(output="fits"))
    assert (await mesh.door.run(view.run)).output == "fits"
    # What has ended gives way.
    await mesh.door.start(StartRun(input="d" * 100))


async def test_running_runs_cannot_fill_the_broker_either(meshes: Meshes) -> None:
    mesh = await meshes.open(live_bytes_max=20_000)
    view, lease = await mesh.started("a")
    raw = await mesh.raw("chief")
    sent = {"authorization": f"Bearer {lease.token}"}
    codes = []
    for n in range(6):
        step = Step(key=f"s{n}", kind="tool", payload=json.dumps("b" * 9000))
        done = await raw.post("/v1/record", content=step.model_dump_json(), headers=sent)
        codes.append(done.json().get("code"))
    assert codes == [None] * 5 + ["memory_full"]
    text = Progress(text="x").model_dump_json()
    assert (await raw.post("/v1/progress", content=text, headers=sent)).status_code == 429
    await mesh.door.cancel(view.run)
    assert int(await mesh.store.redis.get(f"{mesh.store.prefix}live_bytes")) > 40_000
    await mesh.door.start(StartRun(input="again"))
    assert int(await mesh.store.redis.get(f"{mesh.store.prefix}live_bytes")) < 1000
