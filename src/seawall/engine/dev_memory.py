"""Opens the memory of an embedded mesh and indexes its documents, with progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.wire.profiles import MemoryTool

if TYPE_CHECKING:
    from seawall.memory.backend import MemoryBackend
    from seawall.memory.store import Stores

STATE_FOLDER = ".seawall"


async def open_memory(
    folder: Path,
    source: MemoryTool,
    library: Path | None,
    tell: Callable[[str], None],
    stores: Stores | None = None,
) -> MemoryBackend:
    """Memory kept in the spec's folder, with its documents (or `library`'s instead) indexed.

    Raises:
        OperatorError: the embedding model's weights are not installed.
    """
    return await asyncio.to_thread(_open, folder, source, library, tell, stores)


def _open(
    folder: Path,
    source: MemoryTool,
    library: Path | None,
    tell: Callable[[str], None],
    stores: Stores | None,
) -> MemoryBackend:
    from seawall.memory.backend import MemoryBackend
    from seawall.memory.embed import Embedder
    from seawall.memory.ingest import ingest
    from seawall.memory.service import MemoryService
    from seawall.memory.store import Stores

    def progress(done: int, total: int, _file: str) -> None:
        tell(f"memory: {done} of {total} files")

    opened = (stores or Stores()).open
    service = MemoryService(folder / STATE_FOLDER / "memory", Embedder.load, source, opened)
    try:
        if library is not None:
            ingest(service, library, progress)
        elif source.documents:
            ingest(service, folder / source.documents, progress, only=source.only)
    except BaseException:
        service.close()
        raise
    return MemoryBackend(service)
