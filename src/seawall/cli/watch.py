"""What a running mesh was made from, so that the prompt of `seawall dev` notices an edit.

The plan's digest covers the spec, prompts and files of functions. This adds what is read when the
mesh starts: the script, modules beside the functions, files that a command names, documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.spec.sources import listed
from seawall.wire.profiles import CommandTool, FunctionsTool, MemoryTool, ToolSource

if TYPE_CHECKING:
    from seawall.mesh import Mesh

FILES_MAX = 5000
"""Files looked at; in a larger library an edit of the rest is not noticed."""

Stamp = tuple[str, int, int]
"""A file's path, time of change and size."""
Seen = tuple[str, frozenset[Stamp]]


def seen(mesh: Mesh, library: Path | None) -> Seen:
    """Equal as long as nothing that the mesh was made from is edited."""
    return mesh.plan.digest, frozenset(islice(_stamps(mesh, library), FILES_MAX))


def _stamps(mesh: Mesh, library: Path | None) -> Iterator[Stamp]:
    folder = mesh.path.parent
    if mesh.script is not None:
        yield from _of(mesh.script, "")
    for bridge in mesh.plan.bridges():
        ending = ".py" if isinstance(bridge.source, FunctionsTool) else ""
        for path in _paths(bridge.source, folder, library):
            yield from _of(path, ending)


def _paths(source: ToolSource, folder: Path, library: Path | None) -> Iterator[Path]:
    match source:
        case FunctionsTool():
            yield (folder / source.path).parent  # it may import what lies beside it
        case CommandTool():
            yield from (folder / w for w in source.command if (folder / w).is_file())
        case MemoryTool():
            if library is not None:
                yield library
            elif source.documents:
                yield from (folder / source.documents / part for part in source.only or (".",))


def _of(path: Path, ending: str) -> Iterator[Stamp]:
    """The stamp of a file, or of the files in a folder whose names have the ending."""
    files = listed(path) if path.is_dir() else (path,)
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            continue  # it went away: then it is missing here, which is a change
        if file.name.endswith(ending):
            yield str(file), facts.st_mtime_ns, facts.st_size
