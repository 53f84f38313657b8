"""Lays what was rendered into a folder: writes what differs, removes what is no longer made."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from seawall.errors import OperatorError
from seawall.render.files import Copy, Rendered
from seawall.spec.sources import listed, listed_documents

from . import package

KEPT = ("secrets", "state.json")
"""In the folder, and not the renderer's."""


def lay(rendered: Rendered, folder: Path, spec_folder: Path) -> None:
    """Make `folder` hold exactly what was rendered. Raises OperatorError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    wanted: set[Path] = set()
    for name, text in rendered.files.items():
        _write(folder / name, text)
        wanted.add(folder / name)
    for copy in rendered.copies:
        for source, target in _pairs(copy, folder, spec_folder):
            _copy(source, target)
            wanted.add(target)
    _remove_others(folder, wanted)


def _write(path: Path, text: str) -> None:
    if path.is_file() and path.read_text("utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _pairs(copy: Copy, folder: Path, spec_folder: Path) -> Iterator[tuple[Path, Path]]:
    root = package.ROOT if copy.origin == "package" else spec_folder
    source, target = root / copy.source, folder / copy.target
    if not source.exists():
        raise OperatorError(str(source), "is not there any more", "Put it back, or change the spec")
    found = listed_documents(source, copy.only) if copy.origin == "documents" else listed(source)
    for file in found:
        yield file, target / file.relative_to(source)


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and filecmp.cmp(source, target, shallow=False):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    # In an image others must be able to read it, whatever the umask here.
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.relative_to(folder).parts[0] in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()
