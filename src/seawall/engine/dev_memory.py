"""Opens the memory of an embedded mesh and indexes its documents, with progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.memory.backend import MemoryBackend

STATE_FOLDER = ".seawall"


async def open_memory(
    folder: Path, documents: Path | None, tell: Callable[[str], None]
) -> MemoryBackend:
    """Memory kept in the spec's folder, with `documents` indexed into it.

    Raises:
        OperatorError: the embedding model's weights are not installed.
    """
    return await asyncio.to_thread(_open, folder, documents, tell)


def _open(folder: Path, documents: Path | None, tell: Callable[[str], None]) -> MemoryBackend:
    from seawall.memory.backend import MemoryBackend
    from seawall.memory.embed import Embedder
    from seawall.memory.ingest import ingest
    from seawall.memory.service import MemoryService

    service = MemoryService(folder / STATE_FOLDER / "memory", Embedder.load)
    if documents is not None:
        ingest(service, documents, lambda done, total, _file: tell(f"memory: {done} of {total}"))
    return MemoryBackend(service)
