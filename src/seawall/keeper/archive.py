"""Ended runs as files: one gzip of JSON lines a run, in a folder of the keeper's own.

Knows files and nothing of the broker; `archiver.py` brings runs here. All of it blocks: it is for
threads.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from seawall.wire.messages import Event, RunView, TaskResult
from seawall.wire.profiles import KeeperLimits

SUFFIX = ".jsonl.gz"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
LEVEL = 6
LEFTOVER_SECONDS = 3600.0
"""After which a half-written file is nobody's any more."""
Kind = Literal["run", "task", "step", "event"]
RUN_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{15}")


class Archive:
    """The files of one mesh. Every file is whole: it appears under its name when it is on disk."""

    def __init__(self, folder: Path, limits: KeeperLimits) -> None:
        self._folder, self._limits = folder, limits

    def write(self, run: str, lines: Iterable[tuple[Kind, Any]]) -> None:
        """Keep a run, in place of an earlier try; returns when it is on disk. Raises OSError."""
        new = self._folder / f"{run}.{secrets.token_hex(4)}.new"
        try:
            with os.fdopen(os.open(new, NEW_FILE, 0o600), "wb") as raw:
                with gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed:
                    for kind, value in lines:
                        line = json.dumps({"line": kind, "is": value}, ensure_ascii=False)
                        packed.write(line.encode() + b"\n")
                raw.flush()
                os.fsync(raw.fileno())
            new.replace(self._file(run))
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _sync(self._folder)

    def view(self, run: str) -> RunView | None:
        """A run; None when there is no file of it."""
        return next((RunView.model_validate(is_) for is_ in self._lines(run, "run")), None)

    def tasks(self, run: str, count: int) -> list[TaskResult]:
        """The run's first tasks."""
        found = []
        for is_ in self._lines(run, "task"):
            found.append(TaskResult.model_validate(is_))
            if len(found) == count:
                break
        return found

    def events(self, run: str, after: str, count: int) -> list[Event]:
        """The first events after the id `after`."""
        least = _order(after)
        found = []
        for is_ in self._lines(run, "event"):
            if _order(is_["id"]) > least:
                found.append(Event.model_validate(is_))
                if len(found) == count:
                    break
        return found

    def over(self) -> list[str]:
        """The runs that must go, oldest first: too many, too old or too large together."""
        files = sorted(((f, f.stat()) for f in self._folder.glob(f"*{SUFFIX}")), reverse=True)
        limits, size, gone = self._limits, 0, []
        oldest = time.time() - limits.archive_seconds_max
        for number, (file, stat) in enumerate(files, 1):  # the newest first: ids sort by time
            size += stat.st_size
            many = number > limits.archive_runs_max or size > limits.archive_bytes_max
            if many or stat.st_mtime < oldest:
                gone.append(file.name.removesuffix(SUFFIX))
        return gone[::-1]

    def remove(self, run: str) -> None:
        """Delete a run's file."""
        self._file(run).unlink(missing_ok=True)

    def clean(self) -> None:
        """Delete what a keeper left that was killed while it wrote."""
        for file in self._folder.glob("*.new"):
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
                    file.unlink()

    def _lines(self, run: str, kind: Kind) -> Iterator[Any]:
        start = f'{{"line": "{kind}", '.encode()
        if not RUN_ID.fullmatch(run):  # it comes from a URL, and must not name another file
            return
        with contextlib.suppress(FileNotFoundError), gzip.open(self._file(run), "rb") as lines:
            for line in lines:
                if line.startswith(start):
                    yield json.loads(line)["is"]

    def _file(self, run: str) -> Path:
        return self._folder / f"{run}{SUFFIX}"


def _order(event: str) -> tuple[int, int]:
    """An event's id as the broker orders it; everything comes after ''."""
    time_, _, number = event.partition("-")
    return (int(time_ or -1), int(number or 0))


def _sync(folder: Path) -> None:
    """Make a new name last."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
