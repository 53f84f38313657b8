"""Which files of a folder of documents memory takes: the same on every engine.

The digest of an image, the files copied into it and the index inside it follow this one rule.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

FILE_BYTES_MAX = 1024**2
FILES_MAX = 5000
IGNORED = {"node_modules", "__pycache__", "venv", "dist", "build", "target"}
"""Folders of things that others made; hidden ones are ignored as well."""

Skip = Callable[[Path, str], None]
"""Told of each folder that is left out, and why."""


def walk(root: Path, only: Sequence[str] = (), skip: Skip = lambda *_: None) -> Iterator[Path]:
    """Every file below `root` that may be a document, in a fixed order.

    `only` names files and folders below it to take, all of them if empty.
    """
    for top, folders, files in os.walk(root):
        here = Path(top)
        for name in sorted(folders):
            reason = _ignored(here / name)
            if reason:
                skip(here / name, reason)
        folders[:] = sorted(name for name in folders if not _ignored(here / name))
        for path in sorted(here / name for name in files):
            name = path.relative_to(root).as_posix()
            if not only or any(name == one or name.startswith(f"{one}/") for one in only):
                yield path


def unfit(root: Path, path: Path) -> str:
    """Why a file can be no document, whatever it holds; empty when it may be one.

    `root` must be resolved. Raises OSError, or RuntimeError for a loop of links on Python 3.11.
    """
    if path.name.startswith("."):
        return "hidden"
    real = path.resolve(strict=True)
    # A link out of the folder could hand an agent any file of the user's.
    if not real.is_relative_to(root):
        return "a link that leaves the folder"
    if not real.is_file():  # a pipe would block for ever
        return "not a regular file"
    size = real.stat().st_size
    return f"larger than {FILE_BYTES_MAX} bytes" if size > FILE_BYTES_MAX else ""


def _ignored(folder: Path) -> str:
    if folder.name.startswith("."):
        return "hidden"
    if folder.name in IGNORED:
        return "made by tools"
    return "a link to a folder" if folder.is_symlink() else ""
