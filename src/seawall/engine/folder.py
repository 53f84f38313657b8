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
MARK = ".seawall-rendered"


def lay(rendered: Rendered, folder: Path, spec_folder: Path) -> None:
    """Make `folder` hold exactly what was rendered. Raises OperatorError."""
    if folder.is_dir() and any(folder.iterdir()) and not _is_rendered(folder):
        # What is not rendered is removed below: never from a folder of somebody else's.
        fault = "there are files in it, and they were not rendered by Seawall"
        raise OperatorError(str(folder), fault, "Name a new folder, or an empty one")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / MARK, "Rendered by Seawall; what is here is replaced.\n")
    wanted: set[Path] = {folder / MARK}
    for name, text in rendered.files.items():
        _write(folder / name, text)
        wanted.add(folder / name)
    for copy in rendered.copies:
        for source, target in _pairs(copy, folder, spec_folder):
            _copy(source, target)
            wanted.add(target)
    _remove_others(folder, wanted)


def _is_rendered(folder: Path) -> bool:
    file = folder / "compose.yaml"
    marked = file.is_file() and "rendered by Seawall" in file.read_text("utf-8", "replace")[:200]
    return marked or (folder / MARK).is_file()


def changed(rendered: Rendered, folder: Path, spec_folder: Path) -> frozenset[str]:
    """Which files `lay` would write anew, by their path in the folder. Raises OperatorError."""
    found = {name for name, text in rendered.files.items() if _differs(folder / name, text)}
    for copy in rendered.copies:
        for source, target in _pairs(copy, folder, spec_folder):
            if not target.is_file() or not filecmp.cmp(source, target, shallow=False):
                found.add(target.relative_to(folder).as_posix())
    return frozenset(found)


def laid(folder: Path) -> dict[str, str]:
    """The small files that lie in the folder: what was rendered last."""
    names = ("compose.yaml", "Dockerfile")
    paths = [*(folder / name for name in names), *folder.glob("workloads/*/*")]
    texts = ((p, p.read_text("utf-8", errors="replace")) for p in paths if p.is_file())
    return {path.relative_to(folder).as_posix(): text for path, text in texts}


def _differs(path: Path, text: str) -> bool:
    return not path.is_file() or path.read_text("utf-8", errors="replace") != text


def _write(path: Path, text: str) -> None:
    if not _differs(path, text):
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
